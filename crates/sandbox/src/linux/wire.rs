//! What the caller and the child behind the door say to each other: JSON with a length before it,
//! and descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Report;
use crate::{Exit, IdMap, Outward, Spec};

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
    Ended(Exit),
    /// Nothing more is heard of the process.
    Left,
}

/// More descriptors than any message has.
const DESCRIPTORS: usize = 4;

/// Sends a message and descriptors.
pub(crate) fn send(
    to: &UnixStream,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let mut bytes = u32::try_from(body.len())
        .map_err(|_| io::ErrorKind::InvalidInput)?
        .to_le_bytes()
        .to_vec();
    bytes.extend(body);
    let mut rest = send_with(to, &bytes, descriptors)?;
    while rest < bytes.len() {
        rest += send_with(to, &bytes[rest..], &[])?;
    }
    Ok(())
}

/// Sends bytes, as many as go, with descriptors beside the first of them.
pub(crate) fn send_with(
    to: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let bytes = [IoSlice::new(bytes)];
    let send = || sendmsg(to.as_fd(), &bytes, &mut beside, SendFlags::NOSIGNAL);
    Ok(rustix::io::retry_on_intr(send)?)
}

/// Receives a message and its descriptors; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(
    mut from: &UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let (got, descriptors) = receive_with(from, &mut length)?;
    if got == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[got..])?;
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, descriptors)))
}

/// Receives bytes, and the descriptors beside them.
pub(crate) fn receive_with(
    from: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::io::retry_on_intr(|| {
        let bytes = &mut [IoSliceMut::new(bytes)];
        recvmsg(from.as_fd(), bytes, &mut beside, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            descriptors.extend(list);
        }
    }
    Ok((got.bytes, descriptors))
}
