//! The terminal of a process: a pair of the root's own `/dev/pts`, made inside.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Uid, fchown, fstatfs, open, openat2};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::door::system;
use super::mounts;
use crate::{Error, Process};

pub(crate) struct Pty {
    pub(crate) master: OwnedFd,
    slave: OwnedFd,
}

impl Pty {
    /// A new pair, which belongs to the user of the process.
    pub(crate) fn new(process: &Process) -> Result<Self, Error> {
        let pty = Self::make().map_err(|error| system("make a terminal", error))?;
        if process.user.uid != 0 {
            let uid = Uid::from_raw(process.user.uid);
            fchown(&pty.slave, Some(uid), None)
                .map_err(|error| system("give the terminal to its user", error))?;
        }
        if let Some(size) = process.size {
            size.set(&pty.master)?;
        }
        Ok(pty)
    }

    fn make() -> io::Result<Self> {
        // Not `/dev/ptmx`, which is a link that anybody with the rights may have replaced.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let no_links = ResolveFlags::NO_SYMLINKS;
        let master = openat2(CWD, "/dev/pts/ptmx", flags, Mode::empty(), no_links)?;
        const DEVPTS: i128 = 0x1cd1;
        if i128::from(fstatfs(&master)?.f_type) != DEVPTS {
            return Err(io::Error::other("`/dev/pts` is not of terminals"));
        }
        unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        Ok(Self { master, slave })
    }

    /// Mounts it upon `/dev/console`.
    pub(crate) fn console(&self) -> Result<(), Error> {
        let mount = || {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
            drop(open("/dev/console", flags, Mode::from_raw_mode(0o600))?);
            let target = open(
                "/dev/console",
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            mounts::put(&mounts::again(&self.slave, "")?, target)
        };
        mount().map_err(|error: io::Error| system("make `/dev/console`", error))
    }

    /// Makes it the streams and the controlling terminal of this process, the leader of a session.
    pub(crate) fn install(&self) -> Result<(), Error> {
        rustix::process::ioctl_tiocsctty(&self.slave)
            .and_then(|()| rustix::stdio::dup2_stdin(&self.slave))
            .and_then(|()| rustix::stdio::dup2_stdout(&self.slave))
            .and_then(|()| rustix::stdio::dup2_stderr(&self.slave))
            .map_err(|error| system("take the terminal", error))
    }
}
