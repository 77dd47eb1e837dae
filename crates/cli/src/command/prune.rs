//! `kiln image prune`, `kiln builder prune`, `kiln system prune`: what is not used goes.

mod cache;
mod containers;
mod filter;

use std::process::ExitCode;

use clap::Args;
use kiln_build::{
    Builder,
    image::Reference,
    store::{CollectOptions, Collected, ImageRecord},
};

use self::filter::Filter;
pub(crate) use self::{cache::Cache, containers::Containers};
use super::{builder::Which, volume};
use crate::{failure::Failure, host, units};

#[derive(Args)]
pub(crate) struct Images {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only what matches: `until=TIME` (a date, or a duration before now as `24h`),
    /// `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

#[derive(Args)]
pub(crate) struct System {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only images that match, as in `kiln image prune`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Remove anonymous volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
}

impl Images {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let what = match self.all {
            true => {
                "This will remove all images without at least one container associated to them."
            }
            false => "This will remove all dangling images.",
        };
        if !self.force && !host::confirm(&format!("WARNING! {what}"))? {
            return Ok(ExitCode::SUCCESS);
        }
        let filter = Filter::parse(&self.filter)?;
        let builder = host::builder()?;
        let mut text = images(&builder, self.all, &filter)?;
        text.push_str(&total(collect(&builder)?.bytes));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl System {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let images_too = match self.all {
            true => "all images without at least one container associated to them",
            false => "all dangling images",
        };
        let what = format!(
            "WARNING! This will remove:\n  - all stopped containers\n{}  - {images_too}\n  \
             - {} build cache\n",
            if self.volumes {
                "  - all anonymous volumes not used by at least one container\n"
            } else {
                ""
            },
            if self.all { "all" } else { "unused" }
        );
        let filter = Filter::parse(&self.filter)?;
        if !self.force && !host::confirm(&what)? {
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        let all = kiln_container::Containers::open(builder.roots())?;
        let (mut text, mut bytes) = containers::prune(&all, &filter)?;
        if self.volumes {
            let (volumes, of_volumes) = volume::prune_anonymous(&all.volumes())?;
            text.push_str(&volumes);
            bytes += of_volumes;
        }
        text.push_str(&images(&builder, self.all, &filter)?);
        let (cache, of_mounts) = cache::remove(&builder, self.all, &Which::default())?;
        text.push_str(&cache);
        bytes += of_mounts;
        bytes += builder.store().indexes().clear()?;
        text.push_str(&total(collect(&builder)?.bytes + bytes));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes images: those without a name, or all that no container uses. Tells which.
fn images(builder: &Builder, all: bool, filter: &Filter) -> Result<String, Failure> {
    let images = builder.store().images();
    let used = builder.store().refs().list("container/")?;
    let goes = |record: &ImageRecord| {
        let in_use = used.iter().any(|(_, r)| r.keeps.contains(&record.id));
        // A config that cannot be read is no reason to remove anything.
        !in_use
            && images
                .config(record)
                .is_ok_and(|config| filter.image(record, &config))
    };
    let mut text = String::new();
    if all {
        for image in images.list()?.iter().filter(|l| goes(&l.image)) {
            for name in image.names.iter().map(|n| &n.name) {
                text.push_str(&format!("untagged: {}\n", Reference::familiar(name)));
            }
            images.remove(&image.image.id)?;
            text.push_str(&format!("deleted: {}\n", image.image.id));
        }
    } else {
        for image in images.prune(&goes)? {
            text.push_str(&format!("deleted: {}\n", image.id));
        }
    }
    match text.is_empty() {
        true => Ok(text),
        false => Ok(format!("Deleted Images:\n{text}\n")),
    }
}

fn collect(builder: &Builder) -> Result<Collected, Failure> {
    Ok(builder.store().collect(&CollectOptions::default())?)
}

fn total(bytes: u64) -> String {
    format!("Total reclaimed space: {}\n", units::size(bytes, 4))
}
