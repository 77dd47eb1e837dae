//! `kiln builder prune`: records of builds, cache mounts and what was fetched go, those that were used
//! longest ago first.

use std::{collections::HashSet, process::ExitCode};

use clap::Args;
use kiln_build::Builder;

use super::{collect, total};
use crate::{
    command::builder::{Item, What, Which, beside_records, bytes_of},
    failure::Failure,
    host, units,
};

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
    /// Remove the oldest, until what is left takes no more than this, as `512mb`
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    keep_storage: Option<u64>,
}

impl Cache {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let what = match self.all {
            true => "This will remove all build cache.",
            false => "This will remove all dangling build cache.",
        };
        if !self.force && !host::confirm(&format!("WARNING! {what}"))? {
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        let (mut text, freed) = remove_until(&builder, self.all, &self.which, self.keep_storage)?;
        let indexes = match self.which.is_everything() && self.keep_storage.is_none() {
            true => builder.store().indexes().clear()?,
            false => 0,
        };
        text.push_str(&total(collect(&builder)?.bytes + indexes + freed));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes records, all or those that keep something no image has, cache mounts that nobody has, and what
/// was fetched. Tells which, and how many bytes all but the records had.
pub(super) fn remove(
    builder: &Builder,
    all: bool,
    which: &Which,
) -> Result<(String, u64), Failure> {
    remove_until(builder, all, which, None)
}

fn remove_until(
    builder: &Builder,
    all: bool,
    which: &Which,
    keep: Option<u64>,
) -> Result<(String, u64), Failure> {
    let store = builder.store();
    let listed = store.images().list()?;
    let kept: HashSet<_> = listed
        .iter()
        .flat_map(|l| l.image.layers.iter().copied())
        .collect();
    let mut beside = match keep {
        Some(_) => beside_records(builder)?.size,
        None => 0,
    };
    let fetcher = builder.fetcher()?;
    let (mut text, mut freed) = (String::new(), 0);
    for item in which.items(builder)? {
        if keep.is_some_and(|keep| is_within(builder, beside, keep)) {
            break;
        }
        let Item { id, what, .. } = &item;
        let gone = match what {
            What::Record(name) => {
                let found = store.refs().get(name)?;
                let whole = found.is_some_and(|f| f.keeps.iter().all(|d| kept.contains(d)));
                (all || !whole) && store.refs().remove(name)?
            }
            What::Mount(info) => {
                let size = bytes_of(builder, info)?;
                let gone = store.cache_mounts().remove(info)?;
                if gone {
                    freed += size;
                    beside = beside.saturating_sub(size);
                }
                gone
            }
            What::Fetched(kept) => {
                let gone = fetcher.remove(&kept.id).map_err(kiln_build::Error::from)?;
                if gone {
                    freed += kept.size;
                    beside = beside.saturating_sub(kept.size);
                }
                gone
            }
        };
        if gone {
            text.push_str(&format!("{id}\n"));
        }
    }
    fetcher.sweep().map_err(kiln_build::Error::from)?;
    match text.is_empty() {
        true => Ok((text, freed)),
        false => Ok((format!("Deleted build cache objects:\n{text}\n"), freed)),
    }
}

/// Whether the build cache takes no more than `keep` bytes. What cannot be told is too much.
fn is_within(builder: &Builder, beside: u64, keep: u64) -> bool {
    let usage = builder.store().usage();
    usage.is_ok_and(|usage| usage.cache.size + beside <= keep)
}
