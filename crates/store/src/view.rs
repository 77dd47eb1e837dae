//! The store as a source of images, for push and save.

use std::io::{self, Read, Seek, SeekFrom};

use kiln_image::{
    Descriptor, Error as ImageError, ErrorKind as ImageErrorKind, Location, Reference, Source,
};

use crate::{Error, Store};

/// A [`Source`] of the images in a store.
///
/// An image that was built here has no manifest until its layers were packed: then
/// [`giving`](View::giving) tells what its name stands for.
#[derive(Clone, Debug)]
pub struct View {
    store: Store,
    given: Vec<(Reference, Descriptor)>,
}

impl Store {
    /// The store as a [`Source`].
    pub fn source(&self) -> View {
        View {
            store: self.clone(),
            given: Vec::new(),
        }
    }
}

impl View {
    /// The same view, in which `name` stands for `manifest`, a blob of the store.
    #[must_use]
    pub fn giving(mut self, name: Reference, manifest: Descriptor) -> Self {
        self.given.push((name, manifest));
        self
    }

    fn find(&self, what: &Reference) -> Result<Descriptor, Error> {
        let found = self.store.images().find(&what.to_string())?;
        let here = |m: &Descriptor| self.store.blobs().has(&m.digest);
        found.image.manifest.filter(here).ok_or_else(|| {
            let what = format!("find a manifest of `{}`", what.familiar());
            Error::new(crate::ErrorKind::NotFound, what).hint("its layers were not packed yet")
        })
    }
}

impl Source for View {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, ImageError> {
        let given = self.given.iter().rev().find(|(name, _)| name == what);
        match given {
            Some((_, manifest)) => Ok(manifest.clone()),
            None => Ok(self.find(what)?),
        }
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, ImageError> {
        Ok(self.store.blobs().read(&document.digest)?)
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let as_image = |e: Error| io::Error::from(ImageError::from(e));
        let mut file = self.store.blobs().open(&blob.digest).map_err(as_image)?;
        if from > blob.size {
            let what = format!("read the blob `{}` from {from}: it is shorter", blob.digest);
            return Err(ImageError::new(ImageErrorKind::Invalid, what).into());
        }
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(file))
    }

    fn locations(&self, blob: &Descriptor) -> Vec<Location> {
        // Where it lies elsewhere only saves work: not to know is no error.
        let layers = self.store.layers();
        let Ok(diff_id) = layers.diff_id_of(&blob.digest) else {
            return Vec::new();
        };
        let Ok(Some(layer)) = layers.get(&diff_id.unwrap_or(blob.digest)) else {
            return Vec::new();
        };
        let here = layer.facts.locations.into_iter();
        here.filter(|l| l.digest == blob.digest)
            .map(|l| l.location)
            .collect()
    }
}
