//! Where a process reads and writes.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};

/// One of the three standard streams.
#[derive(Debug, Default)]
pub enum Stream {
    /// `/dev/null`.
    #[default]
    Null,
    /// That of the calling program.
    Inherit,
    /// A descriptor of the caller: a file, one end of a pipe, a socket. It is closed in the calling
    /// program when the process has been started, so that a reader sees the end.
    File(File),
}

/// The three standard streams; all of them `/dev/null` by default.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Io {
    pub stdin: Stream,
    pub stdout: Stream,
    pub stderr: Stream,
}

impl Io {
    /// All three are the calling program's own.
    pub fn inherit() -> Self {
        Self {
            stdin: Stream::Inherit,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
        }
    }

    /// All three are `/dev/null`.
    pub fn null() -> Self {
        Self::default()
    }
}

impl From<File> for Stream {
    fn from(file: File) -> Self {
        Self::File(file)
    }
}

/// What the system calls an owned descriptor.
#[cfg(unix)]
use std::os::fd::OwnedFd as Owned;
#[cfg(windows)]
use std::os::windows::io::OwnedHandle as Owned;

impl From<PipeReader> for Stream {
    fn from(pipe: PipeReader) -> Self {
        Self::File(File::from(Owned::from(pipe)))
    }
}

impl From<PipeWriter> for Stream {
    fn from(pipe: PipeWriter) -> Self {
        Self::File(File::from(Owned::from(pipe)))
    }
}

impl From<Owned> for Stream {
    fn from(owned: Owned) -> Self {
        Self::File(File::from(owned))
    }
}
