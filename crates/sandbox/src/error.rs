//! What can go wrong, by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// This platform, kernel or user cannot do it, or it is not carried out yet.
    Unsupported,
    /// The root could not be mounted or entered.
    Root,
    /// A mount could not be made; the path is its target inside the root.
    Mount,
    /// The working directory does not exist or cannot be entered.
    WorkingDirectory,
    /// There is no such program in the root: docker's exit code 127.
    NotFound,
    /// The program is there and cannot be executed: docker's exit code 126.
    NotExecutable,
    /// User, groups, capabilities or arguments that the kernel refuses.
    Process,
    /// The network namespace could not be made as asked.
    Network,
    /// The installed OCI runtime failed.
    Runtime,
    /// The process that was to be entered does not run any more.
    Ended,
    /// Pipes, processes, memory: the machine refused something ordinary.
    System,
}

/// Why a process could not be started, or was lost.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    #[source]
    source: Option<io::Error>,
}

impl Error {
    /// An error of a kind; the message is a lower-case fragment.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            path: None,
            source: None,
        }
    }

    /// The same with the path that it is about.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same with what the system said, which also ends the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        self.message = format!("{}: {}", self.message, plain(&source));
        self.source = Some(source);
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The path that it is about: on the host for [`ErrorKind::Root`], inside the root otherwise.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The exit code with which `docker run` ends on this error: 127, 126 or 125.
    pub fn docker_code(&self) -> i32 {
        match self.kind {
            ErrorKind::NotFound | ErrorKind::WorkingDirectory => 127,
            ErrorKind::NotExecutable => 126,
            _ => 125,
        }
    }
}

/// What the system said, as people know it from other programs: `no such file or directory`,
/// without Rust's `(os error 2)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// An error on its way from the child to the caller.
#[cfg(target_os = "linux")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    kind: ErrorKind,
    message: String,
    path: Option<Vec<u8>>,
    errno: Option<i32>,
}

#[cfg(target_os = "linux")]
impl From<Error> for Report {
    fn from(error: Error) -> Self {
        use std::os::unix::ffi::OsStringExt;
        Self {
            kind: error.kind,
            message: error.message,
            path: error.path.map(|path| path.into_os_string().into_vec()),
            errno: error.source.and_then(|source| source.raw_os_error()),
        }
    }
}

#[cfg(target_os = "linux")]
impl From<Report> for Error {
    fn from(report: Report) -> Self {
        use std::os::unix::ffi::OsStringExt;
        Self {
            kind: report.kind,
            message: report.message,
            path: report
                .path
                .map(|path| std::ffi::OsString::from_vec(path).into()),
            source: report.errno.map(io::Error::from_raw_os_error),
        }
    }
}
