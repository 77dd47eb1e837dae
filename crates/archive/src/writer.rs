//! What `docker save` writes today: a tar that is an OCI layout and a docker archive at once. The
//! same images give the same bytes: entries sorted, times zero, owners root. Not a sink, for the
//! order in a tar must not depend on which blob came first: it knows all documents before it writes,
//! then streams the blobs in order.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use kiln_image::{
    Descriptor, Digest, Error, ErrorKind, Index, Manifest, Platform, Progress, Raw, Reference,
    Select, Source, Taken, Verifier, media,
};
use tar::{EntryType, Header};

use crate::{docker::Item, folder::LAYOUT, names};

/// Images to be written into one tar.
pub struct Writer<'a> {
    from: &'a dyn Source,
    images: Vec<(Descriptor, Vec<Reference>)>,
    documents: BTreeMap<Digest, Vec<u8>>,
    manifests: BTreeMap<Digest, Manifest>,
    indexes: BTreeMap<Digest, Index>,
    layers: BTreeMap<Digest, Descriptor>,
}

impl<'a> Writer<'a> {
    /// Nothing yet; images will come from `from`.
    pub fn new(from: &'a dyn Source) -> Self {
        Self {
            from,
            images: Vec::new(),
            documents: BTreeMap::new(),
            manifests: BTreeMap::new(),
            indexes: BTreeMap::new(),
            layers: BTreeMap::new(),
        }
    }

    /// Adds the image `what`, called `names` in the archive; without names it is untagged. Reads
    /// its documents, no blobs. Answers with the descriptor of what will be in the archive.
    ///
    /// # Errors
    /// What the source gives; [`Unsupported`](ErrorKind::Unsupported) for documents that are not
    /// images.
    pub fn add(
        &mut self,
        what: &Reference,
        names: &[Reference],
        select: &Select,
    ) -> Result<Descriptor, Error> {
        let found = self.from.resolve(what)?;
        let added = self.document(found, select)?;
        let digest = added.digest;
        match self.images.iter_mut().find(|(d, _)| d.digest == digest) {
            Some((_, known)) => {
                let new = names.iter().filter(|n| !known.contains(n)).cloned();
                let new: Vec<Reference> = new.collect();
                known.extend(new);
            }
            None => self.images.push((added.clone(), names.to_vec())),
        }
        Ok(added)
    }

    fn document(&mut self, found: Descriptor, select: &Select) -> Result<Descriptor, Error> {
        let bytes = self.from.document(&found)?;
        if media::is_manifest(&found.media_type) {
            let manifest: Raw<Manifest> = Raw::parse(bytes.clone())?;
            let config = self.from.document(&manifest.config)?;
            self.documents.insert(manifest.config.digest, config);
            for layer in &manifest.layers {
                self.layers.insert(layer.digest, layer.clone());
            }
            self.manifests.insert(found.digest, manifest.into_value());
            self.documents.insert(found.digest, bytes);
            return Ok(found);
        }
        if !media::is_index(&found.media_type) {
            let what = format!(
                "`{}` is not an image: its media type is `{}`",
                found.digest, found.media_type
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let index: Raw<Index> = Raw::parse(bytes)?;
        match select {
            Select::Platform(platform) => {
                let chosen = index.for_platform(platform)?.clone();
                self.document(chosen, select)
            }
            Select::All => {
                for child in &index.manifests {
                    self.document(child.clone(), select)?;
                }
                self.documents.insert(found.digest, index.bytes().to_vec());
                self.indexes.insert(found.digest, index.into_value());
                Ok(found)
            }
        }
    }

    /// Writes the archive; each blob is verified on the way. What has been written when this fails
    /// is not an archive.
    ///
    /// # Errors
    /// What the source gives, and what `out` gives.
    pub fn write<W: Write>(self, out: W, on: &dyn Fn(Progress<'_>)) -> Result<W, Error> {
        let mut files: BTreeMap<String, Content<'_>> = BTreeMap::new();
        for (digest, bytes) in &self.documents {
            files.insert(names::blob_path(digest), Content::Bytes(bytes.clone()));
        }
        let layers: Vec<Descriptor> = self.layers.values().cloned().collect();
        on(Progress::Layers(&layers));
        for layer in &layers {
            files.insert(names::blob_path(&layer.digest), Content::Blob(layer));
        }
        for (name, bytes) in [
            ("index.json", self.index()),
            ("manifest.json", self.docker_manifest()?),
            ("oci-layout", LAYOUT.as_bytes().to_vec()),
        ] {
            files.insert(name.to_owned(), Content::Bytes(bytes));
        }
        for folder in ["blobs/", "blobs/sha256/"] {
            files.insert(folder.to_owned(), Content::Folder);
        }
        let mut tar = Tar(out);
        for (name, content) in files {
            match content {
                Content::Folder => tar.header(&name, EntryType::Directory, 0)?,
                Content::Bytes(bytes) => {
                    tar.header(&name, EntryType::Regular, bytes.len() as u64)?;
                    tar.0.write_all(&bytes)?;
                    tar.pad(bytes.len() as u64)?;
                }
                Content::Blob(layer) => {
                    tar.header(&name, EntryType::Regular, layer.size)?;
                    self.blob(layer, &mut tar.0, on)?;
                    tar.pad(layer.size)?;
                }
            }
        }
        tar.0.write_all(&[0; 1024])?;
        tar.0.flush()?;
        Ok(tar.0)
    }

    fn blob(
        &self,
        layer: &Descriptor,
        out: &mut impl Write,
        on: &dyn Fn(Progress<'_>),
    ) -> Result<(), Error> {
        let mut from = Verifier::new(self.from.blob(layer, 0)?, layer.digest, layer.size);
        let (mut buf, mut done) = (vec![0; 128 << 10], 0);
        loop {
            let n = match from.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            out.write_all(&buf[..n])?;
            done += n as u64;
            on(Progress::Bytes(layer, done));
        }
        on(Progress::Taken(layer, Taken::Copied));
        Ok(())
    }

    /// `index.json`: an entry for each name.
    fn index(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for (document, names) in &self.images {
            if names.is_empty() {
                entries.push(names::entry(document, None));
            }
            entries.extend(names.iter().map(|n| names::entry(document, Some(n))));
        }
        Raw::new(Index::new(entries)).bytes().to_vec()
    }

    /// `manifest.json`, for docker and those who read what it wrote before it knew OCI layouts.
    fn docker_manifest(&self) -> Result<Vec<u8>, Error> {
        let mut items = Vec::new();
        for (document, names) in &self.images {
            let Some(manifest) = self.one_image(document.digest) else {
                continue;
            };
            let tags: Vec<String> = names
                .iter()
                .filter_map(|n| n.tag().map(|tag| (n, tag)))
                .map(|(n, tag)| format!("{}:{tag}", n.familiar_repository()))
                .collect();
            let layers = manifest.layers.iter();
            items.push(Item {
                config: names::blob_path(&manifest.config.digest),
                repo_tags: (!tags.is_empty()).then_some(tags),
                layers: layers.map(|l| names::blob_path(&l.digest)).collect(),
            });
        }
        serde_json::to_vec(&items)
            .map_err(|e| Error::new(ErrorKind::Io, "write `manifest.json`").because(e))
    }

    /// The one image that a docker archive can show of a document: of an index, the one for this
    /// machine, else the first. What has no layers of an image is not shown.
    fn one_image(&self, digest: Digest) -> Option<&Manifest> {
        if let Some(index) = self.indexes.get(&digest) {
            let own = index.for_platform(&Platform::host()).ok();
            let mut candidates = own.into_iter().chain(&index.manifests);
            return candidates.find_map(|child| self.one_image(child.digest));
        }
        let manifest = self.manifests.get(&digest)?;
        let is_layer = |l: &Descriptor| media::Compression::of_layer(&l.media_type).is_some();
        manifest.layers.iter().all(is_layer).then_some(manifest)
    }
}

enum Content<'a> {
    Folder,
    Bytes(Vec<u8>),
    Blob(&'a Descriptor),
}

/// A tar whose headers say nothing but names and sizes.
struct Tar<W>(W);

impl<W: Write> Tar<W> {
    fn header(&mut self, name: &str, kind: EntryType, size: u64) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(match kind {
            EntryType::Directory => 0o755,
            _ => 0o644,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.0.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = usize::try_from(size.next_multiple_of(512) - size).unwrap_or(0);
        self.0.write_all(&[0; 512][..rest])
    }
}
