//! `kiln image prune`, `kiln builder prune`, `kiln system prune`: what is not used goes.

mod containers;
mod filter;

use std::{
    collections::HashSet,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    time::UNIX_EPOCH,
};

use clap::Args;
use kiln_build::{
    Builder,
    image::Reference,
    store::{CollectOptions, Collected, ImageRecord},
};

pub(crate) use self::containers::Containers;
use self::filter::{Filter, before};
use super::volume;
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
pub(crate) struct Cache {
    /// Remove all records, also of builds whose images are here
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    which: Which,
}

/// Which records of builds go.
#[derive(Args, Default)]
struct Which {
    /// Only records older than this: `until=TIME`, a date or a duration before now as `24h`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Remove the oldest records, until what is left takes no more than this, as `512mb`
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    keep_storage: Option<u64>,
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
        if !self.force && !confirm(&format!("WARNING! {what}"))? {
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

impl Cache {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let what = match self.all {
            true => "This will remove all build cache.",
            false => "This will remove all dangling build cache.",
        };
        if !self.force && !confirm(&format!("WARNING! {what}"))? {
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        let mut text = records(&builder, self.all, &self.which)?;
        let indexes = match self.which.is_everything() {
            true => builder.store().indexes().clear()?,
            false => 0,
        };
        text.push_str(&total(collect(&builder)?.bytes + indexes));
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
        if !self.force && !confirm(&what)? {
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
        text.push_str(&records(&builder, self.all, &Which::default())?);
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

/// Removes records of builds: all, or those that keep something no image has. Tells which.
fn records(builder: &Builder, all: bool, which: &Which) -> Result<String, Failure> {
    let store = builder.store();
    let listed = store.images().list()?;
    let kept: HashSet<_> = listed
        .iter()
        .flat_map(|l| l.image.layers.iter().copied())
        .collect();
    let mut text = String::new();
    for name in which.records(builder)? {
        let dangling = match store.refs().get(&name)? {
            Some(found) => !found.keeps.iter().all(|d| kept.contains(d)),
            None => true,
        };
        if !(all || dangling) {
            continue;
        }
        if which
            .keep_storage
            .is_some_and(|keep| is_within(builder, keep))
        {
            break;
        }
        store.refs().remove(&name)?;
        text.push_str(&format!("{}\n", name.trim_start_matches("cache/")));
    }
    match text.is_empty() {
        true => Ok(text),
        false => Ok(format!("Deleted build cache objects:\n{text}\n")),
    }
}

/// Whether the build cache takes no more than `keep` bytes. What cannot be told is too much.
fn is_within(builder: &Builder, keep: u64) -> bool {
    builder
        .store()
        .usage()
        .is_ok_and(|usage| usage.cache.size <= keep)
}

impl Which {
    /// Whether nothing limits it.
    fn is_everything(&self) -> bool {
        self.filter.is_empty() && self.keep_storage.is_none()
    }

    /// The records that may go, the oldest first.
    fn records(&self, builder: &Builder) -> Result<Vec<String>, Failure> {
        let mut until = None;
        for text in &self.filter {
            let Some(value) = text.strip_prefix("until=") else {
                return Err(
                    Failure::new(format!("invalid filter `{text}`")).hint("there is: until=TIME")
                );
            };
            until = Some(before(value)?);
        }
        let refs = builder.store().refs();
        let mut found = Vec::new();
        for name in refs.names("cache/")? {
            let Some(written) = refs.written(&name)? else {
                continue;
            };
            let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            if until.is_none_or(|until| seconds <= until) {
                found.push((written, name));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }
}

fn collect(builder: &Builder) -> Result<Collected, Failure> {
    Ok(builder.store().collect(&CollectOptions::default())?)
}

fn total(bytes: u64) -> String {
    format!("Total reclaimed space: {}\n", units::size(bytes, 4))
}

pub(crate) fn confirm(warning: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new("there is nobody to ask").hint("use --force"));
    }
    host::print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    io::stdout()
        .flush()
        .map_err(|e| Failure::new("write to standard output").because(&e))?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Failure::new("read the answer").because(&e))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
