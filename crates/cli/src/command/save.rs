//! `kiln save`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{failure::Failure, host, output};

#[derive(Args)]
pub(crate) struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Only the image for this platform, where a name stands for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Images: names or ids
    #[arg(required = true)]
    images: Vec<String>,
}

impl Save {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let platform = self.platform.as_deref().map(str::parse).transpose()?;
        output::archive(self.output.as_deref(), |out| {
            Ok(builder.save(&self.images, platform.as_ref(), out)?)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
