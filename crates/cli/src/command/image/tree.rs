//! `kiln image tree`: what each layer of an image holds, and what became of it.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use kiln_build::layer::usage::{How, Usage};

use super::{
    Image, formatted, json,
    outline::{self, Limits},
    usage, words,
};
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Tree {
    /// An image: its name or id
    image: String,
    /// How many levels of folders to show [default: 3, and all of them with --all or --format]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Only this layer: 1 is the bottom one
    #[arg(long, value_name = "N")]
    layer: Option<usize>,
    /// Show every file and folder, however small
    #[arg(short, long)]
    all: bool,
    /// `json` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Do not shorten instructions
    #[arg(long)]
    no_trunc: bool,
}

/// How many levels are shown where nobody asks for a number.
const DEPTH: usize = 3;

impl Tree {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let (image, root) = Image::find(&builder, &self.image)?;
        if let Some(layer) = self.layer
            && !(1..=image.layers.len()).contains(&layer)
        {
            let what = format!("`{}` has no layer {layer}", image.name);
            return Err(Failure::new(what).hint(match image.layers.len() {
                0 => "it has no layers at all".to_owned(),
                n => format!("its layers are 1 to {n}"),
            }));
        }
        let usage = usage(&root);
        let text = match &self.format {
            Some(format) => formatted(&json::tree(&image, &usage, self.layer, self.depth), format)?,
            None => text(&image, &usage, &self.look()),
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn look(&self) -> Look {
        let whole = if self.all { usize::MAX } else { DEPTH };
        Look {
            limits: Limits {
                depth: self.depth.unwrap_or(whole),
                all: self.all,
            },
            layer: self.layer,
            no_trunc: self.no_trunc,
        }
    }
}

/// What is to be seen.
pub(super) struct Look {
    pub(super) limits: Limits,
    /// Only this layer, from 1 on.
    pub(super) layer: Option<usize>,
    /// Whole instructions.
    pub(super) no_trunc: bool,
}

pub(super) fn text(image: &Image, usage: &Usage<'_>, look: &Look) -> String {
    let mut text = head(image, usage);
    let total = usage.sum().bytes;
    for (index, place) in usage.layers().enumerate() {
        if look.layer.is_some_and(|only| only != index + 1) {
            continue;
        }
        let instruction = image.layers[index].instruction(look.no_trunc);
        let took = took(usage, index);
        text.push('\n');
        let own = format!("layer {}  {instruction}{took}", index + 1);
        row(&mut text, place.sum().bytes, total, &own);
        for line in outline::lines(place, look.limits, &image.layers) {
            row(&mut text, line.bytes, total, &line.text);
        }
    }
    text
}

/// How much there is, and how much of it in vain.
pub(super) fn head(image: &Image, usage: &Usage<'_>) -> String {
    let sum = usage.sum();
    let (size, count) = (words::size(sum.bytes), image.layers.len());
    let layers = if count == 1 { "layer" } else { "layers" };
    let mut text = format!("{}: {size} in {count} {layers}", image.name);
    match sum.bytes - sum.seen {
        0 => text.push_str(", all of it seen in the end\n"),
        gone => {
            let (gone, share) = (words::size(gone), words::share(gone, sum.bytes));
            let seen = words::size(sum.seen);
            let _ = writeln!(
                text,
                ", {seen} seen in the end, {gone} ({share}) deleted or written again later"
            );
        }
    }
    text
}

fn row(text: &mut String, bytes: u64, total: u64, what: &str) {
    let (size, share) = (words::size(bytes), words::share(bytes, total));
    let _ = writeln!(text, "{size:>7}  {share:>6}  {what}");
}

/// What a layer took away from those below it.
fn took(usage: &Usage<'_>, layer: usize) -> String {
    let mut bytes = [0; 4];
    for content in usage.contents() {
        if let Some(gone) = content.gone.filter(|g| g.by == layer) {
            bytes[match gone.how {
                How::Deleted => 0,
                How::Moved => 1,
                How::Changed => 2,
                How::Repeated(_) => 3,
            }] += content.file.size;
        }
    }
    let names = [
        ("deletes", ""),
        ("moves", ""),
        ("replaces", ""),
        ("writes", " again"),
    ];
    let told = names.iter().zip(bytes).filter(|(_, bytes)| *bytes > 0);
    let told: Vec<String> = told
        .map(|((verb, after), bytes)| format!("{verb} {}{after}", words::size(bytes)))
        .collect();
    match told.is_empty() {
        true => String::new(),
        false => format!("  ({})", told.join(", ")),
    }
}
