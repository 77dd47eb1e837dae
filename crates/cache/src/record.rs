//! Records: what came of something, what that depended on, and which digests it keeps alive.
//! Refuses to know what the value means.

use kiln_image::Digest;

use crate::{Error, Key};

/// One of the things that a result depended on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A name that a person would use: `file app.py`, `build argument VERSION`, `base image`.
    pub name: String,
    /// What it was, as a person would read it.
    pub value: String,
    /// Where the part is a whole tree of files: its digest, so that two trees can be compared.
    pub tree: Option<Digest>,
}

impl Part {
    /// A part without a tree.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            tree: None,
        }
    }

    /// A part that is a tree of files: the value is its digest.
    pub fn tree(name: impl Into<String>, tree: Digest) -> Self {
        Self {
            name: name.into(),
            value: tree.to_string(),
            tree: Some(tree),
        }
    }
}

/// What is remembered under a [`Key`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What the result depended on, in the order in which a person should be told.
    pub parts: Vec<Part>,
    /// The result, in whatever form its maker reads.
    pub value: Vec<u8>,
    /// The digests that the result needs: who keeps the record keeps these.
    pub refs: Vec<Digest>,
}

/// A place where records are kept. What it gives is whole; what it does not have is `None`.
pub trait Records: Send + Sync {
    /// The record under `key`.
    ///
    /// # Errors
    /// When the place cannot be read; [`Damaged`](crate::ErrorKind::Damaged) when what is there is
    /// not a record.
    fn get(&self, key: &Key) -> Result<Option<Record>, Error>;

    /// Keeps `record` under `key`, in place of what was there.
    ///
    /// # Errors
    /// When the place cannot be written.
    fn put(&self, key: &Key, record: &Record) -> Result<(), Error>;
}

impl<R: Records + ?Sized> Records for &R {
    fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        (**self).get(key)
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        (**self).put(key, record)
    }
}

impl<R: Records + ?Sized> Records for std::sync::Arc<R> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        (**self).get(key)
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        (**self).put(key, record)
    }
}
