//! `kiln kill`: a signal to what runs in a container.

use std::process::ExitCode;

use clap::Args;

use super::each::each;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Kill {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        each(&self.containers, &|_, container| {
            Ok(container.kill(Some(&self.signal))?)
        })
    }
}
