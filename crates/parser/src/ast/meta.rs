//! The instructions that set a value and those that describe the image.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Command, Instruction};
use crate::span::{Span, Spanned};
use crate::word::Word;

/// `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair<'a> {
    /// Left of `=`; variables are replaced here too.
    pub key: Word<'a>,
    /// Right of it.
    pub value: Word<'a>,
}

/// `ENV key=value …` or `ENV key value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Env<'a> {
    /// In order, at least one.
    pub pairs: Vec<Pair<'a>>,
    /// Written in the old form without `=`.
    pub legacy: bool,
}

/// `LABEL key=value …` or `LABEL key value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label<'a> {
    /// In order, at least one.
    pub pairs: Vec<Pair<'a>>,
    /// Written in the old form without `=`.
    pub legacy: bool,
}

/// One argument of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArgPair<'a> {
    /// The name, as it is written: no variable is replaced in it, and quotes are a part of it.
    pub name: Word<'a>,
    /// The default, if there is one; it may be empty.
    pub default: Option<Word<'a>>,
}

/// `ARG name[=default] …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arg<'a> {
    /// In order, at least one.
    pub pairs: Vec<ArgPair<'a>>,
}

/// `WORKDIR path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workdir<'a> {
    /// The rest of the line.
    pub path: Word<'a>,
}

/// `USER user[:group]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User<'a> {
    /// The rest of the line.
    pub user: Word<'a>,
}

/// `STOPSIGNAL signal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StopSignal<'a> {
    /// The rest of the line: a name or a number.
    pub signal: Word<'a>,
}

/// `MAINTAINER name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Maintainer<'a> {
    /// The rest of the line. Variables are not replaced.
    pub name: Word<'a>,
}

/// `VOLUME path …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume<'a> {
    /// In order, at least one.
    pub paths: Vec<Word<'a>>,
    /// Whether it was written as a JSON array.
    pub json: bool,
}

/// `SHELL ["program", "argument"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shell {
    /// The program and its arguments.
    pub args: Vec<Spanned<String>>,
}

/// `ONBUILD instruction`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnBuild<'a> {
    /// The trigger as it goes into the image's config: the rest of the logical line, heredoc
    /// bodies behind it. [`crate::parse_instruction`] reads it again.
    pub trigger: String,
    /// The trigger read as an instruction; absent when it cannot be read (a warning says why:
    /// builders store it all the same).
    pub instruction: Option<Box<Instruction<'a>>>,
    /// Where the trigger stands.
    pub span: Span,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Healthcheck<'a> {
    /// `HEALTHCHECK NONE`: drop what the base image has.
    None,
    /// `HEALTHCHECK [options] CMD command`.
    Cmd {
        /// What is given of interval, timeout and so on.
        options: HealthcheckOptions,
        /// What to run.
        command: Command<'a>,
    },
}

/// Options of `HEALTHCHECK`; what is absent is inherited. Zero means the same as absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HealthcheckOptions {
    /// `--interval`.
    #[serde(serialize_with = "as_nanoseconds")]
    pub interval: Option<Spanned<Duration>>,
    /// `--timeout`.
    #[serde(serialize_with = "as_nanoseconds")]
    pub timeout: Option<Spanned<Duration>>,
    /// `--start-period`.
    #[serde(serialize_with = "as_nanoseconds")]
    pub start_period: Option<Spanned<Duration>>,
    /// `--start-interval`.
    #[serde(serialize_with = "as_nanoseconds")]
    pub start_interval: Option<Spanned<Duration>>,
    /// `--retries`.
    pub retries: Option<Spanned<u32>>,
}

/// As one number, which is what configs of images hold.
fn as_nanoseconds<S: serde::Serializer>(
    period: &Option<Spanned<Duration>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let nanoseconds = period.as_ref().map(|period| {
        let number = u64::try_from(period.node.as_nanos()).unwrap_or(u64::MAX);
        Spanned::new(number, period.span)
    });
    nanoseconds.serialize(serializer)
}

/// `EXPOSE port …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expose<'a> {
    /// As written; each may stand for several ports once its variables are replaced
    /// ([`Word::expand_words`], then [`Port::parse`]).
    pub ports: Vec<Word<'a>>,
}

/// The protocol of an exposed port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The default.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
    /// Streams of messages.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// One port, as the image's config has it: `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Why a word is not a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n{help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PortError {}
