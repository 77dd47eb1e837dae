//! `kiln diff`: what a container changed.

use std::process::ExitCode;

use clap::Args;
use kiln_container::Change;

use super::each::containers;
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Diff {
    /// A container: its name or id
    container: String,
}

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let container = containers()?.get(&self.container)?;
        let lines = container.diff()?.into_iter().map(|(change, path)| {
            let letter = match change {
                Change::Added => 'A',
                Change::Changed => 'C',
                Change::Deleted => 'D',
            };
            format!("{letter} {path}\n")
        });
        host::print(&lines.collect::<String>())?;
        Ok(ExitCode::SUCCESS)
    }
}
