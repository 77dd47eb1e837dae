//! Directories on systems that are not unix: their metadata cannot be kept there, so every way to
//! one is an error that says so. Trees, tars and roots work everywhere.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use kiln_image::Digest;

use super::{Keep, Opener, Refusal, Scan, Scanned, Whiteouts};
use crate::{Entry, Error, ErrorKind, Files, Index, LayerPath, Target, Tree};

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{what} is not supported on this system"),
    )
}

/// A directory on disk, seen as it is.
#[derive(Debug)]
pub struct Folder(std::convert::Infallible);

impl Folder {
    /// Looks through a directory.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn scan(
        _: &Path,
        _: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
        _: usize,
    ) -> Result<Self, Error> {
        Err(unsupported("looking through a folder"))
    }

    /// The same with an index.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn scan_with(
        _: &Path,
        _: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
        _: &Scan<'_>,
    ) -> Result<(Self, Scanned), Error> {
        Err(unsupported("looking through a folder"))
    }

    /// What was found out since.
    pub fn learn(
        &self,
        _: Option<&Index>,
        _: &dyn Fn(&LayerPath) -> Option<Digest>,
    ) -> Option<Index> {
        match self.0 {}
    }
}

impl Files for Folder {
    fn tree(&self) -> &Tree {
        match self.0 {}
    }

    fn open(&self, _: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        match self.0 {}
    }
}

/// A layer that was unpacked into a directory of its own.
#[derive(Debug)]
pub struct Unpacked(std::convert::Infallible);

impl Unpacked {
    /// The files of a directory.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn new(_: &Path, _: Arc<Tree>) -> Result<Self, Error> {
        Err(unsupported("an unpacked layer"))
    }

    /// The same for a directory in which this process may not open everything itself.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn by(_: Opener, _: Arc<Tree>) -> Result<Self, Error> {
        Err(unsupported("an unpacked layer"))
    }

    /// Looks through an upper directory of overlayfs.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn scan(_: &Path, _: usize) -> Result<Self, Error> {
        Err(unsupported("an unpacked layer"))
    }
}

impl Files for Unpacked {
    fn tree(&self) -> &Tree {
        match self.0 {}
    }

    fn open(&self, _: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        match self.0 {}
    }
}

/// A directory into which layers are unpacked.
#[derive(Debug)]
pub struct Directory(std::convert::Infallible);

impl Directory {
    /// The directory at a path.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) on this system.
    pub fn new(_: &Path, _: Whiteouts) -> Result<Self, Error> {
        Err(unsupported("unpacking into a folder"))
    }

    /// The layers below.
    #[must_use]
    pub fn over(self, _: Arc<dyn Files>) -> Self {
        self
    }

    /// What could not be put on disk.
    pub fn refused(&self) -> &[Refusal] {
        match self.0 {}
    }
}

impl Target for Directory {
    fn put(&mut self, _: &Entry) -> Result<(), Error> {
        match self.0 {}
    }

    fn file(&mut self, _: &Entry, _: &mut dyn Read) -> Result<(), Error> {
        match self.0 {}
    }

    fn remove(&mut self, _: &LayerPath) -> Result<(), Error> {
        match self.0 {}
    }

    fn clear(&mut self, _: &LayerPath, _: &Tree) -> Result<(), Error> {
        match self.0 {}
    }

    fn finish(&mut self, _: &Tree) -> Result<(), Error> {
        match self.0 {}
    }
}
