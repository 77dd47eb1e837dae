//! Files that appear whole or not at all: written under a temporary name on the same file system,
//! then renamed. Refuses to sync unless asked: a killed process loses nothing that it renamed,
//! and a sync waits for everybody's dirty pages.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{Error, sync_folder};

/// A file that nobody sees until it is [kept](NewFile::keep). Dropped before that, it is removed;
/// after a kill its temporary name stays in the folder that it was created in.
#[derive(Debug)]
pub struct NewFile {
    file: Option<File>,
    temporary: PathBuf,
    /// Whether it has its temporary name already.
    named: bool,
}

impl NewFile {
    /// A new, empty file with a random name in `folder`, which must be on the same file system as
    /// the place where the file will be kept.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), [`Denied`](crate::ErrorKind::Denied), [`NotFound`](crate::ErrorKind::NotFound).
    pub fn create_in(folder: &Path) -> Result<Self, Error> {
        loop {
            let temporary = folder.join(format!(".new-{:016x}", random()));
            let mut options = OpenOptions::new();
            match options
                .read(true)
                .write(true)
                .create_new(true)
                .open(&temporary)
            {
                Ok(file) => {
                    return Ok(Self {
                        file: Some(file),
                        temporary,
                        named: true,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::new("create a file in", folder, e)),
            }
        }
    }

    /// The same without a name until it is kept, where the file system has that: of a kill nothing
    /// stays, in a folder that nobody sweeps.
    ///
    /// # Errors
    /// As [`create_in`](NewFile::create_in).
    pub fn unseen_in(folder: &Path) -> Result<Self, Error> {
        match unnamed(folder) {
            Some(file) => Ok(Self {
                file: Some(file),
                temporary: folder.join(format!(".new-{:016x}", random())),
                named: false,
            }),
            None => Self::create_in(folder),
        }
    }

    /// The open file, for what `Write`, `Read` and `Seek` do not do.
    pub fn file(&self) -> &File {
        self.file
            .as_ref()
            .expect("the file is taken only by `keep`, which ends this value")
    }

    /// Its temporary name: for messages.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Renames the file to `path`, over what is there. Gives the file, still open.
    ///
    /// # Errors
    /// What the rename failed with; the temporary file is removed then.
    pub fn keep(mut self, path: &Path) -> Result<File, Error> {
        if !self.named {
            link(self.file(), &self.temporary).map_err(|e| Error::new("write", path, e))?;
            self.named = true;
        }
        let file = self.file.take().expect("`keep` is the only taker");
        match fs::rename(&self.temporary, path) {
            Ok(()) => Ok(file),
            Err(e) => {
                let _ = fs::remove_file(&self.temporary);
                Err(Error::new("write", path, e))
            }
        }
    }

    /// Like [`keep`](NewFile::keep), and returns when a power failure can no longer undo it: syncs
    /// the file before, and the folder of `path` after the rename.
    ///
    /// # Errors
    /// As [`keep`](NewFile::keep).
    pub fn keep_synced(self, path: &Path) -> Result<File, Error> {
        self.file().sync_all().map_err(Error::on("sync", path))?;
        let file = self.keep(path)?;
        sync_folder(parent(path))?;
        Ok(file)
    }
}

/// A file without a name, which can be given one; `None` where there is no such thing.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(open(folder, flags, Mode::from_raw_mode(0o666)).ok()?);
    // By this it gets its name.
    by_number(&file).exists().then_some(file)
}

#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    Ok(linkat(
        CWD,
        by_number(file),
        CWD,
        name,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

#[cfg(target_os = "linux")]
fn by_number(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.take().is_some() && self.named {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let path = match self.named {
            true => &self.temporary,
            false => parent(&self.temporary),
        };
        let done = self.file.as_ref().map_or(Ok(0), |mut f| f.write(buf));
        done.map_err(|e| Error::new("write", path, e).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for NewFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file().read(buf)
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file().seek(to)
    }
}

/// Puts `bytes` at `path`, over what is there: readers see the old bytes or the new ones. The
/// temporary file lies beside `path`. Nothing is synced.
///
/// # Errors
/// [`Full`](crate::ErrorKind::Full), [`Denied`](crate::ErrorKind::Denied), [`NotFound`](crate::ErrorKind::NotFound).
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_by(parent(path), path, bytes)
}

/// Like [`replace()`], with the temporary file in `folder`: where a folder must never show one.
///
/// # Errors
/// As [`replace()`].
pub fn replace_by(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    filled(folder, path, bytes)?.keep(path).map(drop)
}

/// Like [`replace_by`], and returns when a power failure can no longer undo it.
///
/// # Errors
/// As [`replace()`].
pub fn replace_synced(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    filled(folder, path, bytes)?.keep_synced(path).map(drop)
}

fn filled(folder: &Path, path: &Path, bytes: &[u8]) -> Result<NewFile, Error> {
    let new = NewFile::create_in(folder)?;
    new.file()
        .write_all(bytes)
        .map_err(Error::on("write", path))?;
    Ok(new)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Not secret, only unlikely to be drawn twice: the hasher's seed is the system's randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
