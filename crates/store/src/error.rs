//! The one error of this crate: a kind a caller can act on, what it was about, and its cause.

use std::{fmt, io, path::Path};

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The image, blob, layer or folder is not here.
    NotFound,
    /// A short text names more than one thing.
    Ambiguous,
    /// What is on disk is not what it should be; `check` tells more.
    Damaged,
    /// The store was made by a newer version, with another layout.
    Newer,
    /// The disk is full.
    Full,
    /// The user may not do that here.
    Denied,
    /// What was asked for is known, and not done here.
    Unsupported,
    /// The bytes that came are not the bytes that were announced.
    Mismatch,
    /// A text or document is not what its grammar asks for.
    Invalid,
    /// Reading or writing failed.
    Io,
}

/// An error of the store. Displays as a lower-case fragment that reads after "failed to …".
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` is a lower-case fragment with values in backticks.
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            hint: None,
            source: None,
        }
    }

    pub(crate) fn because(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(cause.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes a closure for `map_err`: what `action` on `path` failed with.
    pub(crate) fn on<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> Self + use<'a> {
        move |e| kiln_durable::Error::new(action, path, e).into()
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
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

impl From<kiln_durable::Error> for Error {
    fn from(e: kiln_durable::Error) -> Self {
        use kiln_durable::ErrorKind as Kind;
        let kind = match e.kind() {
            Kind::Full => ErrorKind::Full,
            Kind::NotFound => ErrorKind::NotFound,
            Kind::Denied | Kind::ReadOnly => ErrorKind::Denied,
            Kind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        let error = Self::new(kind, e.to_string());
        match kind {
            ErrorKind::Full => error
                .hint("`kiln system prune` removes what nothing uses")
                .because(e.into_io()),
            ErrorKind::Denied => error
                .hint("a store is its user's own: `KILN_ROOT` names another folder for one")
                .because(e.into_io()),
            _ => error.because(e.into_io()),
        }
    }
}

impl From<kiln_image::Error> for Error {
    fn from(e: kiln_image::Error) -> Self {
        use kiln_image::ErrorKind as Kind;
        let kind = match e.kind() {
            Kind::Invalid => ErrorKind::Invalid,
            Kind::NotFound => ErrorKind::NotFound,
            Kind::Denied => ErrorKind::Denied,
            Kind::Mismatch => ErrorKind::Mismatch,
            Kind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        let error = Self::new(kind, e.to_string());
        match e.hint_text() {
            Some(hint) => error.hint(hint.to_owned()).because(e),
            None => error.because(e),
        }
    }
}

impl From<kiln_layer::Error> for Error {
    fn from(e: kiln_layer::Error) -> Self {
        use kiln_layer::ErrorKind as Kind;
        let kind = match e.kind() {
            Kind::Invalid | Kind::Refused => ErrorKind::Invalid,
            Kind::NotFound => ErrorKind::NotFound,
            Kind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        Self::new(kind, e.to_string()).because(e)
    }
}

impl From<io::Error> for Error {
    /// An error of this crate or of those beneath it that travelled inside an [`io::Error`] comes
    /// out as it went in.
    fn from(e: io::Error) -> Self {
        let e = match e.downcast::<Error>() {
            Ok(inner) => return inner,
            Err(e) => e,
        };
        let e = match e.downcast::<kiln_durable::Error>() {
            Ok(inner) => return inner.into(),
            Err(e) => e,
        };
        match e.downcast::<kiln_image::Error>() {
            Ok(inner) => inner.into(),
            Err(e) => Self::new(ErrorKind::Io, "read or write").because(e),
        }
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        let kind = match e.kind {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Full => io::ErrorKind::StorageFull,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Damaged | ErrorKind::Mismatch | ErrorKind::Invalid => {
                io::ErrorKind::InvalidData
            }
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}

impl From<Error> for kiln_image::Error {
    fn from(e: Error) -> Self {
        use kiln_image::ErrorKind as Kind;
        let kind = match e.kind {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::Denied => Kind::Denied,
            ErrorKind::Mismatch | ErrorKind::Damaged => Kind::Mismatch,
            ErrorKind::Invalid | ErrorKind::Ambiguous => Kind::Invalid,
            ErrorKind::Unsupported | ErrorKind::Newer => Kind::Unsupported,
            _ => Kind::Io,
        };
        let error = kiln_image::Error::new(kind, e.what);
        let error = match e.hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
        match e.source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}
