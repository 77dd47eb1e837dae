//! The one error of this crate: a kind a caller can act on, the words, and the exit code with which
//! docker would end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A text or a combination that is none: a port, a name, a command that is empty.
    Invalid,
    /// There is no such container.
    NotFound,
    /// The name is taken, or the container's state does not allow it.
    Conflict,
    /// A published port is in use.
    PortTaken,
    /// The user or group is not known in the image.
    User,
    /// The program is not in the image.
    ProgramNotFound,
    /// The program is there and cannot be executed.
    NotExecutable,
    /// Known, and not done here.
    Unsupported,
    /// The root could not be made, or the process not started.
    Start,
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
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
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

    /// What a person can do next, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The exit code with which `docker run` ends on this error: 127 where the program is not
    /// found, 126 where it cannot be executed, else 125.
    pub fn docker_code(&self) -> i32 {
        match self.0.kind {
            ErrorKind::ProgramNotFound => 127,
            ErrorKind::NotExecutable => 126,
            _ => 125,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

/// What to do where the sandbox has nothing of its own to say.
fn hint(kind: kiln_sandbox::ErrorKind) -> Option<&'static str> {
    match kind {
        kiln_sandbox::ErrorKind::NotFound => {
            Some("a program has to be in the image: give its path there, or install it")
        }
        kiln_sandbox::ErrorKind::NotExecutable => Some(
            "a program has to have the execute bit: `chmod +x` it in the image, or name its \
             interpreter first",
        ),
        _ => None,
    }
}

impl From<kiln_sandbox::Error> for Error {
    fn from(e: kiln_sandbox::Error) -> Self {
        let kind = match (e.kind(), e.docker_code()) {
            (kiln_sandbox::ErrorKind::Unsupported, _) => ErrorKind::Unsupported,
            (kiln_sandbox::ErrorKind::Ended, _) => ErrorKind::Conflict,
            (_, 127) => ErrorKind::ProgramNotFound,
            (_, 126) => ErrorKind::NotExecutable,
            _ => ErrorKind::Start,
        };
        let text = e.to_string();
        match text.split_once('\n') {
            // What to do stands on a line of its own.
            Some((what, hint)) => Self::new(kind, what).hint(hint).because(e),
            None => match hint(e.kind()) {
                Some(hint) => Self::new(kind, text).hint(hint).because(e),
                None => Self::new(kind, text).because(e),
            },
        }
    }
}

impl From<kiln_rootfs::Error> for Error {
    fn from(e: kiln_rootfs::Error) -> Self {
        let kind = match e.kind() {
            kiln_rootfs::ErrorKind::User => ErrorKind::User,
            kiln_rootfs::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Start,
        };
        let same = Self::new(kind, e.to_string());
        match e.hint_text().map(str::to_owned) {
            Some(hint) => same.hint(hint).because(e),
            None => same.because(e),
        }
    }
}

impl From<kiln_durable::Error> for Error {
    fn from(e: kiln_durable::Error) -> Self {
        Self::new(ErrorKind::Io, e.to_string()).because(e)
    }
}
