//! `kiln rm`: containers and what they changed.

use std::process::ExitCode;

use clap::Args;

use super::each::{all, containers};
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Rm {
    /// Kill what runs; a container that is not there is no failure
    #[arg(short, long)]
    force: bool,
    /// Remove the anonymous volumes that go with them
    #[arg(short, long)]
    volumes: bool,
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Rm {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let containers = containers()?;
        all(&self.containers, &|name| {
            let container = match containers.get(name) {
                Err(e) if self.force && e.kind() == kiln_container::ErrorKind::NotFound => {
                    host::say(&format!("warning: {e}"));
                    return Ok(());
                }
                found => found?,
            };
            containers.remove(&container, self.force, self.volumes)?;
            host::print(&format!("{name}\n"))
        })
    }
}
