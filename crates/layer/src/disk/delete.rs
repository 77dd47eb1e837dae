//! Deleting a tree by directory handle: follows nothing, one descriptor a level.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Dir, Mode, chmodat, fchmod, openat, unlinkat},
    io::Errno,
};

use super::{
    at::{FOLDER, io},
    closed,
};
use crate::{Error, LayerPath, Tree};

type Result<T, E = Errno> = std::result::Result<T, E>;

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
                fchmod(folder, Mode::RWXU)?;
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

/// Deletes what is in the folder `path` and not in `own`.
pub(super) fn others(folder: OwnedFd, path: &LayerPath, own: &Tree) -> Result<(), Error> {
    let mut todo = vec![(path.clone(), folder)];
    while let Some((path, folder)) = todo.pop() {
        let at = |what: &'static str| move |e| io(what, e);
        let was = closed::open(folder.as_fd()).map_err(at("open the folder"))?;
        for name in names(folder.as_fd()).map_err(at("read the folder"))? {
            let inner = path.join(&name)?;
            if own.within(&inner).next().is_none() {
                delete(folder.as_fd(), &name).map_err(|e| io("delete it", e).at(&inner))?;
            } else if let Ok(fd) = openat(&folder, &name[..], FOLDER, Mode::empty()) {
                todo.push((inner, fd));
            }
        }
        if let Some(was) = was {
            fchmod(&folder, was).map_err(at("set the mode of a folder"))?;
        }
    }
    Ok(())
}
