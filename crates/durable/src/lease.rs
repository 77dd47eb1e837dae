//! Locks that the system takes back when their process ends, however it ends. [`Lock`]: a file
//! that stays, shared or exclusive. [`Lease`]: a file that says "somebody is here" and goes with
//! them; one that was left behind by a kill can be told from a live one, and swept.
//!
//! Built on `flock`: a lock belongs to an open file, so two openings in one process exclude each
//! other as two processes do, and a child that was forked without `exec` shares its parent's.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::Error;

/// A lock on a file that stays where it is. Let go when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other lock on `path` is held, and holds it. The file is made if need be.
    ///
    /// # Errors
    /// What the system said; [`Unsupported`](crate::ErrorKind::Unsupported) where the file system
    /// has no locks.
    pub fn exclusive(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        wait(path, || file.lock())?;
        Ok(Self { _file: file })
    }

    /// Waits until no exclusive lock on `path` is held, and holds it together with other shared
    /// ones. The file is made if need be.
    ///
    /// # Errors
    /// As [`exclusive`](Lock::exclusive).
    pub fn shared(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        wait(path, || file.lock_shared())?;
        Ok(Self { _file: file })
    }

    /// Like [`exclusive`](Lock::exclusive) where that needs no waiting, else `None`.
    ///
    /// # Errors
    /// As [`exclusive`](Lock::exclusive).
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        Ok(taken(path, file.try_lock())?.then_some(Self { _file: file }))
    }

    /// Like [`shared`](Lock::shared) where that needs no waiting, else `None`.
    ///
    /// # Errors
    /// As [`exclusive`](Lock::exclusive).
    pub fn try_shared(path: &Path) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        Ok(taken(path, file.try_lock_shared())?.then_some(Self { _file: file }))
    }
}

/// An exclusive claim on a path, with a file that others can read. The file goes when the lease is
/// dropped; a kill leaves it behind, unlocked.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
    stays: bool,
}

impl Lease {
    /// Waits for the lease `path` and takes it.
    ///
    /// # Errors
    /// As [`Lock::exclusive`].
    pub fn take(path: &Path) -> Result<Self, Error> {
        loop {
            let file = open(path)?;
            wait(path, || file.lock())?;
            if is_at(&file, path)? {
                return Ok(Self::of(file, path));
            }
        }
    }

    /// Takes the lease `path` unless somebody has it. What a dead process left is taken over, with
    /// the notes in it.
    ///
    /// # Errors
    /// As [`Lock::exclusive`].
    pub fn try_take(path: &Path) -> Result<Option<Self>, Error> {
        // Somebody who asks whether it is held has it for a moment: worth a second look.
        for again in 0..3 {
            if again > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            loop {
                let file = open(path)?;
                if !taken(path, file.try_lock())? {
                    break;
                }
                if is_at(&file, path)? {
                    return Ok(Some(Self::of(file, path)));
                }
            }
        }
        Ok(None)
    }

    /// Whether some process, this one included, has the lease `path`.
    ///
    /// # Errors
    /// As [`Lock::exclusive`].
    pub fn held(path: &Path) -> Result<bool, Error> {
        match File::open(path) {
            Ok(file) => Ok(!taken(path, file.try_lock_shared())?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::new("open", path, e)),
        }
    }

    /// Adds `bytes` to the file, in one write, for whoever reads it.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said.
    pub fn note(&self, bytes: &[u8]) -> Result<(), Error> {
        (&self.file)
            .write_all(bytes)
            .map_err(Error::on("write", &self.path))
    }

    /// Lets the lease go and leaves its file behind, as a kill would: somebody has to come back.
    pub fn leave(mut self) {
        self.stays = true;
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of(file: File, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
            stays: false,
        }
    }
}

impl Drop for Lease {
    /// Removes the file while it is still locked: who waits for it then finds it gone, and takes
    /// a new one.
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(Error::on("open", path))
}

fn wait(path: &Path, lock: impl Fn() -> io::Result<()>) -> Result<(), Error> {
    loop {
        match lock() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done.map_err(Error::on("lock", path)),
        }
    }
}

fn taken(path: &Path, tried: Result<(), TryLockError>) -> Result<bool, Error> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(Error::new("lock", path, e)),
    }
}

/// Whether `file` still is what `path` names: its last holder may have removed it between our
/// opening and our locking it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    use std::os::unix::fs::MetadataExt;

    let ours = file.metadata().map_err(Error::on("look at", path))?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::new("look at", path, e)),
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(Error::on("look at", path))
}
