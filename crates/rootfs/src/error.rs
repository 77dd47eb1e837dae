//! The one error of this crate: a kind a caller can act on, the path on disk, and the cause.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// This platform or this user cannot do it.
    Unsupported,
    /// Something is not there: a layer, its bytes, a file of the root.
    NotFound,
    /// Bytes are not what their digest or format says.
    Mismatch,
    /// A user or group that the root does not know, or that is none.
    User,
    /// More layers than the kernel mounts.
    TooManyLayers,
    /// A layer could not be read or made.
    Layer,
    /// A layer that was being made contains what was [watched](kiln_layer::Watch) for: this needle.
    /// The path is inside the layer.
    Sighted(usize),
    /// The store refused.
    Store,
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
    path: Option<PathBuf>,
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

    /// The same error with the path on this machine that it is about. A path that is there already
    /// is kept.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path.get_or_insert_with(|| path.into());
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

    /// What could not be done, without the path.
    #[cfg(target_os = "linux")]
    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    /// The path on this machine that it is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Something was found that was watched for.
    #[cfg(target_os = "linux")]
    pub(crate) fn sighted(found: &kiln_layer::Sighting) -> Self {
        let what = "the layer contains what it must not, in";
        Self::new(ErrorKind::Sighted(found.needle), what).at(format!("/{}", found.path))
    }

    /// Reading or writing `path` failed.
    pub(crate) fn io(what: &str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::new(ErrorKind::Io, what)
            .at(path)
            .because(cause.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        if let Some(path) = &self.0.path {
            write!(f, " `{}`", path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<kiln_layer::Error> for Error {
    fn from(e: kiln_layer::Error) -> Self {
        let kind = match e.kind() {
            kiln_layer::ErrorKind::Unsupported => ErrorKind::Unsupported,
            kiln_layer::ErrorKind::NotFound => ErrorKind::NotFound,
            kiln_layer::ErrorKind::Io => ErrorKind::Io,
            _ => ErrorKind::Layer,
        };
        let same = Self::new(kind, e.to_string());
        let same = match e.hint_text().map(str::to_owned) {
            Some(hint) => same.hint(hint),
            None => same,
        };
        match std::error::Error::source(&e).is_some() {
            true => same.because(e),
            false => same,
        }
    }
}

impl From<kiln_store::Error> for Error {
    fn from(e: kiln_store::Error) -> Self {
        let kind = match e.kind() {
            kiln_store::ErrorKind::NotFound => ErrorKind::NotFound,
            kiln_store::ErrorKind::Damaged | kiln_store::ErrorKind::Mismatch => ErrorKind::Mismatch,
            _ => ErrorKind::Store,
        };
        let same = Self::new(kind, e.to_string());
        match e.hint_text().map(str::to_owned) {
            Some(hint) => same.hint(hint).because(e),
            None => same.because(e),
        }
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        let kind = match e.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Mismatch => io::ErrorKind::InvalidData,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, e)
    }
}
