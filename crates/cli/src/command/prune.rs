//! `kiln image prune`, `kiln builder prune`, `kiln system prune`: what is not used goes.

use std::{
    collections::HashSet,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    time::UNIX_EPOCH,
};

use clap::Args;
use kiln_build::{
    Builder,
    image::{Config, Reference},
    store::{CollectOptions, Collected, ImageRecord},
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
    /// Remove volumes that no container uses: kiln keeps none, so there is nothing more to remove
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
        let mut text = records(&builder, self.all, &self.which)?;
        text.push_str(&total(&collect(&builder)?));
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
                "  - all volumes not used by at least one container\n"
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
        let mut text = String::new();
        let removed = Containers::open(builder.roots())?.prune()?;
        if !removed.is_empty() {
            text.push_str("Deleted Containers:\n");
            for id in removed {
                text.push_str(&format!("{id}\n"));
            }
            text.push('\n');
        }
        text.push_str(&images(&builder, self.all, &filter)?);
        text.push_str(&records(&builder, self.all, &Which::default())?);
        text.push_str(&total(&collect(&builder)?));
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
                .is_ok_and(|config| filter.keeps(record, &config))
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

fn total(collected: &Collected) -> String {
    format!(
        "Total reclaimed space: {}\n",
        units::size(collected.bytes, 4)
    )
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

/// Which of the images that nobody uses go.
#[derive(Default)]
struct Filter {
    /// Those that were made before this time.
    until: Option<i64>,
    /// Those that have these labels, or with `false` those that do not.
    labels: Vec<(bool, String, Option<String>)>,
}

impl Filter {
    fn parse(filters: &[String]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for text in filters {
            if let Some(value) = text.strip_prefix("until=") {
                filter.until = Some(before(value)?);
            } else if let Some(label) = text.strip_prefix("label!=") {
                filter.labels.push(Self::label(false, label));
            } else if let Some(label) = text.strip_prefix("label=") {
                filter.labels.push(Self::label(true, label));
            } else {
                return Err(Failure::new(format!("invalid filter `{text}`"))
                    .hint("there are: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"));
            }
        }
        Ok(filter)
    }

    fn label(wanted: bool, text: &str) -> (bool, String, Option<String>) {
        match text.split_once('=') {
            Some((key, value)) => (wanted, key.to_owned(), Some(value.to_owned())),
            None => (wanted, text.to_owned(), None),
        }
    }

    /// Whether it leaves an image among those that go.
    fn keeps(&self, record: &ImageRecord, config: &Config) -> bool {
        let created = record.created.as_deref().and_then(time::parse).unwrap_or(0);
        let old = self.until.is_none_or(|until| created <= until);
        let has = |key: &String, value: &Option<String>| {
            let found = config.config.labels.get(key);
            found.is_some_and(|f| value.as_ref().is_none_or(|v| v == f))
        };
        old && self
            .labels
            .iter()
            .all(|(wanted, key, value)| has(key, value) == *wanted)
    }
}

/// The time that `until=` names: so long ago, a date, or seconds since 1970.
fn before(value: &str) -> Result<i64, Failure> {
    let ago = duration(value).map(|seconds| host::now() - seconds);
    let time = ago
        .or_else(|| time::parse(value))
        .or_else(|| value.parse().ok());
    time.ok_or_else(|| {
        Failure::new(format!("`{value}` is no time"))
            .hint("write a duration as 24h, or a date as 2024-05-01T00:00:00Z")
    })
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
