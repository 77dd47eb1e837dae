//! `kiln attach`: take part in a container that runs.

use std::process::ExitCode;

use clap::Args;
use kiln_container::{State, Stdin};

use super::{
    each::containers,
    run::{Foreground, code},
};
use crate::{
    failure::Failure,
    terminal::{self, Session, Streams},
};

#[derive(Args)]
pub(crate) struct Attach {
    /// Do not attach to its standard input
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    foreground: Foreground,
    /// A container: its name or id
    container: String,
}

impl Attach {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let container = containers()?.get(&self.container)?;
        let command = &container.details().command;
        let session = Session {
            tty: command.terminal,
            streams: Streams {
                stdin: !self.no_stdin && command.stdin != Stdin::Closed,
                stdout: true,
                stderr: true,
            },
            keys: self.foreground.keys()?,
            pass_signals: self.foreground.sig_proxy && !command.terminal,
        };
        // One that does not run is told first.
        if let State::Running { .. } = container.state()? {
            terminal::check(session.tty, session.streams.stdin)?;
        }
        // Before raw mode: its errors are for a terminal that is as it was.
        let mut wish = session.wish();
        let size = wish.size;
        // Of another size for a moment: what is on its screen is drawn anew, for us.
        if let Some(size) = &mut wish.size {
            size.rows = size.rows.saturating_add(1);
        }
        let attached = container.attach(wish)?;
        if let Some(size) = size {
            attached.resizer()(size);
        }
        let raw = session.raw()?;
        let ended = session.run(attached);
        drop(raw);
        Ok(code(&ended?))
    }
}
