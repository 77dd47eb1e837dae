//! How a build looks while it goes on. Each way of looking is an observer of the same events.

mod classic;
mod fetches;
pub(crate) mod layers;
mod moving;
mod plain;
mod tail;
mod tty;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::ValueEnum;
use kiln_build::Event;

pub(crate) use classic::Classic;
pub(crate) use tail::Tail;

/// The ways of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// `tty` on a terminal, else `plain`
    Auto,
    /// One line a step, and what runs is drawn again and again; `plain` where there is no terminal
    Tty,
    /// All output, each line with its step
    Plain,
    /// The transcript of docker's classic builder, on standard output
    Classic,
    /// Nothing but the image id
    #[value(alias = "none")]
    Quiet,
}

/// An observer of a build.
pub(crate) trait Progress: Sync {
    /// Something happened. Called from several threads.
    fn event(&self, event: &Event<'_>);

    /// The build is over; `failed` if so.
    fn finish(&self, failed: bool);
}

impl Style {
    /// The observer of this style.
    pub(crate) fn observer(self) -> Box<dyn Progress> {
        match self {
            Style::Auto if io::stderr().is_terminal() => Box::new(tty::Tty::new()),
            // Where there is no terminal, nothing can be drawn again.
            Style::Tty if io::stderr().is_terminal() => Box::new(tty::Tty::new()),
            Style::Auto | Style::Tty | Style::Plain => Box::new(plain::Plain::new()),
            Style::Classic => Box::new(Classic::new()),
            Style::Quiet => Box::new(Tail::new()),
        }
    }
}

/// Whether standard error is to be coloured.
pub(crate) fn colour() -> bool {
    let wanted = env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    wanted && io::stderr().is_terminal()
}
