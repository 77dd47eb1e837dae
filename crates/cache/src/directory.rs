//! Records in a folder, a file each. Refuses to grow an index: the key is the name.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the place that keeps records in files"
)]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, ErrorKind, Key, Record, Records};

/// Records in a folder: each in a file named by its key, whole or not at all. Several processes
/// can share it. Nothing in it is synced, and nothing is ever removed by it.
#[derive(Clone, Debug)]
pub struct Directory {
    folder: PathBuf,
}

impl Directory {
    /// Records in `folder`, which is made if need be.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when it is not there and cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(kiln_durable::Error::on("create", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.hex())
    }
}

impl Records for Directory {
    fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let path = self.path(key);
        let named = |e: &dyn std::fmt::Display| format!("read `{}`: {e}", path.display());
        match fs::read(&path) {
            Ok(bytes) => Record::decode(&bytes)
                .map(Some)
                .map_err(|e| Error::new(e.kind(), named(&e))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(ErrorKind::Io, named(&e)).because(e)),
        }
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        Ok(kiln_durable::replace(&self.path(key), &record.encode())?)
    }
}
