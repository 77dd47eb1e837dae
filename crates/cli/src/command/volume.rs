//! `kiln volume`: folders that outlive containers, by name.

mod filter;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use kiln_container::{Volume, Volumes};
use serde_json::{Value, json};

use self::filter::Filter;
use super::{
    each::{all, containers},
    inspect::{self, render},
};
use crate::{failure::Failure, host, pairs, table::Table, units};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a volume
    Create(Create),
    /// List volumes
    #[command(alias = "list")]
    Ls(Ls),
    /// Display detailed information on volumes
    Inspect(Inspect),
    /// Remove volumes; not one that a container uses
    #[command(alias = "remove")]
    Rm(Rm),
    /// Remove volumes that no container uses
    Prune(Prune),
}

#[derive(Args)]
pub(crate) struct Create {
    /// What keeps it: folders of this machine are all there is
    #[arg(short, long, value_parser = ["local"], default_value = "local")]
    driver: String,
    /// Something to say of it, `KEY[=VALUE]`; may be given several times
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Its name; one is drawn where there is none
    name: Option<String>,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// Only volumes that match: `dangling=true|false`, `driver=NAME`, `label=KEY[=VALUE]`,
    /// `name=PART`
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Only names
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Args)]
pub(crate) struct Inspect {
    /// `json`, or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Volumes, by name
    #[arg(required = true)]
    volumes: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Rm {
    /// A volume that is not there is no failure
    #[arg(short, long)]
    force: bool,
    /// Volumes, by name
    #[arg(required = true)]
    volumes: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Prune {
    /// Remove all volumes that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only what matches: `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

const TABLE: Table = Table {
    columns: &[("DRIVER", "{{.Driver}}"), ("VOLUME NAME", "{{.Name}}")],
};

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(c) => c.run(),
            Self::Ls(c) => c.run(),
            Self::Inspect(c) => c.run(),
            Self::Rm(c) => c.run(),
            Self::Prune(c) => c.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<ExitCode, Failure> {
        let labels = pairs::labels(&[], &self.label)?.into_iter().collect();
        let volume = volumes()?.create(self.name.as_deref(), labels)?;
        host::print(&format!("{}\n", volume.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Ls {
    fn run(self) -> Result<ExitCode, Failure> {
        let volumes = volumes()?;
        let filter = Filter::list(&self.filter)?;
        let mut rows = Vec::new();
        for volume in volumes.list()? {
            if filter.keeps(&volume) && filter.dangles(|| Ok(volumes.users(&volume)?))? {
                rows.push(row(&volume));
            }
        }
        let text = if self.quiet {
            let names = rows.iter().filter_map(|row| row["Name"].as_str());
            names.map(|name| format!("{name}\n")).collect()
        } else {
            TABLE.render(&rows, self.format.as_deref())?
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Inspect {
    fn run(self) -> Result<ExitCode, Failure> {
        let volumes = volumes()?;
        let mut values = Vec::new();
        let mut failed = None;
        for name in &self.volumes {
            match volumes.get(name) {
                Ok(volume) => values.push(inspect::volume::value(&volume)),
                // As docker has it: what was found is shown all the same.
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        host::print(&render(&values, self.format.as_deref())?)?;
        match failed {
            Some(e) => Err(e.into()),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

impl Rm {
    fn run(self) -> Result<ExitCode, Failure> {
        let volumes = volumes()?;
        all(&self.volumes, &|name| {
            match volumes.remove(name) {
                Err(e) if self.force && e.kind() == kiln_container::ErrorKind::NotFound => {}
                removed => removed?,
            }
            host::print(&format!("{name}\n"))
        })
    }
}

impl Prune {
    fn run(self) -> Result<ExitCode, Failure> {
        let which = match self.all {
            true => "all local volumes",
            false => "anonymous local volumes",
        };
        let filter = Filter::prune(&self.filter)?;
        let what = format!("WARNING! This will remove {which} not used by at least one container.");
        if !self.force && !host::confirm(&what)? {
            return Ok(ExitCode::SUCCESS);
        }
        let (mut text, bytes) = pruned(&volumes()?, self.all, &filter)?;
        let size = units::size(bytes, 4);
        text.push_str(&format!("Total reclaimed space: {size}\n"));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes volumes that nobody uses. What went, as docker tells it, and how many bytes that were.
fn pruned(volumes: &Volumes, all: bool, filter: &Filter) -> Result<(String, u64), Failure> {
    let gone = volumes.prune(all, &|volume| filter.keeps(volume))?;
    let mut text = String::new();
    for volume in &gone {
        text.push_str(&format!("{}\n", volume.name));
    }
    if !text.is_empty() {
        text = format!("Deleted Volumes:\n{text}\n");
    }
    Ok((text, gone.iter().map(|volume| volume.bytes).sum()))
}

/// What `system prune --volumes` removes: the volumes without a name that nobody uses.
pub(crate) fn prune_anonymous(volumes: &Volumes) -> Result<(String, u64), Failure> {
    pruned(volumes, false, &Filter::default())
}

fn volumes() -> Result<Volumes, Failure> {
    Ok(containers()?.volumes())
}

fn row(volume: &Volume) -> Value {
    let labels: Vec<String> = volume
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    json!({
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        // For `.Label "key"`; no field that people see.
        "Label": volume.labels,
        "Labels": labels.join(","),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    })
}
