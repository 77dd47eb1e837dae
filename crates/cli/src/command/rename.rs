//! `kiln rename`.

use std::process::ExitCode;

use clap::Args;

use super::each::containers;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Rename {
    /// The container: its name or id
    container: String,
    /// Its new name
    new_name: String,
}

impl Rename {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let containers = containers()?;
        if self.container.is_empty() || self.new_name.is_empty() {
            return Err(Failure::new("neither old nor new names may be empty"));
        }
        let container = containers.get(&self.container)?;
        containers.rename(&container, &self.new_name)?;
        Ok(ExitCode::SUCCESS)
    }
}
