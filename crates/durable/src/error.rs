//! The one error of this crate: what was done to which path, and why it did not work.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file system is full, or the quota used up.
    Full,
    /// The path is not there.
    NotFound,
    /// The user may not do that.
    Denied,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The file system or the system cannot do that: locks on some network file systems.
    Unsupported,
    /// Anything else.
    Io,
}

/// An operation on a path that failed. Reads after "failed to …".
#[derive(Debug, thiserror::Error)]
#[error("{action} `{}`{}", path.display(), kind.remark())]
pub struct Error {
    kind: ErrorKind,
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ErrorKind {
    fn of(e: &io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Io,
        }
    }

    fn remark(self) -> &'static str {
        match self {
            Self::Full => ": the disk is full",
            _ => "",
        }
    }
}

impl Error {
    /// What `action` (a verb: "write") on `path` failed with.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::of(&source),
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Makes a closure for `map_err`: what `action` on `path` failed with.
    pub fn on<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + use<'a> {
        move |source| Self::new(action, path, source)
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The path that it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives up what the system said, for an error that tells the rest itself.
    pub fn into_io(self) -> io::Error {
        self.source
    }

    /// What the system said.
    pub fn io(&self) -> &io::Error {
        &self.source
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        io::Error::new(e.source.kind(), e)
    }
}
