//! `kiln container prune`: containers that do not run go.

use std::{cell::RefCell, collections::HashMap, process::ExitCode};

use clap::Args;

use super::{filter::Filter, total};
use crate::{
    command::{each::containers, ps::row::seconds},
    failure::Failure,
    host,
};

#[derive(Args)]
pub(crate) struct Containers {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only what matches: `until=TIME` (a date, or a duration before now as `24h`),
    /// `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

impl Containers {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let filter = Filter::parse(&self.filter)?;
        if !self.force && !host::confirm("WARNING! This will remove all stopped containers.")? {
            return Ok(ExitCode::SUCCESS);
        }
        let (mut text, bytes) = prune(&containers()?, &filter)?;
        text.push_str(&total(bytes));
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Removes them. Tells which, and how much they took.
pub(super) fn prune(
    containers: &kiln_container::Containers,
    filter: &Filter,
) -> Result<(String, u64), Failure> {
    let sizes = RefCell::new(HashMap::new());
    let gone = containers.prune(&|container| {
        let details = container.details();
        let goes = filter.leaves(seconds(details.created), &details.labels);
        if goes {
            // What cannot be measured is removed all the same.
            let bytes = container.size().unwrap_or(0);
            sizes.borrow_mut().insert(details.id.clone(), bytes);
        }
        goes
    })?;
    let sizes = sizes.into_inner();
    let ids: String = gone.iter().map(|id| format!("{id}\n")).collect();
    match ids.is_empty() {
        true => Ok((ids, 0)),
        false => Ok((
            format!("Deleted Containers:\n{ids}\n"),
            gone.iter().filter_map(|id| sizes.get(id)).sum(),
        )),
    }
}
