//! Archives as sources of images, whatever their kind: what it is shows in what is in it, never in
//! the name of the file.

use std::{
    collections::HashMap,
    io::{self, Read},
    path::Path,
};

use kiln_image::{Descriptor, Digest, Error, ErrorKind, Index, Raw, Reference, Source, Verifier};
use serde::Deserialize;

use crate::{
    docker,
    files::{Files, LONGEST_DOCUMENT},
    names,
};

/// An image in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its names, whole ones; none where it is untagged.
    pub names: Vec<Reference>,
    /// A tag without a name before it, as OCI layouts may have.
    pub tag: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

impl Entry {
    /// What to ask the archive for to get this image, whether it has a name or not.
    pub fn reference(&self) -> Reference {
        match self.names.first() {
            Some(name) => name.clone(),
            None => untagged(self.descriptor.digest),
        }
    }
}

fn untagged(digest: Digest) -> Reference {
    let name: Reference = "untagged"
        .parse()
        .expect("eight small letters are a valid repository");
    name.with_digest(digest)
}

/// An archive of images: an OCI layout or a docker archive.
#[derive(Debug)]
pub struct Reader {
    files: Files,
    images: Vec<Entry>,
    /// Manifests that the archive implies and does not have.
    documents: HashMap<Digest, Vec<u8>>,
    /// Where blobs lie that do not lie where an OCI layout has them.
    paths: HashMap<Digest, String>,
}

impl Reader {
    /// Opens an archive: an OCI layout in a folder or a tar, or a docker archive, plain or compressed
    /// by gzip or zstd. A compressed tar is unpacked once, into an unnamed file in the folder
    /// `spool`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), or [`Invalid`](ErrorKind::Invalid) when it is no such
    /// archive.
    pub fn open(path: &Path, spool: &Path) -> Result<Self, Error> {
        Self::load(Files::at(path, spool)?)
    }

    /// An archive from a stream, which is kept in an unnamed file in the folder `spool`.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn from_stream(from: impl Read, spool: &Path) -> Result<Self, Error> {
        Self::load(Files::stream(from, spool)?)
    }

    /// The images, in the archive's order.
    pub fn images(&self) -> &[Entry] {
        &self.images
    }

    fn load(files: Files) -> Result<Self, Error> {
        if let Some(index) = files.document("index.json")? {
            check_version(&files)?;
            let index: Raw<Index> = Raw::parse(index)?;
            let images = images(index.value());
            return Ok(Self {
                files,
                images,
                documents: HashMap::new(),
                paths: HashMap::new(),
            });
        }
        let manifest = match &files {
            Files::Tar { .. } => files.document("manifest.json")?,
            Files::Folder(_) => None,
        };
        if let Some(manifest) = manifest {
            let found = docker::read(&files, manifest)?;
            return Ok(Self {
                files,
                images: found.images,
                documents: found.documents,
                paths: found.paths,
            });
        }
        Err(unknown(&files))
    }
}

/// What to say about something that is no archive of images.
fn unknown(files: &Files) -> Error {
    let what = Error::new(
        ErrorKind::Invalid,
        "neither an OCI layout nor a docker archive: no `index.json` and no `manifest.json` in it",
    );
    match ["bin", "etc", "usr"].iter().any(|f| files.has_folder(f)) {
        true => what.hint("it looks like a root file system: `kiln import` takes those"),
        false => what,
    }
}

fn check_version(files: &Files) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout {
        image_layout_version: String,
    }
    // Some writers leave it out.
    let Some(bytes) = files.document("oci-layout")? else {
        return Ok(());
    };
    let layout: Raw<Layout> = Raw::parse(bytes)?;
    match layout.image_layout_version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "version `{}` of the OCI layout is not supported",
                layout.image_layout_version.escape_debug()
            ),
        )),
    }
}

/// The entries of an index, those of one document together.
pub(crate) fn images(index: &Index) -> Vec<Entry> {
    let mut images: Vec<Entry> = Vec::new();
    for manifest in &index.manifests {
        let name = names::name(manifest);
        let bare = manifest.annotations.get(names::TAG).cloned();
        let tag = bare.filter(|_| name.is_none());
        let known = images
            .iter_mut()
            .find(|e| e.descriptor.digest == manifest.digest);
        match known {
            Some(entry) => {
                entry.names.extend(name);
                entry.tag = entry.tag.take().or(tag);
            }
            None => images.push(Entry {
                names: name.into_iter().collect(),
                tag,
                descriptor: names::entry(manifest, None),
            }),
        }
    }
    images
}

/// The image that is asked for, by name or by digest.
pub(crate) fn resolve(images: &[Entry], what: &Reference) -> Result<Descriptor, Error> {
    let named = |e: &&Entry| match what.digest() {
        Some(digest) => e.descriptor.digest == digest,
        None => e.names.contains(what),
    };
    if let Some(found) = images.iter().find(named) {
        return Ok(found.descriptor.clone());
    }
    let have: Vec<String> = images
        .iter()
        .flat_map(|e| e.names.iter().map(Reference::familiar))
        .take(10)
        .collect();
    let what = format!("no image in the archive is named `{}`", what.familiar());
    let error = Error::new(ErrorKind::NotFound, what);
    Err(match have.is_empty() {
        true => error,
        false => error.hint(format!("it has: {}", have.join(", "))),
    })
}

/// A document of a known digest, verified.
pub(crate) fn document(files: &Files, path: &str, document: &Descriptor) -> Result<Vec<u8>, Error> {
    if document.size > LONGEST_DOCUMENT {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "document `{}` would be {} bytes long; {LONGEST_DOCUMENT} is the most",
                document.digest, document.size
            ),
        ));
    }
    let (_, reader) = files
        .open(path, 0)?
        .ok_or_else(|| absent(document.digest))?;
    let mut bytes = Vec::new();
    Verifier::new(reader, document.digest, document.size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A blob from an offset on.
pub(crate) fn blob(
    files: &Files,
    path: &str,
    blob: &Descriptor,
    from: u64,
) -> io::Result<Box<dyn Read + Send>> {
    let (size, reader) = files.open(path, from)?.ok_or_else(|| absent(blob.digest))?;
    if size != blob.size {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "blob `{}`: {size} bytes, expected {}",
                blob.digest, blob.size
            ),
        )
        .into());
    }
    Ok(reader)
}

fn absent(digest: Digest) -> Error {
    let error = Error::new(
        ErrorKind::NotFound,
        format!("`{digest}` is not in the archive"),
    );
    error.hint("an index may name images for platforms that the archive leaves out")
}

impl Reader {
    fn path(&self, digest: &Digest) -> String {
        match self.paths.get(digest) {
            Some(path) => path.clone(),
            None => names::blob_path(digest),
        }
    }
}

impl Source for Reader {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error> {
        resolve(&self.images, what)
    }

    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Error> {
        match self.documents.get(&wanted.digest) {
            Some(bytes) => Ok(bytes.clone()),
            None => document(&self.files, &self.path(&wanted.digest), wanted),
        }
    }

    fn blob(&self, wanted: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        blob(&self.files, &self.path(&wanted.digest), wanted, from)
    }
}
