//! `kiln commit`: an image of what a container changed.

use std::process::ExitCode;

use clap::Args;
use kiln_build::{change_config, image::Reference};

use super::each::containers;
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Commit {
    /// Who made it, as `Ann Example <ann@example.org>`
    #[arg(short, long)]
    author: Option<String>,
    /// What is said of it in the image's history
    #[arg(short, long)]
    message: Option<String>,
    /// Apply a Dockerfile instruction to the image: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK,
    /// LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR; may be given several times
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Pause the container meanwhile: only `false`, which is what is done, can be asked for
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    pause: Option<bool>,
    /// A container: its name or id
    container: String,
    /// The name of the image
    name: Option<String>,
}

impl Commit {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if self.pause == Some(true) {
            return Err(
                Failure::new("--pause: containers cannot be paused").hint(format!(
                    "leave it out, or first `kiln stop {}`: what is written during the commit may \
                     or may not be in the image",
                    self.container
                )),
            );
        }
        let name: Option<Reference> = self.name.as_deref().map(str::parse).transpose()?;
        if name.as_ref().is_some_and(|n| n.digest().is_some()) {
            return Err(Failure::new(
                "refusing to create a tag with a digest reference",
            ));
        }
        let container = containers()?.get(&self.container)?;
        let config = change_config(&container.details().config, &self.change)?;
        let commit = kiln_container::Commit {
            author: self.author,
            message: self.message,
            config,
        };
        let id = container.commit(&commit, name.as_ref())?;
        host::print(&format!("{id}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
