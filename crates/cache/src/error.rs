//! The one error of this crate: a kind a caller can act on, what it was about, and its cause.

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a record, or not one that this version reads: as good as absent.
    Damaged,
    /// The text is not a key.
    Invalid,
    /// The disk is full.
    Full,
    /// The place where records are kept could not be read or written.
    Io,
}

/// A record or key that could not be read or kept. Reads after "failed to …".
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    kind: ErrorKind,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment that reads after "failed to …: ". For
    /// those who keep records in a place of their own.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
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

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<kiln_durable::Error> for Error {
    fn from(e: kiln_durable::Error) -> Self {
        let kind = match e.kind() {
            kiln_durable::ErrorKind::Full => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Self {
            kind,
            what: "keep a cache record".to_owned(),
            source: Some(Box::new(e)),
        }
    }
}
