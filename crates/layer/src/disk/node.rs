//! Devices, pipes and the whiteouts of overlayfs. Where there is no `mknodat`, or no right to it, they
//! are refused.

use std::os::fd::BorrowedFd;

use crate::{Error, Kind};

#[cfg(not(target_vendor = "apple"))]
pub(super) fn make(folder: BorrowedFd<'_>, name: &[u8], kind: &Kind) -> rustix::io::Result<()> {
    use rustix::fs::{FileType, Mode, makedev, mknodat};
    let (kind, device) = match kind {
        Kind::Char { major, minor } => (FileType::CharacterDevice, makedev(*major, *minor)),
        Kind::Block { major, minor } => (FileType::BlockDevice, makedev(*major, *minor)),
        Kind::Whiteout => (FileType::CharacterDevice, makedev(0, 0)),
        _ => (FileType::Fifo, 0),
    };
    mknodat(folder, name, kind, Mode::empty(), device)
}

#[cfg(target_vendor = "apple")]
pub(super) fn make(_: BorrowedFd<'_>, _: &[u8], _: &Kind) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::PERM)
}

/// Whether the kernel did not let this process do it.
pub(super) fn is_refusal(e: &Error) -> bool {
    let source = std::error::Error::source(e).and_then(|s| s.downcast_ref::<std::io::Error>());
    source.is_some_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}
