//! The way to a monitor: the socket in its container's folder.
//!
//! Folders may have longer names than a socket's address can hold, so it is reached by way of the
//! folder's descriptor.

#[cfg(target_os = "linux")]
pub(crate) use linux::{Connection, close, connect, listen};

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Connection, connect};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    pub(crate) type Connection = UnixStream;

    const NAME: &str = "control";

    pub(crate) fn connect(folder: &Path) -> io::Result<Connection> {
        let folder = std::fs::File::open(folder)?;
        UnixStream::connect(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
    }

    /// Takes the socket away: nobody answers any more.
    pub(crate) fn close(folder: &Path) {
        // One that stays is of no harm: the next monitor takes its place.
        let _ = std::fs::remove_file(folder.join(NAME));
    }

    /// Takes the place of a socket that a dead monitor left.
    pub(crate) fn listen(folder: &Path) -> io::Result<UnixListener> {
        match std::fs::remove_file(folder.join(NAME)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let folder = std::fs::File::open(folder)?;
        UnixListener::bind(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::net::Shutdown;
    use std::path::Path;
    use std::time::Duration;

    /// There is none on this platform.
    #[derive(Debug)]
    pub(crate) enum Connection {}

    impl Connection {
        pub(crate) fn try_clone(&self) -> io::Result<Self> {
            match *self {}
        }
        pub(crate) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            match *self {}
        }
        pub(crate) fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            match *self {}
        }
    }

    impl io::Read for Connection {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match *self {}
        }
    }

    impl io::Read for &Connection {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match **self {}
        }
    }

    impl io::Write for Connection {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            match *self {}
        }
        fn flush(&mut self) -> io::Result<()> {
            match *self {}
        }
    }

    pub(crate) fn connect(_: &Path) -> io::Result<Connection> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
