//! `kiln start`: containers that were made, or that have ended, run (again).

use std::process::ExitCode;

use clap::Args;
use kiln_container::{AttachEnd, Container, Stdin};

use super::{
    each::{containers, each},
    run::{Foreground, code},
};
use crate::{
    failure::Failure,
    terminal::{self, Session, Streams},
};

#[derive(Args)]
pub(crate) struct Start {
    /// Attach to its standard output and error, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach to its standard input
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    foreground: Foreground,
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Start {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if !self.attach && !self.interactive {
            return each(&self.containers, &|_, container| {
                container.start(None)?;
                Ok(())
            });
        }
        match &self.containers[..] {
            [name] => self.attend(&containers()?.get(name)?),
            _ => {
                let what = "you cannot start and attach multiple containers at once";
                Err(Failure::new(what))
            }
        }
    }

    fn attend(&self, container: &Container) -> Result<ExitCode, Failure> {
        let command = &container.details().command;
        let session = Session {
            tty: command.terminal,
            streams: Streams {
                stdin: self.interactive && command.stdin != Stdin::Closed,
                stdout: true,
                stderr: true,
            },
            keys: self.foreground.keys()?,
            pass_signals: self.foreground.sig_proxy && !command.terminal,
        };
        terminal::check(session.tty, session.streams.stdin)?;
        let raw = session.raw()?;
        let started = container.start(Some(session.wish()));
        let ended = match started {
            Ok(Some(attached)) => session.run(attached),
            Ok(None) => Ok(AttachEnd::Detached),
            Err(e) => Err(e.into()),
        };
        // What is said now is for a terminal that is as it was.
        drop(raw);
        Ok(code(&ended?))
    }
}
