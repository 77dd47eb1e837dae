//! The files of a layer, whichever body there is: the plain tar, the unpacked folder, or a
//! compressed blob, which is kept as a plain tar before single files are read from it.

use std::{
    io::{self, Read},
    sync::Arc,
};

use kiln_image::Digest;
use kiln_layer::{Files, Nothing, PlainTar, Tree, Unpacked, apply, decompress};

use crate::{Body, Error, ErrorKind, Facts, Layers, Store};

impl Layers<'_> {
    /// The files of a layer.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the layer was never put, or has no body here;
    /// [`Mismatch`](ErrorKind::Mismatch) when a compressed blob is not this layer.
    pub fn files(&self, diff_id: &Digest) -> Result<Arc<dyn Files>, Error> {
        let layer = self.known(diff_id)?;
        if let Some(files) = self.ready(diff_id)? {
            return Ok(files);
        }
        let _lock = self.lock(diff_id)?;
        if !self.0.blobs().has(diff_id) {
            self.keep_plain(diff_id, &layer.facts)?;
        }
        if self.tree(diff_id)?.is_none() {
            self.index(diff_id)?;
        }
        self.ready(diff_id)?.ok_or_else(|| no_body(diff_id))
    }

    /// The files where that needs no work.
    fn ready(&self, diff_id: &Digest) -> Result<Option<Arc<dyn Files>>, Error> {
        let Some(tree) = self.tree(diff_id)? else {
            return Ok(None);
        };
        match self.0.blobs().open(diff_id) {
            Ok(tar) => return Ok(Some(Arc::new(PlainTar::new(tar, tree)))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match self.unpacked(diff_id)? {
            Some(body) => Ok(Some(Arc::new(self.0.unpacked_files(&body, tree)?))),
            None => Ok(None),
        }
    }

    /// Keeps a plain tar of a layer of which there is only a compressed blob.
    fn keep_plain(&self, diff_id: &Digest, facts: &Facts) -> Result<(), Error> {
        let blobs = self.0.blobs();
        let here = |p: &&crate::PackedAs| p.is_body() && blobs.has(&p.descriptor.digest);
        let Some(packed) = facts.packed.iter().find(here) else {
            return match self.unpacked(diff_id)? {
                Some(_) => Err(Error::new(
                    ErrorKind::NotFound,
                    format!("find the tree of the layer `{diff_id}`"),
                )),
                None => Err(no_body(diff_id)),
            };
        };
        let (_, mut plain) = decompress(blobs.open(&packed.descriptor.digest)?)?;
        let mut writer = blobs.create()?;
        io::copy(&mut plain, &mut writer)?;
        writer.finish(Some((*diff_id, facts.size)))?;
        Ok(())
    }

    /// Reads the plain tar of a layer once, for its tree.
    fn index(&self, diff_id: &Digest) -> Result<(), Error> {
        let applied = apply(self.0.blobs().open(diff_id)?, &mut Nothing)?;
        if applied.diff_id != *diff_id {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!(
                    "read the layer `{diff_id}`: its tar is `{}`",
                    applied.diff_id
                ),
            ));
        }
        let facts = Facts {
            size: applied.size,
            content: content_of(&applied.tree),
            ..Facts::default()
        };
        self.put(diff_id, facts, Some(&applied.tree))
    }

    /// The uncompressed tar of a layer from a blob: the plain one, or a compressed one unpacked on
    /// the way. `None` when there is no blob of it here.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the layer was never put.
    pub fn tar(&self, diff_id: &Digest) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let blobs = self.0.blobs();
        if blobs.has(diff_id) {
            return Ok(Some(Box::new(blobs.open(diff_id)?)));
        }
        for packed in self.known(diff_id)?.facts.packed {
            if packed.is_body() && blobs.has(&packed.descriptor.digest) {
                let (_, plain) = decompress(blobs.open(&packed.descriptor.digest)?)?;
                return Ok(Some(plain));
            }
        }
        Ok(None)
    }
}

impl Store {
    /// The files of an unpacked body, which is known to hold `tree`.
    pub(crate) fn unpacked_files(&self, body: &Body, tree: Arc<Tree>) -> Result<Unpacked, Error> {
        let root = body.root();
        let files = match self.base().opener.get().cloned() {
            Some(open) => Unpacked::by(Arc::new(move |path| open(&root, path)), tree),
            None => Unpacked::new(&root, tree),
        };
        Ok(files?)
    }
}

/// How many bytes the files of a tree have together.
pub(crate) fn content_of(tree: &Tree) -> u64 {
    tree.iter().filter_map(|e| e.file()).map(|f| f.size).sum()
}

fn no_body(diff_id: &Digest) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("find a body of the layer `{diff_id}` here"),
    )
    .hint("pull the image again")
}
