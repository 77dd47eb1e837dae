//! Telling the disk: of one file, of a folder's entries, of everything on a file system.

use std::{fs::File, path::Path};

use crate::Error;

/// Returns when the entries of the folder `path` are on disk. Does nothing on Windows, where a
/// rename is journalled and folders cannot be opened.
///
/// # Errors
/// What the system said.
pub fn sync_folder(path: &Path) -> Result<(), Error> {
    if cfg!(windows) {
        return Ok(());
    }
    sync_file(path)
}

/// Returns when the content of the file `path` is on disk.
///
/// # Errors
/// What the system said.
pub fn sync_file(path: &Path) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::on("open", path))?;
    file.sync_all().map_err(Error::on("sync", path))
}

/// Returns when everything that was written to the file system of `path`, by any process, is on
/// disk. Only Linux can do that at once; elsewhere every file below the folder `path` is synced.
///
/// # Errors
/// What the system said: a write that failed long ago shows here.
#[cfg(target_os = "linux")]
pub fn syncfs(path: &Path) -> Result<(), Error> {
    let folder = File::open(path).map_err(Error::on("open", path))?;
    rustix::fs::syncfs(&folder).map_err(|e| Error::new("sync the file system of", path, e.into()))
}

/// Returns when every file and folder below the folder `path` is on disk.
///
/// # Errors
/// What the system said.
#[cfg(not(target_os = "linux"))]
pub fn syncfs(path: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(path).map_err(Error::on("read", path))? {
        let entry = entry.map_err(Error::on("read", path))?;
        let kind = entry.file_type().map_err(Error::on("read", path))?;
        let done = if kind.is_dir() {
            syncfs(&entry.path())
        } else if kind.is_file() {
            sync_file(&entry.path())
        } else {
            Ok(())
        };
        match done {
            Err(e) if e.kind() == crate::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    sync_folder(path)
}
