//! The seams by which images move: a [`Source`] gives documents and blobs, a [`Sink`] takes them.
//! A registry, an archive, a store are both. Refuses to know any of them.

use std::io::{self, Read};

use crate::{Descriptor, Error, Reference};

/// A place that gives images.
pub trait Source: Sync {
    /// The manifest or index that `what` names here.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when nothing has that name.
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error>;

    /// A manifest, an index or a config, whole. What comes back has the digest asked for.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Mismatch`](crate::ErrorKind::Mismatch).
    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error>;

    /// The bytes of a blob from the offset `from` on. Not verified: a sink does that.
    ///
    /// # Errors
    /// An [`Error`] inside an [`io::Error`].
    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>>;

    /// Where else a blob is known to lie: a registry can then take it from a neighbour.
    fn locations(&self, _blob: &Descriptor) -> Vec<Location> {
        Vec::new()
    }
}

/// A repository that has a blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The registry.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
}

/// Opens a blob at an offset; can be called again, to retry or to go on.
pub type Open<'a> = &'a (dyn Fn(u64) -> io::Result<Box<dyn Read + Send>> + Sync);

/// How a blob came to be in a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was there.
    Existed,
    /// It was taken from another repository of the same registry.
    Mounted,
    /// Its bytes were carried over.
    Copied,
}

/// A place that takes images: blobs first, then the documents that point to them, then names.
pub trait Sink: Sync {
    /// Takes a blob unless it is there. Verifies digest and size before the blob is visible.
    /// `progress` is told how many bytes have been taken so far.
    ///
    /// # Errors
    /// [`Mismatch`](crate::ErrorKind::Mismatch), or what `open` or the place itself gave.
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, Error>;

    /// Takes a manifest, an index or a config.
    ///
    /// # Errors
    /// What the place itself gave.
    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), Error>;

    /// Gives a manifest or index that was taken before a name.
    ///
    /// # Errors
    /// What the place itself gave.
    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), Error>;
}
