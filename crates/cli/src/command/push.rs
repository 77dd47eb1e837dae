//! `kiln push`.

use std::process::ExitCode;

use clap::Args;
use kiln_build::image::Reference;

use crate::{failure::Failure, host, progress::layers::Layers};

#[derive(Args)]
pub(crate) struct Push {
    /// The image's name: its registry is where it goes
    name: String,
    /// Print nothing but the name
    #[arg(short, long)]
    quiet: bool,
}

impl Push {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let name: Reference = self.name.parse()?;
        let builder = host::builder()?;
        if !self.quiet {
            if !self
                .name
                .ends_with(&format!(":{}", name.tag().unwrap_or_default()))
            {
                host::print("Using default tag: latest\n")?;
            }
            let repository = format!("{}/{}", name.registry(), name.repository());
            host::print(&format!("The push refers to repository [{repository}]\n"))?;
        }
        let layers = Layers::new("Pushed", "Layer already exists", self.quiet);
        let pushed = builder.push(&name, &|t| layers.tell(&t))?;
        match self.quiet {
            true => host::print(&format!("{name}\n"))?,
            false => host::print(&format!(
                "{}: digest: {} size: {}\n",
                name.tag().unwrap_or_default(),
                pushed.digest,
                pushed.size
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
