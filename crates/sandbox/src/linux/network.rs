//! The network namespace: made, entered for a moment, and sockets handed out of it.
//!
//! A socket belongs to the namespace in which it was made for all its life. So the child makes it
//! inside and passes it to the caller, who connects it from outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::{sys, wire};
use crate::{Error, ErrorKind};

/// A network namespace, held from outside by a process with a single thread.
pub(crate) struct Namespace {
    inside: OwnedFd,
    own: OwnedFd,
}

impl Namespace {
    /// A new one with loopback up.
    pub(crate) fn new() -> Result<Self, Error> {
        Self::make().map_err(|error| failed(error, "make a network namespace"))
    }

    fn make() -> io::Result<Self> {
        let own = current()?;
        sys::unshare(UnshareFlags::NEWNET)?;
        let inside = current()?;
        let namespace = Self { inside, own };
        let socket = tcp_socket()?;
        sys::loopback_up(socket.as_fd())?;
        // As docker has it: there is nobody else whose ports could be taken. Kernels without the
        // setting keep theirs.
        let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        namespace.leave()?;
        Ok(namespace)
    }

    /// From here on this process, and what it forks, is inside.
    pub(crate) fn enter(&self) -> Result<(), Error> {
        switch(&self.inside).map_err(|error| failed(error, "enter the network namespace"))
    }

    /// Back.
    pub(crate) fn leave(&self) -> io::Result<()> {
        switch(&self.own)
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        self.inside_do(tcp_socket)?
    }

    /// Does something inside.
    pub(crate) fn inside_do<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        switch(&self.inside)?;
        let done = work();
        switch(&self.own)?;
        Ok(done)
    }

    /// The descriptor of the namespace.
    pub(crate) fn inside(&self) -> &OwnedFd {
        &self.inside
    }
}

fn failed(error: io::Error, what: &str) -> Error {
    Error::new(ErrorKind::Network, what).because(error)
}

fn current() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/self/ns/net")?.into())
}

fn switch(to: &OwnedFd) -> io::Result<()> {
    move_into_link_name_space(to.as_fd(), Some(LinkNameSpaceType::Network)).map_err(Into::into)
}

fn tcp_socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// Answers one question for a socket; `false` when nobody asks any more.
pub(crate) fn serve(socket: &UnixStream, namespace: &Namespace) -> io::Result<bool> {
    let (got, _) = wire::receive_with(socket, &mut [0])?;
    if got == 0 {
        return Ok(false);
    }
    match namespace.socket() {
        Ok(made) => wire::send_with(socket, &0i32.to_le_bytes(), &[made.as_fd()])?,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(libc::EIO);
            wire::send_with(socket, &number.to_le_bytes(), &[])?
        }
    };
    Ok(true)
}

/// Asks for a socket from inside.
pub(crate) fn ask(socket: &UnixStream) -> io::Result<OwnedFd> {
    let ended = || io::Error::new(io::ErrorKind::NotConnected, "the process has ended");
    wire::send_with(socket, &[1], &[]).map_err(|_| ended())?;
    let mut number = [0; 4];
    match wire::receive_with(socket, &mut number)? {
        (0, _) => Err(ended()),
        (_, mut made) => match (made.pop(), i32::from_le_bytes(number)) {
            (Some(made), _) => Ok(made),
            (None, number) => Err(io::Error::from_raw_os_error(number)),
        },
    }
}
