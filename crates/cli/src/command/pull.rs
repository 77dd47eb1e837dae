//! `kiln pull`.

use std::process::ExitCode;

use clap::Args;
use kiln_build::image::{Platform, Reference};

use crate::{failure::Failure, host, progress::layers::Layers};

#[derive(Args)]
pub(crate) struct Pull {
    /// The image's name
    name: String,
    /// Take the image for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Print nothing but the name
    #[arg(short, long)]
    quiet: bool,
}

impl Pull {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let name: Reference = self.name.parse()?;
        let platform = match &self.platform {
            Some(text) => text.parse()?,
            None => Platform::host(),
        };
        let builder = host::builder()?;
        if !self.quiet {
            if name.to_string() != self.name && !self.name.contains([':', '@']) {
                host::print("Using default tag: latest\n")?;
            }
            host::print(&format!(
                "{}: Pulling from {}\n",
                name.tag_or_digest(),
                name.repository()
            ))?;
        }
        let layers = Layers::new("Pull complete", "Already exists", self.quiet);
        let pulled = builder.pull(&name, &platform, &|t| layers.tell(&t))?;
        if self.platform.is_some() && !pulled.platform.serves(&platform) {
            host::say(&format!(
                "WARNING: image with reference {} was found but its platform ({}) does not match the \
                 specified platform ({platform})",
                name.familiar(),
                pulled.platform
            ));
        }
        if !self.quiet {
            let status = match pulled.new {
                true => "Downloaded newer image for",
                false => "Image is up to date for",
            };
            host::print(&format!("Digest: {}\n", pulled.descriptor.digest))?;
            host::print(&format!("Status: {status} {}\n", name.familiar()))?;
        }
        host::print(&format!("{name}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
