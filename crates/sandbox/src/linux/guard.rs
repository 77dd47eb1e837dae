//! This program's own file as its children execute it: on a mount of its own that is read-only.
//!
//! Whoever executes what an image brings may be led to execute itself anew (a script whose
//! interpreter is `/proc/self/exe`), and then its file can be opened inside by `/proc/PID/exe`. On
//! such a mount nobody can write to it, whatever they are inside (compare CVE-2019-5736).

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fstat, stat, statvfs};
use rustix::thread::UnshareFlags;

use super::mounts;
use super::sys::{self, MountAttr};

/// The same file on a mount of its own, which is attached nowhere. It needs the right to mount.
pub(crate) fn guarded(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mount = mounts::again(file, "")?;
    let attr = MountAttr {
        set: sys::MOUNT_READ_ONLY,
        ..MountAttr::default()
    };
    sys::mount_setattr(mount.as_fd(), false, &attr)?;
    Ok(mount)
}

/// The same for the file that this process executes, in a mount namespace of its own from here on. A
/// file that lies there no more is an error: nothing is gained by writing to it.
pub(crate) fn own() -> io::Result<OwnedFd> {
    sys::unshare(UnshareFlags::NEWNS)?;
    // By its name, because the link leads to a mount of the namespace that was left.
    let name = fs::read_link("/proc/self/exe")?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::open(name, flags, Mode::empty())?;
    let (own, there) = (stat("/proc/self/exe")?, fstat(&found)?);
    if (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino) {
        return Err(io::ErrorKind::NotFound.into());
    }
    guarded(found.as_fd())
}

/// Whether what this process executes lies on a mount that is read-only.
pub(crate) fn is_guarded() -> bool {
    statvfs("/proc/self/exe").is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}
