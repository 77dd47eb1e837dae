//! `kiln image prune`, `kiln builder prune`, `kiln system prune`: what is not used goes.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Args;
use kiln_build::{
    Builder,
    image::Reference,
    store::{CollectOptions, Collected},
    time,
};

use kiln_container::Containers;

use crate::{failure::Failure, host, units};

#[derive(Args)]
pub(crate) struct Images {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only what matches: `until=TIME` (a date, or a duration before now as `24h`)
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
}

#[derive(Args)]
pub(crate) struct System {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
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
        let until = until(&self.filter)?;
        let builder = host::builder()?;
        let mut text = images(&builder, self.all, until)?;
        text.push_str(&total(&collect(&builder)?));
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
        records(&builder, self.all)?;
        host::print(&total(&collect(&builder)?))?;
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
            "WARNING! This will remove:\n  - all stopped containers\n  - {images_too}\n  \
             - unused build cache\n"
        );
        if !self.force && !confirm(&what)? {
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        let mut text = String::new();
        let removed = Containers::open(builder.roots())?.prune()?;
        if !removed.is_empty() {
            text.push_str("Deleted Containers:\n");
            for id in removed {
                text.push_str(&format!("{id}\n"));
            }
            text.push('\n');
        }
        text.push_str(&images(&builder, self.all, None)?);
        records(&builder, true)?;
        text.push_str(&total(&collect(&builder)?));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes images: those without a name, or all that no container uses. Tells which.
fn images(builder: &Builder, all: bool, until: Option<i64>) -> Result<String, Failure> {
    let images = builder.store().images();
    let listed = images.list()?;
    let used = builder.store().refs().list("container/")?;
    let mut text = String::new();
    for image in &listed {
        let id = image.image.id;
        let in_use = used.iter().any(|(_, r)| r.keeps.contains(&id));
        let stands = listed
            .iter()
            .any(|l| l.image.parent == Some(id) && !l.names.is_empty());
        let created = image
            .image
            .created
            .as_deref()
            .and_then(time::parse)
            .unwrap_or(0);
        let young = until.is_some_and(|until| created > until);
        if in_use || young || (!all && (!image.names.is_empty() || stands)) {
            continue;
        }
        for name in image.names.iter().map(|n| &n.name) {
            text.push_str(&format!("untagged: {}\n", Reference::familiar(name)));
        }
        images.remove(&id)?;
        text.push_str(&format!("deleted: {id}\n"));
    }
    match text.is_empty() {
        true => Ok(text),
        false => Ok(format!("Deleted Images:\n{text}\n")),
    }
}

/// Removes records of builds: all, or those that keep something no image has.
fn records(builder: &Builder, all: bool) -> Result<(), Failure> {
    let store = builder.store();
    let listed = store.images().list()?;
    let kept: std::collections::HashSet<_> = listed
        .iter()
        .flat_map(|l| l.image.layers.iter().copied())
        .collect();
    for name in store.refs().names("cache/")? {
        let dangling = match store.refs().get(&name)? {
            Some(found) => !found.keeps.iter().all(|d| kept.contains(d)),
            None => true,
        };
        if all || dangling {
            store.refs().remove(&name)?;
        }
    }
    Ok(())
}

fn collect(builder: &Builder) -> Result<Collected, Failure> {
    Ok(builder.store().collect(&CollectOptions::default())?)
}

fn total(collected: &Collected) -> String {
    format!(
        "Total reclaimed space: {}\n",
        units::size(collected.bytes, 4)
    )
}

fn confirm(warning: &str) -> Result<bool, Failure> {
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

/// The time before which an image must have been made.
fn until(filters: &[String]) -> Result<Option<i64>, Failure> {
    let mut until = None;
    for filter in filters {
        let Some(value) = filter.strip_prefix("until=") else {
            return Err(
                Failure::new(format!("invalid filter `{filter}`")).hint("there is: until=TIME")
            );
        };
        let ago = duration(value).map(|seconds| host::now() - seconds);
        until = ago
            .or_else(|| time::parse(value))
            .or_else(|| value.parse().ok());
        if until.is_none() {
            return Err(Failure::new(format!("`{value}` is no time"))
                .hint("write a duration as 24h, or a date as 2024-05-01T00:00:00Z"));
        }
    }
    Ok(until)
}

/// `1h30m` in seconds.
fn duration(text: &str) -> Option<i64> {
    let mut seconds = 0;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds += number.parse::<i64>().ok()?.checked_mul(unit)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then_some(seconds)
}
