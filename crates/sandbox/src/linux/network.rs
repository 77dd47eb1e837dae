//! The network namespace: made, entered, and sockets handed out of it.
//!
//! A socket belongs to the namespace in which it was made for all its life. So the child makes it
//! inside and passes it to the caller, who connects it from outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::UnshareFlags;

use super::sys;
use crate::{Error, ErrorKind, descriptors};

/// A network namespace that this process is in, for good: a user namespace that may do everything
/// inside may not go back to the host's.
pub(crate) struct Namespace {
    inside: OwnedFd,
}

impl Namespace {
    /// A new one with loopback up. From here on this process, and what it forks, is inside; nobody
    /// uses a group above `last_group`.
    pub(crate) fn enter_new(last_group: u32) -> Result<Self, Error> {
        let made = Self::make(last_group);
        made.map_err(|error| {
            Error::new(ErrorKind::Network, "make a network namespace").because(error)
        })
    }

    fn make(last_group: u32) -> io::Result<Self> {
        sys::unshare(UnshareFlags::NEWNET)?;
        let inside = File::open("/proc/self/ns/net")?.into();
        let socket = tcp_socket()?;
        sys::loopback_up(socket.as_fd())?;
        // As docker has it: there is nobody else whose ports could be taken. Kernels without the
        // setting keep theirs.
        let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let groups = format!("0 {}", last_group.min(i32::MAX as u32));
        let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups);
        Ok(Self { inside })
    }

    /// The descriptor of the namespace.
    pub(crate) fn inside(&self) -> &OwnedFd {
        &self.inside
    }
}

fn tcp_socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// Answers one question for a socket of this process's namespace; `false` when nobody asks any more.
pub(crate) fn serve(socket: &UnixStream) -> io::Result<bool> {
    let (got, _) = descriptors::receive(socket, &mut [0])?;
    if got == 0 {
        return Ok(false);
    }
    match tcp_socket() {
        Ok(made) => descriptors::send(socket, &0i32.to_le_bytes(), &[made.as_fd()])?,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(libc::EIO);
            descriptors::send(socket, &number.to_le_bytes(), &[])?
        }
    };
    Ok(true)
}

/// Asks for a socket from inside.
pub(crate) fn ask(socket: &UnixStream) -> io::Result<OwnedFd> {
    let ended = || io::Error::new(io::ErrorKind::NotConnected, "the process has ended");
    descriptors::send(socket, &[1], &[]).map_err(|_| ended())?;
    let mut number = [0; 4];
    match descriptors::receive(socket, &mut number)? {
        (0, _) => Err(ended()),
        (_, mut made) => match (made.pop(), i32::from_le_bytes(number)) {
            (Some(made), _) => Ok(made),
            (None, number) => Err(io::Error::from_raw_os_error(number)),
        },
    }
}
