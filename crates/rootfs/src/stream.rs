//! The packed forms of layers: the uncompressed tar as a stream, and blobs to push or to save.

use std::io::{self, Read};
use std::thread;

use kiln_image::media::Compression;
use kiln_image::{Descriptor, Digest, Verifier};
use kiln_layer::pipe;
use kiln_store::{Facts, PackedAs};

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

    /// A blob of a layer to push or to save: one that is here, else made now. What it is becomes
    /// known to the store.
    ///
    /// # Errors
    ///
    /// As [`packed`](Self::packed), and what the store gives.
    pub fn compressed(
        &self,
        diff_id: &Digest,
        compression: Compression,
    ) -> Result<Descriptor, Error> {
        let layers = self.store().layers();
        let here = || layers.packed(diff_id, compression);
        if let Some(blob) = here()? {
            return Ok(blob);
        }
        let _lock = layers.lock(diff_id)?;
        if let Some(blob) = here()? {
            return Ok(blob);
        }
        let failed = |e: io::Error| {
            let what = format!("pack the layer `{diff_id}`");
            Error::new(ErrorKind::Io, what).because(e)
        };
        let mut tar = self.packed(diff_id)?;
        let mut blob = self.store().blobs().create()?;
        let media_type = compression.layer_media_type();
        if compression == Compression::None {
            io::copy(&mut tar, &mut blob).map_err(failed)?;
            let (digest, size) = blob.finish(None)?;
            return Ok(Descriptor::new(media_type, digest, size));
        }
        let made = kiln_layer::compress(&mut *tar, &mut blob, compression, None)?;
        // The end of the tar has to be seen, for that is where its digest is checked.
        io::copy(&mut tar, &mut io::sink()).map_err(failed)?;
        blob.finish(Some((made.digest, made.size)))?;
        let descriptor = Descriptor::new(media_type, made.digest, made.size);
        let packed = PackedAs {
            compression,
            compressor: made.compressor.to_owned(),
            descriptor: descriptor.clone(),
        };
        let facts = Facts {
            packed: vec![packed],
            ..Facts::default()
        };
        layers.put(diff_id, facts, None)?;
        Ok(descriptor)
    }
}
