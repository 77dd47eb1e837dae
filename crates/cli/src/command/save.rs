//! `kiln save`.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Images: names or ids
    #[arg(required = true)]
    images: Vec<String>,
}

impl Save {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let Some(path) = &self.output else {
            if io::stdout().is_terminal() {
                return Err(Failure::new("cowardly refusing to save to a terminal")
                    .hint("use -o FILE, or redirect standard output"));
            }
            let mut out = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
            builder.save(&self.images, &mut out)?;
            out.flush()
                .map_err(|e| Failure::new("write to standard output").because(&e))?;
            return Ok(ExitCode::SUCCESS);
        };
        // Beside its place first: an archive is there whole, or not at all.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = path.with_file_name(name);
        let written = write(&builder, &self.images, &beside)
            .and_then(|()| fs::rename(&beside, path).map_err(|e| at(path, &e)));
        if written.is_err() {
            // What went wrong is told; that the rest of it stays is not worse.
            let _ = fs::remove_file(&beside);
        }
        written.map(|()| ExitCode::SUCCESS)
    }
}

fn write(builder: &kiln_build::Builder, images: &[String], path: &PathBuf) -> Result<(), Failure> {
    let file = fs::File::create(path).map_err(|e| at(path, &e))?;
    let mut out = io::BufWriter::with_capacity(1 << 20, file);
    builder.save(images, &mut out)?;
    out.flush().map_err(|e| at(path, &e))
}

fn at(path: &std::path::Path, e: &io::Error) -> Failure {
    Failure::new(format!("write `{}`", path.display())).because(e)
}
