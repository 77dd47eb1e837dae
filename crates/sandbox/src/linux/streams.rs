//! The standard streams on their way to the process.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{FileType, Gid, Uid};

use crate::{Error, ErrorKind, User};

/// Standard input, output and error of the process.
pub(crate) struct Streams([OwnedFd; 3]);

impl Streams {
    /// From the descriptors beside an order: the streams, and the socket of the dialer.
    pub(crate) fn new(descriptors: Vec<OwnedFd>) -> Result<(Self, UnixStream), Error> {
        let all: Result<[OwnedFd; 4], _> = descriptors.try_into();
        let [stdin, stdout, stderr, dial] = all.map_err(|all| {
            let what = format!("{} descriptors came with the order, not 4", all.len());
            Error::new(ErrorKind::System, what)
        })?;
        Ok((Self([stdin, stdout, stderr]), dial.into()))
    }

    pub(crate) fn all(&self) -> &[OwnedFd; 3] {
        &self.0
    }

    /// Makes them the streams of this process, and gives pipes to the user: without that
    /// `/dev/stdout` could not be opened by anybody but root.
    pub(crate) fn install(&self, user: &User) -> Result<(), Error> {
        for stream in &self.0 {
            let is_pipe = rustix::fs::fstat(stream)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
            if user.uid != 0 && is_pipe {
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                // Where it is refused the process can still use the descriptor itself.
                let _ = rustix::fs::fchown(stream, Some(uid), Some(gid));
            }
        }
        let [stdin, stdout, stderr] = &self.0;
        rustix::stdio::dup2_stdin(stdin.as_fd())
            .and_then(|()| rustix::stdio::dup2_stdout(stdout.as_fd()))
            .and_then(|()| rustix::stdio::dup2_stderr(stderr.as_fd()))
            .map_err(|error| super::door::system("set the standard streams", error))
    }
}
