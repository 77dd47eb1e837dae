//! Files between a disk and a tar, as `cp` moves them, and what things are called on the way. The same
//! code works on this machine's files and, by a child that stands there, on a container's.

mod landing;
#[cfg(target_os = "linux")]
mod pack;
mod through;
#[cfg(target_os = "linux")]
mod unpack;

use std::io::{self, Read};

pub use landing::{Landing, landing};
#[cfg(target_os = "linux")]
pub(crate) use landing::{means_content, split};
#[cfg(target_os = "linux")]
pub(crate) use pack::{Pack, look, pack};
pub(crate) use through::through;
#[cfg(target_os = "linux")]
pub(crate) use unpack::{Goal, Unpack, unpack};

use crate::{Error, ErrorKind};

/// Something on the disk did not go well: the cause is told in one breath, because only words go
/// from one process to another.
#[cfg(target_os = "linux")]
pub(crate) fn failed(what: &str, path: &std::path::Path, e: &io::Error) -> Error {
    let kind = match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{what} `{}`: {e}", path.display()))
}

/// As many bytes of a file as it had, whatever becomes of it: what is missing is read as zeros.
pub(crate) struct Exactly<R> {
    pub(crate) file: R,
    pub(crate) left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let mut n = self.file.read(&mut buffer[..most])?;
        if n == 0 {
            buffer[..most].fill(0);
            n = most;
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// What the tar's maker says.
pub(crate) fn spoiled(e: kiln_layer::Error) -> Error {
    let error = Error::new(ErrorKind::Io, e.to_string());
    match e.hint_text().map(str::to_owned) {
        Some(hint) => error.hint(hint).because(e),
        None => error.because(e),
    }
}
