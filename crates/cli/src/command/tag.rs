//! `kiln tag`.

use std::process::ExitCode;

use clap::Args;

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Tag {
    /// An image: its name or id
    source: String,
    /// The new name
    target: String,
}

impl Tag {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let name: kiln_build::image::Reference = self.target.parse()?;
        if name.digest().is_some() {
            return Err(Failure::new(
                "refusing to create a tag with a digest reference",
            ));
        }
        let builder = host::builder()?;
        let build = builder.store().begin()?;
        let found = builder.store().images().find(&self.source)?;
        build.name(&name, &found.image)?;
        build.seal()?;
        Ok(ExitCode::SUCCESS)
    }
}
