//! What scans of folders found out, kept between builds: one file a folder. It only saves work: it is
//! not synced, nothing keeps it alive, and whoever reads it checks it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use kiln_durable::replace_by;

use crate::{
    Error, Store,
    base::{names, read, remove_file},
    trees::blake3_of,
};

/// How many folders are remembered, and how many bytes all their indexes may have. Those written
/// longest ago go first.
const MOST: usize = 64;
const MOST_BYTES: u64 = 256 << 20;

/// The indexes of a store, by the folder that was scanned.
#[derive(Clone, Copy, Debug)]
pub struct Indexes<'a>(&'a Store);

impl Store {
    /// What scans of folders found out.
    pub fn indexes(&self) -> Indexes<'_> {
        Indexes(self)
    }
}

impl Indexes<'_> {
    /// What was put for `folder` (its canonical path), as it was put unless the disk or somebody else
    /// changed it. `None` when nothing was.
    ///
    /// # Errors
    /// What the system said.
    pub fn get(&self, folder: &Path) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path(folder))
    }

    /// Keeps `bytes` for `folder`, in place of what was there; of two at the same time one wins.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said.
    pub fn put(&self, folder: &Path, bytes: &[u8]) -> Result<(), Error> {
        let all = self.folder();
        match fs::create_dir(&all) {
            // Stores that were made before there were indexes have no folder for them.
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::on("create", &all)(e));
            }
            _ => {}
        }
        let tmp = self.0.owner()?.tmp()?;
        replace_by(&tmp, &self.path(folder), bytes)?;
        self.bound()
    }

    /// Removes all of them; how many bytes that frees.
    ///
    /// # Errors
    /// What the system said.
    pub fn clear(&self) -> Result<u64, Error> {
        let mut freed = 0;
        for (_, size, path) in self.oldest_first()? {
            if remove_file(&path)? {
                freed += size;
            }
        }
        Ok(freed)
    }

    /// Removes the oldest while there are too many.
    fn bound(&self) -> Result<(), Error> {
        let all = self.oldest_first()?;
        let (mut count, mut bytes) = (all.len(), all.iter().map(|(_, size, _)| size).sum::<u64>());
        for (_, size, path) in all {
            // The last one is the one that was just put.
            if (count <= MOST && bytes <= MOST_BYTES) || count == 1 {
                break;
            }
            remove_file(&path)?;
            (count, bytes) = (count - 1, bytes - size);
        }
        Ok(())
    }

    fn oldest_first(&self) -> Result<Vec<(SystemTime, u64, PathBuf)>, Error> {
        let folder = self.folder();
        let mut all = Vec::new();
        for name in names(&folder)? {
            let path = folder.join(name);
            match fs::metadata(&path).and_then(|m| Ok((m.modified()?, m.len()))) {
                Ok((written, size)) => all.push((written, size, path)),
                // Somebody else was faster.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::on("look at", &path)(e)),
            }
        }
        all.sort();
        Ok(all)
    }

    fn folder(&self) -> PathBuf {
        self.0.layout().folder("indexes")
    }

    fn path(&self, folder: &Path) -> PathBuf {
        let name = blake3_of(folder.as_os_str().as_encoded_bytes());
        self.folder().join(name.hex())
    }
}
