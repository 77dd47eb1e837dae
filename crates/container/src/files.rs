//! Files between a disk and a tar, as `cp` moves them, and what things are called on the way. The same
//! code works on this machine's files and, by a child that stands there, on a container's.

mod landing;
mod pack;
mod through;
mod unpack;

use std::io;
use std::path::Path;

pub use landing::{Landing, landing};
pub(crate) use landing::{means_content, split};
pub(crate) use pack::{Exactly, Pack, look, pack, spoiled};
pub(crate) use through::through;
pub(crate) use unpack::{Unpack, unpack};

use crate::{Error, ErrorKind};

/// Something on the disk did not go well: the cause is told in one breath, because only words go
/// from one process to another.
pub(crate) fn failed(what: &str, path: &Path, e: io::Error) -> Error {
    let kind = match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{what} `{}`: {e}", path.display()))
}
