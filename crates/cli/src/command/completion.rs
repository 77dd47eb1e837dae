//! `kiln completion`: the script by which a shell completes commands and flags. Refuses to write it
//! anywhere: where a shell looks for it is its user's affair.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut crate::args::Args::command(),
            "kiln",
            &mut script,
        );
        host::print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
