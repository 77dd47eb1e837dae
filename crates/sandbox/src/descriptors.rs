//! Open files and sockets on their way to another process, beside bytes on a socket: how a program
//! and its children behind doors give them to each other. Who shall have them and what the bytes
//! mean is theirs to say.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// As many as go at once.
const MOST: usize = 4;

/// Sends bytes, as many as go, with at most four descriptors beside the first of them; how many bytes
/// went.
///
/// # Errors
///
/// What the system says, and `InvalidInput` for more descriptors.
pub fn send(to: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if descriptors.len() > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let bytes = [IoSlice::new(bytes)];
    let send = || sendmsg(to.as_fd(), &bytes, &mut beside, SendFlags::NOSIGNAL);
    Ok(rustix::io::retry_on_intr(send)?)
}

/// Receives bytes, and the descriptors beside them; no bytes at the end.
///
/// # Errors
///
/// What the system says.
pub fn receive(from: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_crosses() {
        let (one, other) = UnixStream::pair().unwrap();
        let (reads, writes) = io::pipe().unwrap();
        assert_eq!(send(&one, b"ab", &[reads.as_fd()]).unwrap(), 2);
        drop((reads, one));
        let mut bytes = [0; 8];
        let (got, given) = receive(&other, &mut bytes).unwrap();
        assert_eq!((&bytes[..got], given.len()), (&b"ab"[..], 1));
        io::Write::write_all(&mut &writes, b"content").unwrap();
        drop(writes);
        let [file] = <[OwnedFd; 1]>::try_from(given).unwrap();
        let text = io::read_to_string(std::fs::File::from(file)).unwrap();
        assert_eq!(text, "content");
        assert_eq!(receive(&other, &mut bytes).unwrap().0, 0);
    }

    #[test]
    fn more_than_go_are_refused() {
        let (one, _other) = UnixStream::pair().unwrap();
        let error = send(&one, b".", &[one.as_fd(); MOST + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
