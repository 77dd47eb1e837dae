//! The store as a sink of images: a layer streams in once, and is verified, kept and indexed on
//! the way.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use kiln_image::{
    Config, Descriptor, Digest, Error as ImageError, ErrorKind as ImageErrorKind, Location,
    Manifest, Open, Raw, Reference, Sink, Taken, Verifier, media, media::Compression,
};
use kiln_layer::{Applied, Nothing, apply, decompress, indexed::annotations_of};

use crate::{
    Build, Elsewhere, Error, Facts, HashedBlob, ImageRecord, PackedAs, Store, bodies::content_of,
    resume::Resume,
};

/// Takes images into the store for a [`Build`]; names are set when that is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    build: &'a Build,
}

impl Build {
    /// The store as a [`Sink`].
    pub fn sink(&self) -> Intake<'_> {
        Intake { build: self }
    }
}

impl Sink for Intake<'_> {
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, ImageError> {
        let store = self.store();
        let is_layer = Compression::of_layer(&blob.media_type).is_some();
        self.build.keep(&[blob.digest])?;
        let here = store.blobs().has(&blob.digest);
        if here && !is_layer {
            return Ok(Taken::Existed);
        }
        if here && let Some(diff_id) = diff_id_of(store, &blob.digest)? {
            self.build.keep(&[diff_id])?;
            // A tree that is damaged is made anew, as one that is missing.
            if let Ok(Some(_)) = store.layers().tree(&diff_id) {
                let locations = elsewhere(blob, known);
                let facts = Facts {
                    locations,
                    ..Facts::default()
                };
                store.layers().put(&diff_id, facts, None)?;
                return Ok(Taken::Existed);
            }
        }
        let (reader, writer): (Box<dyn Read + Send + '_>, _) = if here {
            (Box::new(store.blobs().open(&blob.digest)?), None)
        } else {
            let remote = Resume::new(open, blob.size);
            (Box::new(remote), Some(store.blobs().create_hashed()?))
        };
        let mut tee = Tee {
            inner: Verifier::new(reader, blob.digest, blob.size),
            out: writer,
            seen: Arc::new(AtomicU64::new(0)),
            failed: None,
        };
        if is_layer {
            self.layer(blob, &mut tee, known, progress)?;
        } else {
            tee.drain(progress)?;
            tee.keep(blob)?;
        }
        Ok(if here { Taken::Existed } else { Taken::Copied })
    }

    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), ImageError> {
        Verifier::new(bytes, document.digest, document.size).read_to_end(&mut Vec::new())?;
        self.build.keep(&[document.digest])?;
        self.store().blobs().put(bytes)?;
        Ok(())
    }

    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), ImageError> {
        if media::is_index(&document.media_type) {
            return Err(ImageError::new(
                ImageErrorKind::Unsupported,
                format!("`{}` stands for several platforms at once", name.familiar()),
            )
            .hint("choose one of its platforms"));
        }
        let image = self.record(document)?;
        // As docker does: who names a digest gets the digest, and no tag.
        let name = name
            .digest()
            .map_or_else(|| name.clone(), |d| name.with_digest(d));
        Ok(self.build.name(&name, &image)?)
    }
}

impl Intake<'_> {
    fn store(&self) -> &Store {
        self.build.store()
    }

    /// Puts the image of a manifest that was taken, without a name.
    ///
    /// # Errors
    /// [`Mismatch`](ImageErrorKind::Mismatch) when its layers are not those that its config names;
    /// [`NotFound`](ImageErrorKind::NotFound) when one was not taken.
    pub fn image(&self, document: &Descriptor) -> Result<ImageRecord, ImageError> {
        Ok(self.build.remember(self.record(document)?)?)
    }

    fn record(&self, document: &Descriptor) -> Result<ImageRecord, ImageError> {
        let blobs = self.store().blobs();
        let manifest: Raw<Manifest> = Raw::parse(blobs.read(&document.digest)?)?;
        let config: Raw<Config> = Raw::parse(blobs.read(&manifest.config.digest)?)?;
        self.check_layers(&manifest, &config)?;
        Ok(ImageRecord::new(
            self.store(),
            &config,
            Some(document.clone()),
            None,
        )?)
    }

    /// Reads a layer to its end: verified, kept, and indexed.
    fn layer(
        &self,
        blob: &Descriptor,
        tee: &mut Tee<'_>,
        known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ImageError> {
        let read = read_layer(tee, progress);
        // The rest has to be seen in any case: bytes that are not those announced are the reason
        // why a layer cannot be read, not the other way round.
        tee.drain(progress)?;
        let (compression, applied) = read?;
        tee.keep(blob)?;
        let mut facts = Facts {
            size: applied.size,
            content: content_of(&applied.tree),
            locations: elsewhere(blob, known),
            ..Facts::default()
        };
        if compression != Compression::None {
            let mut descriptor = Descriptor::new(&blob.media_type, blob.digest, blob.size);
            // Where its table of contents is stays true wherever the blob goes.
            descriptor.annotations = annotations_of(&blob.annotations);
            facts
                .packed
                .push(PackedAs::foreign(compression, descriptor));
        }
        self.build.keep(&[applied.diff_id])?;
        let layers = self.store().layers();
        Ok(layers.put(&applied.diff_id, facts, Some(&applied.tree))?)
    }

    /// The layers of a manifest are those that the config names, in that order.
    fn check_layers(&self, manifest: &Manifest, config: &Config) -> Result<(), ImageError> {
        let expected = &config.rootfs.diff_ids;
        if manifest.layers.len() != expected.len() {
            return Err(ImageError::new(
                ImageErrorKind::Mismatch,
                format!(
                    "the manifest has {} layers, and the config `{}` names {}",
                    manifest.layers.len(),
                    manifest.config.digest,
                    expected.len()
                ),
            ));
        }
        for (layer, expected) in manifest.layers.iter().zip(expected) {
            let found = diff_id_of(self.store(), &layer.digest)?;
            if found != Some(*expected) {
                let found = found.map_or("not a layer".to_owned(), |d| format!("`{d}`"));
                return Err(ImageError::new(
                    ImageErrorKind::Mismatch,
                    format!(
                        "the layer `{}` is {found} when unpacked, and the config says `{expected}`",
                        layer.digest
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The layer whose blob this is: a plain one is its own.
fn diff_id_of(store: &Store, blob: &Digest) -> Result<Option<Digest>, Error> {
    match store.layers().diff_id_of(blob)? {
        Some(found) => Ok(Some(found)),
        None => Ok(store.layers().get(blob)?.map(|layer| layer.diff_id)),
    }
}

fn elsewhere(blob: &Descriptor, known: &[Location]) -> Vec<Elsewhere> {
    let at = |location: &Location| Elsewhere {
        location: location.clone(),
        digest: blob.digest,
    };
    known.iter().map(at).collect()
}

fn read_layer(
    tee: &mut Tee<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Compression, Applied), ImageError> {
    let seen = tee.seen.clone();
    let read = decompress(&mut *tee).and_then(|(compression, plain)| {
        let watched = Watched {
            inner: plain,
            seen,
            progress,
        };
        Ok((compression, apply(watched, &mut Nothing)?))
    });
    read.map_err(|e| match tee.failed.take() {
        Some(cause) => cause,
        None => Error::from(e).into(),
    })
}

/// Reads a blob, verifies it, and writes it down on the way.
struct Tee<'a> {
    inner: Verifier<Box<dyn Read + Send + 'a>>,
    out: Option<HashedBlob>,
    seen: Arc<AtomicU64>,
    /// What went wrong here, whatever the layers above make of it.
    failed: Option<ImageError>,
}

impl Tee<'_> {
    fn drain(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), ImageError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => progress(self.seen.load(Ordering::Relaxed)),
                Err(e) => return Err(self.failed.take().unwrap_or_else(|| e.into())),
            }
        }
    }

    fn keep(&mut self, blob: &Descriptor) -> Result<(), Error> {
        match self.out.take() {
            Some(out) => out.finish(&blob.digest, blob.size),
            None => Ok(()),
        }
    }

    fn step(&mut self, buf: &mut [u8]) -> Result<usize, ImageError> {
        let n = self.inner.read(buf)?;
        if let Some(out) = &mut self.out {
            out.write_all(&buf[..n]).map_err(Error::from)?;
        }
        self.seen.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::other("reading failed before"));
        }
        self.step(buf).map_err(|e| {
            self.failed = Some(e);
            io::Error::other("reading failed")
        })
    }
}

/// Tells, on the thread that asks for the plain bytes, how many packed ones were read.
struct Watched<'a, R> {
    inner: R,
    seen: Arc<AtomicU64>,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        (self.progress)(self.seen.load(Ordering::Relaxed));
        Ok(n)
    }
}
