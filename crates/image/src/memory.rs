//! An image store in memory: a [`Source`] and a [`Sink`] for tests and small tools.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    Descriptor, Digest, Error, ErrorKind, Location, Open, Reference, Sink, Source, Taken, Verifier,
};

/// Documents, blobs and names, all in memory.
#[derive(Debug, Default)]
pub struct Memory {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: HashMap<Digest, Vec<u8>>,
    names: HashMap<Reference, Descriptor>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts bytes in, and gives their descriptor.
    pub fn put(&self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.lock().bytes.insert(descriptor.digest, bytes);
        descriptor
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("`{digest}` is not here"));
        self.lock().bytes.get(&digest).cloned().ok_or_else(missing)
    }
}

impl Source for Memory {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error> {
        let held = self.lock();
        if let Some(found) = held.names.get(what) {
            return Ok(found.clone());
        }
        let by_digest = |d: &&Descriptor| Some(d.digest) == what.digest();
        held.names.values().find(by_digest).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no image is named `{}`", what.familiar()),
            )
        })
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error> {
        self.get(document.digest)
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut bytes = self.get(blob.digest)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..from);
        Ok(Box::new(io::Cursor::new(bytes)))
    }
}

impl Sink for Memory {
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        _known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, Error> {
        if self.lock().bytes.contains_key(&blob.digest) {
            return Ok(Taken::Existed);
        }
        let mut bytes = Vec::new();
        Verifier::new(open(0)?, blob.digest, blob.size).read_to_end(&mut bytes)?;
        progress(bytes.len() as u64);
        self.lock().bytes.insert(blob.digest, bytes);
        Ok(Taken::Copied)
    }

    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let mut checked = Vec::new();
        Verifier::new(bytes, document.digest, document.size).read_to_end(&mut checked)?;
        self.lock().bytes.insert(document.digest, checked);
        Ok(())
    }

    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), Error> {
        self.lock().names.insert(name.clone(), document.clone());
        Ok(())
    }
}
