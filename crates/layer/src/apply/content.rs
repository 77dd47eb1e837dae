//! The content of a file on its way out of an archive: hashed, and kept where planning needs it.

use std::io::{self, Read};

use kiln_image::{Algorithm, Digest};

/// A reader that knows in the end what went through it.
pub(super) struct Content<'a, R> {
    inner: &'a mut R,
    hash: blake3::Hasher,
    kept: Option<Vec<u8>>,
}

impl<'a, R> Content<'a, R> {
    pub(super) fn new(inner: &'a mut R, keep: bool) -> Self {
        Self {
            inner,
            hash: blake3::Hasher::new(),
            kept: keep.then(Vec::new),
        }
    }

    /// The digest of what was read, and all of it where it was to be kept.
    pub(super) fn finish(self) -> (Digest, Option<Vec<u8>>) {
        let digest = *self.hash.finalize().as_bytes();
        (Digest::new(Algorithm::Blake3, digest), self.kept)
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&buffer[..n]);
        }
        Ok(n)
    }
}
