//! Deleting a tree by directory handle: follows nothing, one descriptor a level.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{
    fs::{AtFlags, Dir, Mode, chmodat, openat, unlinkat},
    io::{Errno, Result},
};

use super::at::FOLDER;

/// Deletes `name` in `folder`, whatever it is, with all inside. What is not there is no error.
pub(super) fn delete(folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        // Linux says EISDIR of a folder, POSIX EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        done => return done,
    }
    let inside = match openat(folder, name, FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
            openat(folder, name, FOLDER, Mode::empty())?
        }
        opened => opened?,
    };
    empty(inside.as_fd())?;
    match unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

fn empty(folder: BorrowedFd<'_>) -> Result<()> {
    for name in names(folder)? {
        match delete(folder, &name) {
            Err(Errno::ACCESS) => {
                rustix::fs::fchmod(folder, Mode::RWXU)?;
                delete(folder, &name)?;
            }
            done => done?,
        }
    }
    Ok(())
}

/// The names in a folder, but `.` and `..`.
pub(super) fn names(folder: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
