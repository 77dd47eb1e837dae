//! Opening by directory handle, never through a link and never outside the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::{Errno, Result},
};

use crate::LayerPath;

/// How folders are opened.
pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How files are opened that may turn out to be pipes or terminals.
pub(super) const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens what is at `path` beneath `root`. A symbolic link anywhere in it is an error (`ELOOP` or
/// `ENOTDIR`).
pub(super) fn open(root: BorrowedFd<'_>, path: &LayerPath, flags: OFlags) -> Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let text = if path.is_root() {
            b"."
        } else {
            path.as_bytes()
        };
        match openat2(root, text, flags, Mode::empty(), resolve) {
            // An old kernel, or a filter of system calls that does not know it; a rename nearby.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            done => return done,
        }
    }
    walk(root, path, flags)
}

/// [`open`] by one component after the other.
pub(super) fn walk(root: BorrowedFd<'_>, path: &LayerPath, flags: OFlags) -> Result<OwnedFd> {
    let Some(name) = path.name() else {
        return openat(root, ".", flags, Mode::empty());
    };
    let mut at: Option<OwnedFd> = None;
    let folders = path.depth() - 1;
    for folder in path.components().take(folders) {
        let from = at.as_ref().map_or(root, AsFd::as_fd);
        at = Some(openat(from, folder, FOLDER, Mode::empty())?);
    }
    let from = at.as_ref().map_or(root, AsFd::as_fd);
    openat(from, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

/// Whether the error says that nothing is there.
pub(super) fn is_missing(e: Errno) -> bool {
    e == Errno::NOENT
}

/// Whether the error says that what is there, or above it, is not a folder.
pub(super) fn is_not_a_folder(e: Errno) -> bool {
    matches!(e, Errno::NOTDIR | Errno::LOOP | Errno::MLINK)
}

/// What the kernel said, as an error of this crate.
pub(super) fn io(what: &str, e: Errno) -> crate::Error {
    crate::Error::io(what, e.into())
}
