//! The packed forms of layers: the uncompressed tar as a stream, and blobs to push or to save.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::thread;

use kiln_image::media::Compression;
use kiln_image::{Descriptor, Digest, Verifier};
use kiln_layer::{Packed, indexed, pipe};
use kiln_store::{Facts, Form, PackedAs};

use crate::roots::no_body;
use crate::{Error, ErrorKind, Roots};

impl Roots {
    /// The uncompressed tar of a layer: from a blob, else packed again from the unpacked body on the
    /// way. Whoever reads to the end without an error has the bytes of the diff id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] for a layer that has no body here, or only one that somebody else
    /// made, which cannot be packed to the same bytes.
    pub fn packed(&self, diff_id: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        let layers = self.store().layers();
        let known = layers.get(diff_id)?.ok_or_else(|| no_body(diff_id))?;
        if let Some(tar) = layers.tar(diff_id)? {
            return Ok(match known.facts.size {
                0 => tar,
                size => Box::new(Verifier::new(tar, *diff_id, size)),
            });
        }
        let (body, tree) = match (layers.unpacked(diff_id)?, layers.tree(diff_id)?) {
            (Some(body), Some(tree)) if known.facts.dialect.is_some() => (body, tree),
            _ => return Err(no_body(diff_id)),
        };
        let failed = |e| Error::new(ErrorKind::Io, "start packing a layer").because(e);
        let (mut writer, tar) = pipe();
        let bodies = self.bodies().clone();
        let pack = move || match bodies.pack(&body.root(), &tree, &mut writer) {
            // Whoever reads no more does not mind.
            Ok(_) => drop(writer.finish()),
            Err(e) => writer.fail(e.into()),
        };
        let thread = thread::Builder::new().name("pack".to_owned());
        thread.spawn(pack).map_err(failed)?;
        Ok(Box::new(Verifier::new(tar, *diff_id, known.facts.size)))
    }

    /// A layer made here whose only body is a plain tar, which `write` writes (of the dialect
    /// [`DIALECT`](kiln_layer::DIALECT)). One without entries is not kept.
    ///
    /// # Errors
    ///
    /// That of `write`, and what the store gives. Nothing stays behind.
    pub fn make_packed<E: From<Error>>(
        &self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<Packed, E>,
    ) -> Result<Packed, E> {
        let blob = self.store().blobs().create_hashed().map_err(Error::from)?;
        let mut tar = io::BufWriter::with_capacity(256 << 10, blob);
        let packed = write(&mut tar)?;
        if packed.tree.is_empty() {
            return Ok(packed);
        }
        let failed = |e: io::IntoInnerError<_>| {
            Error::new(ErrorKind::Io, "write the layer").because(e.into_error())
        };
        let blob = tar.into_inner().map_err(failed)?;
        let kept = blob.finish(&packed.diff_id, packed.size);
        kept.map_err(Error::from)?;
        self.learn(&packed)?;
        Ok(packed)
    }

    /// A blob of a layer to push or to save: one that is here and will do, else made now. What it is
    /// becomes known to the store, so that it is made once.
    ///
    /// # Errors
    ///
    /// As [`packed`](Self::packed), what the store gives, and [`ErrorKind::Unsupported`] for a layer
    /// that has something for which a table of contents has no words.
    pub fn compressed(&self, diff_id: &Digest, form: impl Into<Form>) -> Result<PackedAs, Error> {
        let form = form.into();
        let layers = self.store().layers();
        let here = || layers.packed(diff_id, form);
        if let Some(blob) = here()? {
            return Ok(blob);
        }
        let _lock = layers.lock(diff_id)?;
        if let Some(blob) = here()? {
            return Ok(blob);
        }
        let packed = self.compress(diff_id, &form)?;
        if form.compression != Compression::None {
            let facts = Facts {
                packed: vec![packed.clone()],
                ..Facts::default()
            };
            layers.put(diff_id, facts, None)?;
        }
        Ok(packed)
    }

    fn compress(&self, diff_id: &Digest, form: &Form) -> Result<PackedAs, Error> {
        let failed = |e: io::Error| {
            let what = format!("pack the layer `{diff_id}`");
            Error::new(ErrorKind::Io, what).because(e)
        };
        let mut tar = self.packed(diff_id)?;
        let mut blob = self.store().blobs().create_hashed()?;
        let (made, inside, annotations) = match form.layout {
            Some(layout) => {
                let made = indexed::compress(0, &mut *tar, &mut blob, layout, form.level)?;
                let inside = Some(made.diff_id).filter(|inside| inside != diff_id);
                (made.packed, inside, made.annotations)
            }
            None => {
                let with = form.compression;
                let made = kiln_layer::compress(&mut *tar, &mut blob, with, form.level)?;
                (made, None, BTreeMap::new())
            }
        };
        // The end of the tar has to be seen, for that is where its digest is checked.
        io::copy(&mut tar, &mut io::sink()).map_err(failed)?;
        blob.finish(&made.digest, made.size)?;
        let media_type = form.compression.layer_media_type();
        let mut descriptor = Descriptor::new(media_type, made.digest, made.size);
        descriptor.annotations = annotations;
        Ok(PackedAs {
            compression: form.compression,
            compressor: made.compressor.to_owned(),
            level: Some(made.level),
            descriptor,
            inside,
        })
    }
}
