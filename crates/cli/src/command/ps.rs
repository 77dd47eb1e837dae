//! `kiln ps`: the containers that run, or all of them.

mod filter;
pub(crate) mod ports;
pub(crate) mod row;

use std::process::ExitCode;

use clap::Args;
use kiln_container::{Containers, State};

use self::{
    filter::Filter,
    row::{Look, Seen},
};
use crate::{config, failure::Failure, host, table::Table};

#[derive(Args)]
pub(crate) struct Ps {
    /// Show all containers, not only those that run
    #[arg(short, long)]
    all: bool,
    /// Only containers that match: `id`, `name`, `label`, `exited`, `status`, `ancestor`, `before`,
    /// `since`, `volume`, `network`, `publish`, `expose`, `health`
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Only the containers that were made last, whatever they do
    // docker's -1, and 0, are no count.
    #[arg(short = 'n', long, value_name = "COUNT", allow_negative_numbers = true)]
    last: Option<i64>,
    /// Only the container that was made last, whatever it does
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show how much they changed
    #[arg(short, long)]
    size: bool,
}

/// docker's columns; the last is there with `--size` alone.
const COLUMNS: &[(&str, &str)] = &[
    ("CONTAINER ID", "{{.ID}}"),
    ("IMAGE", "{{.Image}}"),
    ("COMMAND", "{{.Command}}"),
    ("CREATED", "{{.RunningFor}}"),
    ("STATUS", "{{.Status}}"),
    ("PORTS", "{{.Ports}}"),
    ("NAMES", "{{.Names}}"),
    ("SIZE", "{{.Size}}"),
];

const SIZES: Table = Table { columns: COLUMNS };

const TABLE: Table = Table {
    columns: COLUMNS.split_at(COLUMNS.len() - 1).0,
};

impl Ps {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let containers = Containers::open(builder.roots())?;
        let images = builder.store().images();
        let filter = Filter::parse(&self.filter, &images, &containers)?;
        let last = match self.latest {
            true => Some(1),
            false => self.last.and_then(|n| usize::try_from(n).ok()),
        };
        let last = last.filter(|n| *n > 0);
        let all = self.all || last.is_some() || filter.asks_for_state();
        let mut rows = Vec::new();
        let format = self.format.clone().or_else(|| config::setting("psFormat"));
        let look = Look {
            shorten: !self.no_trunc,
            size: self.size || format.as_deref().is_some_and(|f| f.contains(".Size")),
        };
        for container in containers.list()? {
            if last.is_some_and(|last| rows.len() >= last) {
                break;
            }
            let Some(seen) = Seen::new(container)? else {
                continue;
            };
            if (all || is_up(&seen.state)) && filter.keeps(&seen) {
                rows.push(seen.row(&images, look)?);
            }
        }
        let text = if self.quiet {
            let ids = rows.iter().filter_map(|row| row["ID"].as_str());
            ids.map(|id| format!("{id}\n")).collect()
        } else {
            let table = if self.size { SIZES } else { TABLE };
            table.render(&rows, format.as_deref())?
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether docker lists it without `-a`.
pub(crate) fn is_up(state: &State) -> bool {
    matches!(state, State::Running { .. } | State::Restarting { .. })
}
