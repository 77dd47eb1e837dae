//! `kiln load`.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use kiln_build::From;

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Load {
    /// Read from this file (or folder of an OCI layout) instead of standard input
    #[arg(short, long)]
    input: Option<PathBuf>,
    /// Only the image for this platform, where the archive has several under one name
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Print nothing but names and ids
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let platform = self.platform.as_deref().map(str::parse).transpose()?;
        let platform = platform.as_ref();
        let builder = host::builder()?;
        let loaded = match &self.input {
            Some(path) => builder.load(From::Path(path), platform, &|_| {})?,
            None if io::stdin().is_terminal() => {
                return Err(
                    Failure::new("requested load from stdin, but stdin is empty")
                        .hint("use -i FILE, or redirect standard input"),
                );
            }
            None => builder.load(From::Stream(&mut io::stdin()), platform, &|_| {})?,
        };
        let mut text = String::new();
        for image in loaded {
            if !image.lacking.is_empty() && !self.quiet {
                let lacking: Vec<String> = image.lacking.iter().map(ToString::to_string).collect();
                host::say(&format!(
                    "note: {} is named in the archive's index, and not in the archive",
                    lacking.join(", ")
                ));
            }
            match image.names.is_empty() {
                true => text.push_str(&format!("Loaded image ID: {}\n", image.id)),
                false => {
                    for name in &image.names {
                        text.push_str(&format!("Loaded image: {}\n", name.familiar()));
                    }
                }
            }
        }
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
