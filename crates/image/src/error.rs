//! The one error of this crate: a kind a caller can act on, what it was about, and its cause.

use std::fmt;

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A text is not what its grammar asks for: a digest, a reference, a platform, a document.
    Invalid,
    /// The name, document or blob is not there.
    NotFound,
    /// Credentials are missing, wrong, or not enough.
    Denied,
    /// The other side could not be reached, or went away.
    Unreachable,
    /// The bytes that came are not the bytes that were asked for: another digest or size.
    Mismatch,
    /// What was asked for is known, and not done here.
    Unsupported,
    /// Reading or writing failed.
    Io,
}

/// An error of the image vocabulary, or of a [`Source`](crate::Source) or [`Sink`](crate::Sink).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment that reads after "failed to …: ".
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            hint: None,
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// The same error with what a person can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    /// An [`Error`] that travelled inside an [`std::io::Error`] comes out as it went in.
    fn from(e: std::io::Error) -> Self {
        match e.downcast::<Error>() {
            Ok(inner) => inner,
            Err(e) => Error::new(ErrorKind::Io, "read or write").because(e),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(e: Error) -> Self {
        let kind = match e.kind {
            ErrorKind::Invalid | ErrorKind::Mismatch => std::io::ErrorKind::InvalidData,
            ErrorKind::NotFound => std::io::ErrorKind::NotFound,
            ErrorKind::Denied => std::io::ErrorKind::PermissionDenied,
            ErrorKind::Unreachable => std::io::ErrorKind::ConnectionAborted,
            ErrorKind::Unsupported => std::io::ErrorKind::Unsupported,
            ErrorKind::Io => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, e)
    }
}
