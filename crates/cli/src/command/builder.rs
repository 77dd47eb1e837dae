//! `kiln builder du`: what builds keep to be faster next time: records, cache mounts, and what they fetched.

use std::{
    collections::HashSet,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use kiln_build::{
    Builder,
    fetch::{Kept, Source},
    image::Digest,
    store::{CacheMountInfo, Row},
    time,
};
use serde_json::{Value, json};

use crate::{failure::Failure, host, moment, table::Table, units};

#[derive(Args)]
pub(crate) struct Du {
    #[command(flatten)]
    which: Which,
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Tell all that is known of each
    #[arg(long, conflicts_with = "format")]
    verbose: bool,
}

/// Which of it is meant.
#[derive(Args, Default)]
pub(crate) struct Which {
    /// Only what matches: `until=TIME` (used before a date, or a duration before now as `24h`),
    /// `id=ID`, `type=regular|exec.cachemount|source.http|source.git.checkout`, `description=TEXT`,
    /// `inuse=true|false`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// One thing that is kept.
pub(crate) struct Item {
    pub(crate) id: String,
    /// What it is for: the id of a cache mount, an address.
    description: String,
    created: SystemTime,
    used: SystemTime,
    pub(crate) what: What,
}

/// What kind of thing.
pub(crate) enum What {
    /// The record of a step, by the name of its root.
    Record(String),
    Mount(CacheMountInfo),
    /// A file or a repository that was fetched.
    Fetched(Kept),
}

const TABLE: Table = Table {
    columns: &[
        ("ID", "{{.ID}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
        ("SIZE", "{{.Size}}"),
        ("LAST ACCESSED", "{{.LastAccessed}}"),
        ("DESCRIPTION", "{{.Description}}"),
    ],
};

impl Du {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let (mut total, mut free) = (0, 0);
        let mut rows = Vec::new();
        let mut seen = HashSet::new();
        for item in self.which.items(&builder)? {
            let size = item.size(&builder, &mut seen)?;
            total += size;
            if !item.in_use() {
                free += size;
            }
            rows.push(item.value(size));
        }
        if self.verbose {
            host::print(&rows.iter().map(block).collect::<String>())?;
        } else {
            host::print(&TABLE.render(&rows, self.format.as_deref())?)?;
        }
        if self.format.is_none() {
            let (free, total) = (units::size(free, 4), units::size(total, 4));
            host::print(&format!("Reclaimable:\t{free}\nTotal:\t\t{total}\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// As buildx tells of one.
fn block(row: &Value) -> String {
    let members = [
        ("ID", "ID"),
        ("Created at", "CreatedAt"),
        ("Mutable", "Mutable"),
        ("Reclaimable", "Reclaimable"),
        ("Shared", "Shared"),
        ("Size", "Size"),
        ("Description", "Description"),
        ("Usage count", "UsageCount"),
        ("Last used", "LastAccessed"),
        ("Type", "Type"),
    ];
    let line = |(shown, name): &(&str, &str)| {
        let text = row[*name]
            .as_str()
            .map_or_else(|| row[*name].to_string(), str::to_owned);
        (!text.is_empty()).then(|| format!("{shown}:\t{text}\n"))
    };
    members.iter().filter_map(line).collect::<String>() + "\n"
}

impl Item {
    fn in_use(&self) -> bool {
        matches!(&self.what, What::Mount(info) if info.in_use)
    }

    fn kind(&self) -> &'static str {
        match &self.what {
            What::Record(_) => "regular",
            What::Mount(_) => "exec.cachemount",
            What::Fetched(kept) => match kept.source {
                Source::Git => "source.git.checkout",
                Source::Http => "source.http",
            },
        }
    }

    /// Bytes: of a record those of its layers that were not `seen` before; of all else those on the
    /// disk.
    pub(crate) fn size(
        &self,
        builder: &Builder,
        seen: &mut HashSet<Digest>,
    ) -> Result<u64, Failure> {
        let name = match &self.what {
            What::Mount(info) => return bytes_of(builder, info),
            What::Fetched(kept) => return Ok(kept.size),
            What::Record(name) => name,
        };
        let found = builder.store().refs().get(name)?;
        let mut bytes = 0;
        for digest in found.iter().flat_map(|found| &found.keeps) {
            if seen.insert(*digest)
                && let Some(layer) = builder.store().layers().get(digest)?
            {
                bytes += layer.facts.content;
            }
        }
        Ok(bytes)
    }

    fn value(&self, size: u64) -> Value {
        let now = seconds(SystemTime::now());
        let uses = match &self.what {
            What::Record(_) | What::Fetched(_) => Value::Null,
            What::Mount(info) => info.uses.into(),
        };
        json!({
            "ID": self.id,
            "Type": self.kind(),
            "Description": self.description,
            "CreatedAt": time::rfc3339(seconds(self.created)),
            "LastAccessed": format!("{} ago", units::duration(now - seconds(self.used))),
            "Size": units::size(size, 4),
            "Reclaimable": (!self.in_use()).to_string(),
            "InUse": self.in_use().to_string(),
            "Mutable": matches!(self.what, What::Mount(_)).to_string(),
            "Shared": "false",
            "UsageCount": uses,
        })
    }
}

impl Which {
    /// Whether nothing limits it.
    pub(crate) fn is_everything(&self) -> bool {
        self.filter.is_empty()
    }

    /// What is meant, that which was used longest ago first.
    pub(crate) fn items(&self, builder: &Builder) -> Result<Vec<Item>, Failure> {
        let mut all = Vec::new();
        let refs = builder.store().refs();
        for name in refs.names("cache/")? {
            let Some(written) = refs.written(&name)? else {
                continue;
            };
            all.push(Item {
                id: name.trim_start_matches("cache/").to_owned(),
                description: String::new(),
                created: written,
                used: written,
                what: What::Record(name),
            });
        }
        for info in builder.store().cache_mounts().list()? {
            all.push(Item {
                id: info.name.clone(),
                description: format!("cached mount {}", info.id),
                created: info.created,
                used: info.used,
                what: What::Mount(info),
            });
        }
        all.extend(fetched(builder)?);
        for text in &self.filter {
            filter(text, &mut all)?;
        }
        all.sort_by(|a, b| (a.used, &a.id).cmp(&(b.used, &b.id)));
        Ok(all)
    }
}

fn filter(text: &str, all: &mut Vec<Item>) -> Result<(), Failure> {
    let (key, value) = text.split_once('=').unwrap_or((text, "true"));
    match key {
        "until" => {
            let until = moment::in_seconds(value)?;
            all.retain(|item| seconds(item.used) <= until);
        }
        "id" => all.retain(|item| item.id.starts_with(value)),
        "type" => all.retain(|item| item.kind() == value),
        "description" => all.retain(|item| item.description.contains(value)),
        "inuse" => all.retain(|item| item.in_use() == (value != "false")),
        _ => {
            return Err(Failure::new(format!("invalid filter `{text}`")).hint(
                "there are: until=TIME, id=ID, type=TYPE, description=TEXT, inuse=true|false",
            ));
        }
    }
    Ok(())
}

/// What builds fetched.
fn fetched(builder: &Builder) -> Result<Vec<Item>, Failure> {
    let kept = builder.fetcher()?.kept().map_err(kiln_build::Error::from)?;
    let item = |kept: Kept| {
        let used = UNIX_EPOCH + Duration::from_secs(u64::try_from(kept.used).unwrap_or(0));
        Item {
            id: kept.id.clone(),
            description: match kept.source {
                Source::Git => format!("git repository {}", kept.from),
                Source::Http => format!("file {}", kept.from),
            },
            created: used,
            used,
            what: What::Fetched(kept),
        }
    };
    Ok(kept.into_iter().map(item).collect())
}

/// Cache mounts and what was fetched: all that is kept for builds beside records.
pub(crate) fn beside_records(builder: &Builder) -> Result<Row, Failure> {
    let mut row = Row::default();
    for info in builder.store().cache_mounts().list()? {
        let bytes = bytes_of(builder, &info)?;
        row.total += 1;
        row.size += bytes;
        match info.in_use {
            true => row.active += 1,
            false => row.reclaimable += bytes,
        }
    }
    for item in fetched(builder)? {
        let bytes = item.size(builder, &mut HashSet::new())?;
        row.total += 1;
        row.size += bytes;
        row.reclaimable += bytes;
    }
    Ok(row)
}

/// How much a cache mount takes on the disk.
pub(super) fn bytes_of(builder: &Builder, info: &CacheMountInfo) -> Result<u64, Failure> {
    if !info.folder.exists() {
        return Ok(0);
    }
    let measured = builder.roots().bodies().measure(&info.folder);
    Ok(measured.map_err(kiln_build::Error::from)?.bytes)
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
