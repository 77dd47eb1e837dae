//! `kiln import`.

use std::{fs, io, process::ExitCode};

use clap::Args;
use kiln_build::image::Reference;

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Import {
    /// A tar archive of a root file system, perhaps compressed by gzip or zstd; `-` is standard
    /// input
    file: String,
    /// The name of the image
    name: Option<String>,
    /// The comment of the image's history
    #[arg(short, long)]
    message: Option<String>,
}

impl Import {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let name: Option<Reference> = self.name.as_deref().map(str::parse).transpose()?;
        let builder = host::builder()?;
        let message = self.message.as_deref();
        let id = match self.file.as_str() {
            "-" => builder.import(&mut io::stdin(), name.as_ref(), message)?,
            path => {
                let mut file = fs::File::open(path)
                    .map_err(|e| Failure::new(format!("read `{path}`")).because(&e))?;
                builder.import(&mut file, name.as_ref(), message)?
            }
        };
        host::print(&format!("{id}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
