//! `kiln save`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{failure::Failure, host, output};

#[derive(Args)]
pub(crate) struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Images: names or ids
    #[arg(required = true)]
    images: Vec<String>,
}

impl Save {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        output::archive(self.output.as_deref(), |out| {
            Ok(builder.save(&self.images, out)?)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
