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
    /// Print nothing but names and ids
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let loaded = match &self.input {
            Some(path) => builder.load(From::Path(path), &|_| {})?,
            None if io::stdin().is_terminal() => {
                return Err(
                    Failure::new("requested load from stdin, but stdin is empty")
                        .hint("use -i FILE, or redirect standard input"),
                );
            }
            None => builder.load(From::Stream(&mut io::stdin()), &|_| {})?,
        };
        let mut text = String::new();
        for image in loaded {
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
