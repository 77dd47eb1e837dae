//! Who takes an archive as a stream: standard output, and another engine that loads it.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use clap::ValueEnum;
use kiln_build::{
    ArchiveExport, Compression, Destination, Error, ErrorKind, Export, ImageForm, Push, Receiver,
    Writing,
};

use crate::host;

/// How much is written at once.
const BUFFER: usize = 1 << 20;

/// Where an image is loaded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// kiln's own store
    Kiln,
    /// The docker at hand
    Docker,
    /// The podman at hand
    Podman,
}

impl Engine {
    /// The output that hands the image over.
    pub(super) fn export(self) -> Export {
        let program = match self {
            Engine::Podman => "podman",
            Engine::Kiln | Engine::Docker => "docker",
        };
        Export::Archive(ArchiveExport {
            to: Load::of(program, None),
            names: Vec::new(),
            form: ImageForm {
                packed: Push {
                    compression: Some(Compression::None),
                    ..Push::default()
                },
                ..ImageForm::default()
            },
        })
    }
}

/// The engine that a context of docker leads to.
pub(super) fn docker(context: String) -> Destination {
    Load::of("docker", Some(context))
}

/// Standard output.
pub(super) struct Stdout;

impl Receiver for Stdout {
    fn receive(&self, write: Writing<'_>) -> Result<(), Error> {
        let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout());
        write(&mut out)?;
        out.flush()
            .map_err(|e| Error::new(ErrorKind::Io, "write to standard output").because(e))
    }
}

/// `docker load`, `podman load`.
struct Load {
    program: &'static str,
    /// Which of docker's contexts.
    context: Option<String>,
}

impl Load {
    fn of(program: &'static str, context: Option<String>) -> Destination {
        Destination::Stream(Arc::new(Self { program, context }))
    }
}

impl Receiver for Load {
    fn receive(&self, write: Writing<'_>) -> Result<(), Error> {
        let name = self.program;
        let failed = |e: io::Error| {
            let kind = match e.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            };
            Error::new(kind, format!("run `{name} load`")).because(e)
        };
        let context = self.context.iter().flat_map(|name| ["--context", name]);
        let child = Command::new(name)
            .args(context)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => failed(e).hint(format!(
                "install {name}, or write an archive for it: `-o type=docker,dest=FILE`"
            )),
            _ => failed(e),
        })?;
        let written = match child.stdin.take() {
            Some(stdin) => {
                let mut out = io::BufWriter::with_capacity(BUFFER, stdin);
                write(&mut out).and_then(|()| out.flush().map_err(failed))
            }
            None => Ok(()),
        };
        let said = child.wait_with_output().map_err(failed)?;
        if !said.status.success() {
            // Why it went away is more than that its pipe broke.
            let why = String::from_utf8_lossy(&said.stderr);
            let what = format!("`{name} load`: {}", said.status);
            return Err(Error::new(ErrorKind::Io, what).because(why.trim().to_owned()));
        }
        written?;
        let text = String::from_utf8_lossy(&said.stdout);
        for line in text.lines().filter(|line| !line.is_empty()) {
            host::say(&format!("{name}: {line}"));
        }
        Ok(())
    }
}
