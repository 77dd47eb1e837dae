//! The one error of this crate: a kind that a caller can act on, what failed, what to do, and the cause.
//! No message has a password in it.

use std::{error::Error as StdError, fmt, io};

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for makes no sense: an address that is none, a commit that cannot be one.
    Invalid,
    /// The other side is there, and does not have it.
    NotFound,
    /// The other side wants to know who asks, or does not give it to them.
    Denied,
    /// The other side cannot be asked: no network, no answer, a connection that broke.
    Unreachable,
    /// What came is not what was promised: another checksum, another commit, a lie about a length.
    Mismatch,
    /// What came is not taken: too big, unsafe, a redirect that leaves HTTPS.
    Refused,
    /// It cannot be done here: there is no `git`, say.
    Unsupported,
    /// The caller asked to stop.
    Canceled,
    /// The disk is full.
    Full,
    /// Anything else, on this machine.
    Io,
}

/// An error of this crate. Displays as a lower-case fragment that reads after "failed to …: ".
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment with values in backticks.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            hint: None,
            source: None,
        }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    /// The same error with what a person can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What the system said while `what` was done.
    pub(crate) fn io(what: impl fmt::Display, e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(ErrorKind::Full, format!("{what}: the disk is full")).because(e)
            }
            _ => Self::new(ErrorKind::Io, what.to_string()).because(e),
        }
    }

    pub(crate) fn canceled() -> Self {
        Self::new(ErrorKind::Canceled, "canceled")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<kiln_durable::Error> for Error {
    fn from(e: kiln_durable::Error) -> Self {
        let kind = match e.kind() {
            kiln_durable::ErrorKind::Full => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Self::new(kind, "keep what was fetched").because(e)
    }
}
