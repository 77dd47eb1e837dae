//! What the caller and the child behind the door say to each other: JSON with a length before it,
//! and descriptors beside it.

use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Report;
use crate::{Exit, IdMap, Outward, Spec, descriptors};

/// The first thing that the caller says. Descriptors: standard input, output, error, and the socket
/// for [`super::network::serve`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) spec: Spec,
    /// The ids of the user namespace in which the child is, where it is in one.
    pub(crate) ids: Option<IdMap>,
    /// The OCI runtime that shall do it.
    pub(crate) runtime: Option<PathBuf>,
    /// `pasta`, where it is installed.
    pub(crate) pasta: Option<PathBuf>,
}

/// What the caller says later.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Signal(i32),
    /// The process lives on without the caller. Beside it the master of its terminal, where it has
    /// one.
    Leave,
}

/// What the child says.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Started {
        pid: u32,
        outward: Option<Outward>,
    },
    Failed(Report),
    Ended(Ended),
    /// Nothing more is heard of the process.
    Left,
}

/// How a process ended.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Whether something was killed because its limit of memory was reached.
    pub(crate) memory: bool,
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Self {
            exit,
            memory: false,
        }
    }
}

/// Sends a message and descriptors.
pub(crate) fn send(
    to: &UnixStream,
    message: &impl Serialize,
    beside: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let mut bytes = u32::try_from(body.len())
        .map_err(|_| io::ErrorKind::InvalidInput)?
        .to_le_bytes()
        .to_vec();
    bytes.extend(body);
    let mut rest = descriptors::send(to, &bytes, beside)?;
    while rest < bytes.len() {
        rest += descriptors::send(to, &bytes[rest..], &[])?;
    }
    Ok(())
}

/// Receives a message and its descriptors; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(
    mut from: &UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let (got, beside) = descriptors::receive(from, &mut length)?;
    if got == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[got..])?;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, beside)))
}
