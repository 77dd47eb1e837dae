//! `kiln image big`: the largest files of an image, and what it carries in vain.

use std::{cmp::Reverse, fmt::Write as _, process::ExitCode};

use clap::Args;
use kiln_build::layer::usage::{Content, Duplicate, How, Usage, Waste};

use super::{Image, Layer, formatted, json, tree::head, usage, words};
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Big {
    /// An image: its name or id
    image: String,
    /// How many of each to show [default: 10 that are worth it, and all of them with --format]
    #[arg(short, long, value_name = "N")]
    number: Option<usize>,
    /// `json` or a Go template
    #[arg(long)]
    format: Option<String>,
}

/// How many are shown where nobody asks for a number.
const NUMBER: usize = 10;
/// So many places are named of one waste.
const PLACES: usize = 3;
/// Below this part of the image nobody need change a Dockerfile.
const WORTH: u64 = 100;
/// Below this part of it a waste is not worth a line.
const SMALL: u64 = 1000;

impl Big {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let (image, root) = Image::find(&builder, &self.image)?;
        let usage = usage(&root);
        let text = match &self.format {
            Some(format) => formatted(&json::big(&image, &usage, self.number), format)?,
            None => text(&image, &usage, self.number),
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The largest contents first.
pub(super) fn largest<'u, 'a>(usage: &'u Usage<'a>) -> Vec<&'u Content<'a>> {
    let mut contents: Vec<_> = usage.contents().iter().collect();
    contents.sort_by_key(|c| Reverse(c.file.size));
    contents
}

/// What need not be there: what nobody sees, and what is there more than once.
pub(super) fn could_be_saved(usage: &Usage<'_>) -> u64 {
    let sum = usage.sum();
    let twice: u64 = usage.duplicates().iter().map(|d| d.bytes).sum();
    sum.deleted + sum.replaced + twice
}

pub(super) fn text(image: &Image, usage: &Usage<'_>, number: Option<usize>) -> String {
    let mut report = Report {
        text: head(image, usage),
        layers: &image.layers,
        total: usage.sum().bytes,
    };
    // What is not worth a line has one if somebody asks for a number.
    let least = match number {
        Some(_) => 0,
        None => report.total / SMALL,
    };
    let number = number.unwrap_or(NUMBER);
    report.text.push_str("\nLargest files\n");
    for content in largest(usage).into_iter().take(number) {
        let fate = words::fate([content], &image.layers);
        let note = if fate.is_empty() {
            fate
        } else {
            format!("  ← {fate}")
        };
        let path = words::absolute(&content.entry.path, false);
        let what = format!("layer {}  {path}{note}", content.layer + 1);
        report.row(content.file.size, &what);
    }
    let saved = could_be_saved(usage);
    let (size, share) = (words::size(saved), words::share(saved, report.total));
    let _ = writeln!(report.text, "\nCould be saved: {size} ({share})");
    report.savings(usage, number, least);
    report.advice(usage);
    report.text
}

struct Report<'i> {
    text: String,
    layers: &'i [Layer],
    total: u64,
}

impl Report<'_> {
    fn row(&mut self, bytes: u64, what: &str) {
        let (size, share) = (words::size(bytes), words::share(bytes, self.total));
        let _ = writeln!(self.text, "{size:>7}  {share:>6}  {what}");
    }

    /// What explains a row, below it.
    fn below(&mut self, what: &str) {
        let _ = writeln!(self.text, "{:17}{what}", "");
    }

    /// Wastes and duplicates, the largest first; those below `least` are summed up.
    fn savings(&mut self, usage: &Usage<'_>, number: usize, least: u64) {
        let (wastes, duplicates) = (usage.wastes(), usage.duplicates());
        let mut wastes = wastes.iter().peekable();
        let mut duplicates = duplicates.iter().peekable();
        for _ in 0..number {
            let next = (
                wastes.peek().map(|w| w.bytes),
                duplicates.peek().map(|d| d.bytes),
            );
            match next {
                (waste, twice) if waste.max(twice) < Some(least) => break,
                (waste, twice) if waste >= twice => match wastes.next() {
                    Some(waste) => self.waste(waste),
                    None => return,
                },
                _ => match duplicates.next() {
                    Some(duplicate) => self.duplicate(duplicate),
                    None => return,
                },
            }
        }
        let left = wastes.map(|w| w.bytes).chain(duplicates.map(|d| d.bytes));
        let (count, bytes) = left.fold((0, 0), |(n, sum), bytes| (n + 1, sum + bytes));
        if count > 0 {
            self.row(bytes, &format!("… {count} more"));
        }
    }

    /// What to do about wastes, where they are worth it.
    fn advice(&mut self, usage: &Usage<'_>) {
        let (mut taken, mut again) = (0, 0);
        for waste in usage.wastes() {
            match waste.how {
                How::Repeated(_) => again += waste.bytes,
                _ => taken += waste.bytes,
            }
        }
        let least = (self.total / WORTH).max(1);
        let all = [
            (
                taken,
                "Deleted, replaced: do it in the RUN that writes it, or keep it out of the COPY\n",
            ),
            (
                again,
                "Written again: `COPY --chmod`, `COPY --chown`, or in the RUN that makes it\n",
            ),
        ];
        let worth = all.into_iter().filter(|(bytes, _)| *bytes >= least);
        let told: String = worth.map(|(_, advice)| advice).collect();
        if !told.is_empty() {
            let _ = write!(self.text, "\n{told}");
        }
    }

    fn waste(&mut self, waste: &Waste<'_>) {
        let places = waste.places(PLACES);
        let places: Vec<String> = places
            .iter()
            .map(|p| words::absolute(&p.path(), p.file().is_none()))
            .collect();
        let files = match waste.contents.len() {
            1 => String::new(),
            n => format!("{} in ", words::files(n)),
        };
        self.row(waste.bytes, &format!("{files}{}", places.join(", ")));
        self.below(&format!("written, then {}:", words::how(waste.how)));
        self.layer(waste.layer);
        self.layer(waste.by);
    }

    fn duplicate(&mut self, duplicate: &Duplicate<'_>) {
        let shown = duplicate.contents.iter().take(PLACES);
        let mut names: Vec<String> = shown
            .map(|c| words::absolute(&c.entry.path, false))
            .collect();
        if duplicate.contents.len() > names.len() {
            names.push(format!("… {} more", duplicate.contents.len() - names.len()));
        }
        self.row(duplicate.bytes, &names.join(", "));
        let times = duplicate.contents.len();
        let each = duplicate.contents.first().map_or(0, |c| c.file.size);
        let each = words::size(each);
        self.below(&match times {
            2 => format!("the same {each} twice:"),
            _ => format!("the same {each} {times} times:"),
        });
        let mut layers: Vec<usize> = duplicate.contents.iter().map(|c| c.layer).collect();
        layers.dedup();
        for layer in layers {
            self.layer(layer);
        }
    }

    fn layer(&mut self, index: usize) {
        let by = self.layers.get(index).map(Layer::brief).unwrap_or_default();
        self.below(&format!("layer {}: {by}", index + 1));
    }
}
