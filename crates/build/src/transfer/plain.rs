//! Images of the store as a source whose layers are plain tars: what an archive is made of. An
//! image that came from a registry, and is whole, goes out as it came.

use std::{collections::HashMap, io};

use kiln_image::{
    Descriptor, Digest, Error, ErrorKind, Index, Manifest, Raw, Reference, Source, media,
};
use kiln_store::{ImageRecord, Store};

use crate::Builder;

/// The documents that were made, and the store for the rest.
pub(super) struct Plain<'a> {
    builder: &'a Builder,
    made: HashMap<Digest, Vec<u8>>,
    roots: HashMap<Digest, Descriptor>,
}

impl<'a> Plain<'a> {
    pub(super) fn new(builder: &'a Builder, images: &[&ImageRecord]) -> Result<Self, crate::Error> {
        let mut plain = Self {
            builder,
            made: HashMap::new(),
            roots: HashMap::new(),
        };
        for image in images {
            let root = match &image.index[..] {
                [] => plain.root(image)?,
                several => plain.index(several)?,
            };
            plain.roots.insert(key(image), root);
        }
        Ok(plain)
    }

    fn root(&mut self, image: &ImageRecord) -> Result<Descriptor, crate::Error> {
        match whole(self.builder.store(), image)? {
            Some(manifest) => Ok(manifest),
            None => self.make(image),
        }
    }

    fn index(&mut self, images: &[ImageRecord]) -> Result<Descriptor, crate::Error> {
        let mut manifests = Vec::new();
        for image in images {
            manifests.push(Descriptor {
                platform: Some(image.platform.clone()),
                ..self.root(image)?
            });
        }
        let index = Raw::new(Index::new(manifests));
        let descriptor = index.descriptor(media::INDEX);
        self.made.insert(descriptor.digest, index.bytes().to_vec());
        Ok(descriptor)
    }

    /// The name by which an image is asked for here.
    pub(super) fn reference(&self, image: &ImageRecord) -> Reference {
        let base: Reference = "localhost/kiln".parse().expect("a constant that is a name");
        base.with_digest(key(image))
    }

    fn make(&mut self, image: &ImageRecord) -> Result<Descriptor, crate::Error> {
        let store = self.builder.store();
        let config = store.images().config(image)?;
        let layers = image.layers.iter().map(|id| plain_layer(store, id));
        let layers = layers.collect::<Result<_, _>>()?;
        let manifest = Raw::new(Manifest::new(config.descriptor(media::CONFIG), layers));
        let descriptor = manifest.descriptor(media::MANIFEST);
        self.made.insert(config.digest(), config.bytes().to_vec());
        self.made
            .insert(descriptor.digest, manifest.bytes().to_vec());
        Ok(descriptor)
    }
}

/// What an image, or an index of them, is asked for by.
fn key(image: &ImageRecord) -> Digest {
    match &image.index[..] {
        [] => image.id,
        several => {
            let ids: Vec<String> = several.iter().map(|one| one.id.to_string()).collect();
            Digest::sha256(ids.join(" ").as_bytes())
        }
    }
}

/// A layer as a plain tar, as a manifest names it.
pub(crate) fn plain_layer(store: &Store, diff_id: &Digest) -> Result<Descriptor, crate::Error> {
    let facts = store.layers().get(diff_id)?;
    let Some(size) = facts.map(|layer| layer.facts.size) else {
        let what = format!("layer `{diff_id}` is not in the store");
        return Err(crate::Error::new(crate::ErrorKind::NotFound, what));
    };
    Ok(Descriptor::new(media::LAYER, *diff_id, size))
}

/// The manifest that an image came with, when all it names is here.
pub(super) fn whole(
    store: &Store,
    image: &ImageRecord,
) -> Result<Option<Descriptor>, crate::Error> {
    let Some(manifest) = &image.manifest else {
        return Ok(None);
    };
    if !store.blobs().has(&manifest.digest) {
        return Ok(None);
    }
    let document: Raw<Manifest> = Raw::parse(store.blobs().read(&manifest.digest)?)?;
    let here = document
        .layers
        .iter()
        .all(|layer| store.blobs().has(&layer.digest));
    Ok(here.then(|| manifest.clone()))
}

impl Source for Plain<'_> {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error> {
        let root = what.digest().and_then(|id| self.roots.get(&id));
        root.cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("`{what}`")))
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error> {
        match self.made.get(&document.digest) {
            Some(bytes) => Ok(bytes.clone()),
            None => Ok(self.builder.store().blobs().read(&document.digest)?),
        }
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn io::Read + Send>> {
        let blobs = self.builder.store().blobs();
        let mut bytes: Box<dyn io::Read + Send> = match blobs.has(&blob.digest) {
            true => Box::new(blobs.open(&blob.digest).map_err(Error::from)?),
            false => self
                .builder
                .roots()
                .packed(&blob.digest)
                .map_err(|e| io::Error::other(e.to_string()))?,
        };
        io::copy(&mut (&mut bytes).take(from), &mut io::sink())?;
        Ok(bytes)
    }
}

use io::Read as _;
