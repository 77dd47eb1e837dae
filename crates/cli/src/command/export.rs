//! `kiln export`: the root of a container, as a flat tar.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::each::containers;
use crate::{failure::Failure, output};

#[derive(Args)]
pub(crate) struct Export {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// A container: its name or id
    container: String,
}

impl Export {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let container = containers()?.get(&self.container)?;
        output::archive(self.output.as_deref(), |out| {
            container.export(out)?;
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
