//! Blobs: bytes by their SHA-256. Documents, compressed layers as they came, and the plain body of
//! a layer, which is the blob whose digest is the diff id.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use kiln_durable::NewFile;
use kiln_image::{Digest, HashingWriter};

use crate::{
    Error, ErrorKind, Store,
    base::{exists, read},
    layout::sha256,
    owner::{Owner, Unsynced},
};

/// The blobs of a store.
#[derive(Clone, Copy, Debug)]
pub struct Blobs<'a>(pub(crate) &'a Store);

impl Store {
    /// Its blobs.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs(self)
    }
}

impl Blobs<'_> {
    /// Whether a blob is here.
    pub fn has(&self, digest: &Digest) -> bool {
        matches!(self.size(digest), Ok(Some(_)))
    }

    /// How many bytes a blob has; `None` when it is not here.
    ///
    /// # Errors
    /// What the system said.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        sha256(digest)?;
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::on("look at", &path)(e)),
        }
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.layout().blob(digest)
    }

    /// Opens a blob. Its bytes were verified when they were put, and are not again.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it is not here.
    pub fn open(&self, digest: &Digest) -> Result<File, Error> {
        sha256(digest)?;
        let path = self.path(digest);
        File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => missing(digest),
            _ => Error::on("open", &path)(e),
        })
    }

    /// Reads a whole blob, for documents; verified.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Damaged`](ErrorKind::Damaged) when the bytes on disk
    /// have another digest.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        sha256(digest)?;
        let bytes = read(&self.path(digest))?.ok_or_else(|| missing(digest))?;
        if Digest::sha256(&bytes) != *digest {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!("read the blob `{digest}`: the bytes on disk are other ones"),
            )
            .hint("`kiln system check` looks at everything"));
        }
        Ok(bytes)
    }

    /// Puts a blob that is in memory.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), or what else the system said.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::sha256(bytes);
        let owner = self.0.owner()?;
        owner.claim(&[digest])?;
        let path = self.path(&digest);
        if exists(&path)? {
            return Ok(digest);
        }
        let tmp = owner.tmp()?;
        owner.place(Unsynced::Blob, Some(&digest), || {
            Ok(kiln_durable::replace_by(&tmp, &path, bytes)?)
        })?;
        Ok(digest)
    }

    /// A new blob to be written piece by piece; it appears when it is finished.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), or what else the system said.
    pub fn create(&self) -> Result<BlobWriter, Error> {
        Ok(BlobWriter {
            out: HashingWriter::new(self.create_hashed()?),
        })
    }

    /// The same for whoever finds the digest of what they write themselves: nothing is hashed a
    /// second time.
    ///
    /// # Errors
    /// As [`create`](Blobs::create).
    pub fn create_hashed(&self) -> Result<HashedBlob, Error> {
        let owner = self.0.owner()?;
        let file = NewFile::create_in(&owner.tmp()?)?;
        Ok(HashedBlob {
            store: self.0.clone(),
            owner,
            file,
            size: 0,
        })
    }
}

fn missing(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("find the blob `{digest}`"))
}

/// A blob that is being written, whose digest is found on the way. Dropped before it is finished, it
/// never was.
pub struct BlobWriter {
    out: HashingWriter<HashedBlob>,
}

impl BlobWriter {
    /// Makes the blob visible, and gives its digest and size.
    ///
    /// # Errors
    /// [`Mismatch`](ErrorKind::Mismatch) when `expected` is something else: then it never was.
    pub fn finish(self, expected: Option<(Digest, u64)>) -> Result<(Digest, u64), Error> {
        let (blob, digest, size) = self.out.finish();
        if let Some((wanted, length)) = expected
            && (wanted, length) != (digest, size)
        {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "write the blob `{wanted}` of {length} bytes: \
                     what came has the digest `{digest}` and {size} bytes"
                ),
            ));
        }
        blob.finish(&digest, size)?;
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A blob that is being written by somebody who hashes it. Dropped before it is finished, it never
/// was.
pub struct HashedBlob {
    store: Store,
    owner: Arc<Owner>,
    file: NewFile,
    size: u64,
}

impl HashedBlob {
    /// Makes the blob visible. The digest is believed; the size is compared.
    ///
    /// # Errors
    /// [`Mismatch`](ErrorKind::Mismatch) when not all of it came: then it never was.
    pub fn finish(self, digest: &Digest, size: u64) -> Result<(), Error> {
        if self.size != size {
            let came = self.size;
            let what = format!("write the blob `{digest}`: {came} of {size} bytes came");
            return Err(Error::new(ErrorKind::Mismatch, what));
        }
        self.owner.claim(&[*digest])?;
        let path = self.store.layout().blob(digest);
        if !exists(&path)? {
            self.owner.place(Unsynced::Blob, Some(digest), || {
                Ok(self.file.keep(&path)?)
            })?;
        }
        Ok(())
    }
}

impl Write for HashedBlob {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl std::fmt::Debug for HashedBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashedBlob({} bytes)", self.size)
    }
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobWriter({} bytes)", self.out.len())
    }
}
