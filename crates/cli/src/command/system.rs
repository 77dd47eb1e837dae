//! `kiln system check` and `kiln system df`.

mod verbose;

use std::process::ExitCode;

use clap::Args;
use kiln_build::{Builder, store::Row};
use kiln_container::{Containers, Volumes};
use serde_json::{Value, json};

use super::{
    builder::beside_records,
    ps::{is_up, row::Seen},
};
use crate::{failure::Failure, host, table::Table, units};

/// Nothing to say but that it is to be done.
#[derive(Args)]
pub(crate) struct Check {}

impl Check {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let problems = builder.store().check()?;
        if problems.is_empty() {
            host::print("Everything in the store is whole.\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        for problem in &problems {
            host::print(&format!("{}: {}\n", problem.what, problem.why))?;
        }
        let count = problems.len();
        Err(Failure::new(format!("{count} problem(s) in the store"))
            .hint("remove the images named above and pull or build them again"))
    }
}

#[derive(Args)]
pub(crate) struct Df {
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Show each image and container
    #[arg(short, long, conflicts_with = "format")]
    verbose: bool,
}

const TABLE: Table = Table {
    columns: &[
        ("TYPE", "{{.Type}}"),
        ("TOTAL", "{{.TotalCount}}"),
        ("ACTIVE", "{{.Active}}"),
        ("SIZE", "{{.Size}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
    ],
};

impl Df {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        if self.verbose {
            host::print(&verbose::report(&builder)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let usage = builder.store().usage()?;
        let all = Containers::open(builder.roots())?;
        let rows = [
            value("Images", &usage.images),
            value("Containers", &containers(&all, usage.containers)?),
            value("Local Volumes", &volumes(&all.volumes())?),
            value("Build Cache", &cache(&builder, usage.cache)?),
        ];
        host::print(&TABLE.render(&rows, self.format.as_deref())?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Records, cache mounts, and what was fetched.
fn cache(builder: &Builder, records: Row) -> Result<Row, Failure> {
    let beside = beside_records(builder)?;
    Ok(Row {
        total: records.total + beside.total,
        active: records.active + beside.active,
        size: records.size + beside.size,
        reclaimable: records.reclaimable + beside.reclaimable,
    })
}

/// The store knows what only containers keep in it; what they changed is theirs.
fn containers(all: &Containers, mut row: Row) -> Result<Row, Failure> {
    for container in all.list()? {
        let Some(seen) = Seen::new(container)? else {
            continue;
        };
        let bytes = seen.container.size()?;
        row.size += bytes;
        match is_up(&seen.state) {
            true => row.active += 1,
            false => row.reclaimable += bytes,
        }
    }
    Ok(row)
}

fn volumes(all: &Volumes) -> Result<Row, Failure> {
    let mut row = Row::default();
    for volume in all.list()? {
        let bytes = all.size(&volume)?;
        row.total += 1;
        row.size += bytes;
        match all.users(&volume)?.is_empty() {
            true => row.reclaimable += bytes,
            false => row.active += 1,
        }
    }
    Ok(row)
}

fn value(kind: &str, row: &Row) -> Value {
    let percent = (row.reclaimable * 100).checked_div(row.size);
    let reclaimable = match percent {
        Some(percent) => format!("{} ({percent}%)", units::size(row.reclaimable, 4)),
        None => units::size(row.reclaimable, 4),
    };
    json!({
        "Type": kind,
        "TotalCount": row.total.to_string(),
        "Active": row.active.to_string(),
        "Size": units::size(row.size, 4),
        "Reclaimable": reclaimable,
    })
}
