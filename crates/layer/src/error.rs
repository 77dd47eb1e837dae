//! The one error of this crate: a kind a caller can act on, the path in the layer, and the cause.

use std::{fmt, io};

use crate::LayerPath;

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bytes are not what their format asks for: a path, an archive, an encoded tree.
    Invalid,
    /// Well formed, and not taken: it leaves the root, or it is beyond a limit.
    Refused,
    /// There is nothing at the path.
    NotFound,
    /// What is at the path is in the way: a file where a folder must be, or the other way round.
    Conflict,
    /// Symbolic links lead to themselves, or there are too many of them.
    Loop,
    /// A file changed while it was read.
    Changed,
    /// What was asked for is known, and not done here.
    Unsupported,
    /// Reading or writing failed.
    Io,
}

/// An error of this crate.
///
/// Displays as a lower-case fragment that reads after "failed to …: ".
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: String,
    path: Option<LayerPath>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment with values in backticks.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            path: None,
            hint: None,
            source: None,
        }))
    }

    /// The same error, about the entry at `path`. A path that is there already is kept.
    #[must_use]
    pub fn at(mut self, path: &LayerPath) -> Self {
        self.0.path.get_or_insert_with(|| path.clone());
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
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

    /// The entry that it is about, where there is one.
    pub fn path(&self) -> Option<&LayerPath> {
        self.0.path.as_ref()
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, what)
    }

    /// An error of reading or writing; an [`Error`] that travelled inside comes out as it went in.
    pub(crate) fn io(what: impl Into<String>, e: io::Error) -> Self {
        match e.downcast::<Error>() {
            Ok(inner) => inner,
            Err(e) => Self::new(ErrorKind::Io, what).because(e),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "`{path}`: ")?;
        }
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Error::io("read or write", e)
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        let kind = match e.kind() {
            ErrorKind::Invalid | ErrorKind::Refused | ErrorKind::Changed => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}
