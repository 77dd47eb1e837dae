//! An OCI layout in a folder, to read from and to add to (OCI image-spec, image-layout.md). Every
//! file appears whole or not at all. Refuses to tidy up: what no image needs any more stays; but what a
//! killed writer left half-written goes.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kiln_image::{
    Algorithm, Descriptor, Digest, Error, ErrorKind, Index, Location, Open, Raw, Reference, Sink,
    Source, Taken, Verifier,
};
use tempfile::NamedTempFile;

use crate::{
    files::{Files, absent},
    names,
    reader::{self, Entry},
};

pub(crate) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// How the names of files begin that are not whole yet.
const UNFINISHED: &str = ".kiln-";
/// How long after its last byte a file may be one that is just being written.
const BEGUN: Duration = Duration::from_secs(60);

/// A folder with an OCI layout.
#[derive(Debug)]
pub struct LayoutDirectory {
    path: PathBuf,
    files: Files,
    index: Mutex<Index>,
}

impl LayoutDirectory {
    /// Makes a layout in the folder `path`, and the folder where it is missing; a layout that is
    /// there is added to.
    ///
    /// # Errors
    /// When `path` cannot be written to, or what is there is not a layout.
    pub fn create(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path.join("blobs").join("sha256")).map_err(|e| at(path, e))?;
        sweep(path);
        let new = Self::with(path, Index::new(Vec::new()));
        if !path.join("oci-layout").exists() {
            new.place("oci-layout", LAYOUT.as_bytes())?;
        }
        if !path.join("index.json").exists() {
            new.write_index(&new.lock())?;
            return Ok(new);
        }
        Self::open(path)
    }

    /// Opens the layout in the folder `path`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when it is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = match fs::read(path.join("index.json")) {
            Ok(bytes) => bytes,
            Err(e) if absent(&e) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("`{}` is not an OCI layout: no `index.json`", path.display()),
                ));
            }
            Err(e) => return Err(at(path, e)),
        };
        let index: Raw<Index> = Raw::parse(bytes)?;
        Ok(Self::with(path, index.into_value()))
    }

    fn with(path: &Path, index: Index) -> Self {
        Self {
            path: path.to_owned(),
            files: Files::Folder(path.to_owned()),
            index: Mutex::new(index),
        }
    }

    /// The images, in the order of the index.
    pub fn images(&self) -> Vec<Entry> {
        reader::images(&self.lock())
    }

    /// Lists an image that was taken and has no name; one that is listed already stays as it is.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn add(&self, document: &Descriptor) -> Result<(), Error> {
        let mut index = self.lock();
        if index.manifests.iter().any(|m| m.digest == document.digest) {
            return Ok(());
        }
        index.manifests.push(names::entry(document, None));
        self.write_index(&index)
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_index(&self, index: &Index) -> Result<(), Error> {
        self.place("index.json", Raw::new(index.clone()).bytes())
    }

    fn place(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(|e| at(&self.path, e))?;
        self.publish(file, name)
    }

    fn temporary(&self) -> Result<NamedTempFile, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        #[cfg(unix)]
        builder
            .permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644));
        let file = builder.tempfile_in(&self.path);
        let file = file.map_err(|e| at(&self.path, e))?;
        // While it is held, nobody takes it for one that was left; where nothing can be held, age tells.
        let _ = file.as_file().lock();
        Ok(file)
    }

    fn publish(&self, file: NamedTempFile, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match file.persist(&path) {
            Ok(_) => Ok(()),
            Err(e) => Err(at(&path, e.error)),
        }
    }

    /// Where a blob goes; only digests that layouts know.
    fn blob_name(digest: &Digest) -> Result<String, Error> {
        match digest.algorithm() {
            Algorithm::Sha256 => Ok(names::blob_path(digest)),
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!("OCI layouts do not know `{}` digests", other.name()),
            )),
        }
    }
}

/// Removes what killed writers left: nobody holds it, and nobody has just begun it. Of files that cannot
/// be removed nothing becomes worse.
fn sweep(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let written = entry.metadata().and_then(|meta| meta.modified());
        let is_old = written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > BEGUN));
        let idle = |file: fs::File| file.try_lock().is_ok();
        if is_old && fs::File::open(entry.path()).is_ok_and(idle) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn at(path: &Path, e: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("`{}`: {e}", path.display())).because(e)
}

impl Source for LayoutDirectory {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error> {
        reader::resolve(&self.images(), what)
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error> {
        reader::document(&self.files, &Self::blob_name(&document.digest)?, document)
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        reader::blob(&self.files, &Self::blob_name(&blob.digest)?, blob, from)
    }
}

impl Sink for LayoutDirectory {
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        _known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, Error> {
        let name = Self::blob_name(&blob.digest)?;
        let there = fs::metadata(self.path.join(&name));
        if there.is_ok_and(|m| m.is_file() && m.len() == blob.size) {
            return Ok(Taken::Existed);
        }
        let mut file = self.temporary()?;
        let mut from = Verifier::new(open(0)?, blob.digest, blob.size);
        let (mut buf, mut done) = (vec![0; 128 << 10], 0);
        loop {
            let n = match from.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            file.write_all(&buf[..n]).map_err(|e| at(&self.path, e))?;
            done += n as u64;
            progress(done);
        }
        self.publish(file, &name)?;
        Ok(Taken::Copied)
    }

    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let name = Self::blob_name(&document.digest)?;
        io::copy(
            &mut Verifier::new(bytes, document.digest, document.size),
            &mut io::sink(),
        )?;
        self.place(&name, bytes)
    }

    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), Error> {
        let mut index = self.lock();
        index
            .manifests
            .retain(|m| names::name(m).as_ref() != Some(name));
        index.manifests.push(names::entry(document, Some(name)));
        self.write_index(&index)
    }
}
