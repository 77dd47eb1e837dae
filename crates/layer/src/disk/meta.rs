//! Metadata between a disk and a tree: read from what was opened, set by descriptor.

use std::{collections::BTreeMap, os::fd::BorrowedFd};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, chownat, fchmod, fchown, fstat,
        futimens, statat,
    },
    io::{Errno, Result},
};

use crate::{Meta, Time};

/// Metadata as `stat` shows it, without attributes.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // other widths elsewhere
pub(super) fn of(stat: &Stat) -> Meta {
    Meta {
        mode: u32::from(stat.st_mode) & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            seconds: stat.st_mtime as i64,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        xattrs: BTreeMap::new(),
    }
}

/// The time of a tree as the kernel takes it, for both of the times that can be set.
pub(super) fn times(mtime: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Sets the owner of what cannot be opened; whether this process may, or it is his anyway.
pub(super) fn own_by_name(folder: BorrowedFd<'_>, name: &[u8], meta: &Meta) -> Result<bool> {
    let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    match chownat(folder, name, Some(uid), Some(gid), flags) {
        Err(Errno::PERM | Errno::INVAL) => {
            let now = statat(folder, name, flags)?;
            Ok((now.st_uid, now.st_gid) == (meta.uid, meta.gid))
        }
        done => done.map(|()| true),
    }
}

/// Sets ownership, mode, attributes and time, in this order: a change of owner takes away setuid
/// and capabilities, and all of them but the time itself change times. What the kernel does not let
/// this process do goes to `refused`, in words and, where it is an attribute, by its name.
pub(super) fn set(
    fd: BorrowedFd<'_>,
    meta: &Meta,
    refused: &mut dyn FnMut(String, Option<&[u8]>),
) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
    match fchown(fd, Some(uid), Some(gid)) {
        Err(Errno::PERM | Errno::INVAL) => {
            let now = fstat(fd)?;
            if (now.st_uid, now.st_gid) != (meta.uid, meta.gid) {
                refused(format!("owner {}:{}", meta.uid, meta.gid), None);
            }
        }
        done => done?,
    }
    #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    match fchmod(fd, Mode::from_raw_mode(meta.mode as _)) {
        Err(Errno::PERM) => refused(format!("mode {:04o}", meta.mode), None),
        done => done?,
    }
    for (name, value) in &meta.xattrs {
        if let Err(e) = set_xattr(fd, name, value) {
            match e {
                Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::NODATA => {
                    let what = format!("attribute `{}`", crate::path::escaped(name));
                    refused(what, Some(name));
                }
                e => return Err(e),
            }
        }
    }
    futimens(fd, &times(meta.mtime))
}

#[cfg(target_os = "linux")]
pub(super) fn set_xattr(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(fd, name, value, rustix::fs::XattrFlags::empty())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_xattr(_: BorrowedFd<'_>, _: &[u8], _: &[u8]) -> Result<()> {
    Err(Errno::OPNOTSUPP)
}

/// All attributes of an open file, whatever they are called.
#[cfg(target_os = "linux")]
pub(super) fn xattrs(fd: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    use rustix::fs::{fgetxattr, flistxattr};
    // Nearly always there are none, which one call tells.
    let mut names = vec![0; 1024];
    let n = loop {
        match flistxattr(fd, &mut names[..]) {
            Ok(n) => break n,
            Err(Errno::RANGE) if names.len() < 1 << 20 => names = vec![0; names.len() * 8],
            Err(Errno::OPNOTSUPP) => break 0,
            Err(e) => return Err(e),
        }
    };
    let mut out = BTreeMap::new();
    let mut value = Vec::new();
    for name in names[..n].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        value.resize(crate::xattrs::MAX_VALUE, 0);
        match fgetxattr(fd, name, &mut value[..]) {
            Ok(n) => {
                out.insert(name.to_vec(), value[..n].to_vec());
            }
            // Gone since; or not for this process to see.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(out)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn xattrs(_: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    Ok(BTreeMap::new())
}
