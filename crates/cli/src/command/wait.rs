//! `kiln wait`: until containers have ended; prints their exit codes.

use std::process::ExitCode;

use clap::Args;

use super::each::{all, containers};
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Wait {
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Wait {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let containers = containers()?;
        all(&self.containers, &|name| {
            let code = containers.get(name)?.wait()?;
            host::print(&format!("{code}\n"))
        })
    }
}
