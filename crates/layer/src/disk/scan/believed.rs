//! On which file systems a ctime says that a file is what it was: on those where the kernel at hand
//! sets it at every change. It refuses those that somebody else writes to at the same time, with
//! another clock, and those whose ctimes come with an image that was made elsewhere.

use std::os::fd::BorrowedFd;

use crate::index::Stamp;

/// What is believed of the files in a folder.
#[derive(Clone, Copy)]
pub(super) struct Believed {
    device: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // no other system has an overlay of this kind
enum Kind {
    /// Nothing.
    No,
    /// Files on the folder's own device.
    Own,
    /// Files wherever the overlay has them from: it gives them devices of their own.
    Overlay,
}

impl Believed {
    /// Looks at the file system of an open folder; `before` is what was found out about another.
    pub(super) fn of(folder: BorrowedFd<'_>, device: u64, before: Option<Self>) -> Self {
        if let Some(before) = before.filter(|b| b.device == device) {
            return before;
        }
        let kind = kind(folder);
        Self { device, kind }
    }

    /// Whether the stamp of a file in the folder tells its changes.
    pub(super) fn takes(self, stamp: &Stamp) -> bool {
        let known = match self.kind {
            Kind::No => false,
            Kind::Own => stamp.device == self.device,
            Kind::Overlay => true,
        };
        known && stamp.is_of_a_clock()
    }
}

#[cfg(target_os = "linux")]
fn kind(folder: BorrowedFd<'_>) -> Kind {
    const OVERLAY: u64 = 0x794c_7630;
    /// ext2 to ext4, xfs, btrfs, tmpfs, f2fs, bcachefs, zfs. Not erofs and squashfs: nobody writes to
    /// them, but another image may be mounted in the place of one.
    const LOCAL: [u64; 7] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0xf2f5_2010,
        0xca45_1a4e,
        0x2fc1_2fc1,
    ];
    let Ok(found) = rustix::fs::fstatfs(folder) else {
        return Kind::No;
    };
    // Its width and sign differ between machines; the numbers have 32 bits.
    #[allow(clippy::unnecessary_cast)]
    match found.f_type as u64 & 0xffff_ffff {
        OVERLAY => Kind::Overlay,
        magic if LOCAL.contains(&magic) => Kind::Own,
        _ => Kind::No,
    }
}

#[cfg(target_os = "macos")]
fn kind(folder: BorrowedFd<'_>) -> Kind {
    let name = |n: &[std::ffi::c_char]| n.iter().map(|c| *c as u8).take(5).collect::<Vec<_>>();
    match rustix::fs::fstatfs(folder) {
        Ok(found) if name(&found.f_fstypename) == b"apfs\0" => Kind::Own,
        _ => Kind::No,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn kind(_: BorrowedFd<'_>) -> Kind {
    Kind::No
}
