//! File trees by their BLAKE3 digest: those of layers, and those that cache records name.

use std::{
    fs, io,
    sync::{Arc, PoisonError},
};

use kiln_image::{Algorithm, Digest};
use kiln_layer::Tree;

use crate::{Error, ErrorKind, Store, base::read, owner::Unsynced};

/// The trees of a store.
#[derive(Clone, Copy, Debug)]
pub struct Trees<'a>(pub(crate) &'a Store);

impl Store {
    /// Its trees.
    pub fn trees(&self) -> Trees<'_> {
        Trees(self)
    }
}

impl Trees<'_> {
    /// A tree, mapped: what is not looked at is not decoded. `None` when it is not here. One that
    /// this process still holds is not read again.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) when the bytes on disk are not that tree.
    pub fn get(&self, digest: &Digest) -> Result<Option<Arc<Tree>>, Error> {
        let held = &self.0.0.trees;
        let known = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = known.get(digest).and_then(std::sync::Weak::upgrade) {
            return Ok(Some(tree));
        }
        drop(known);
        let path = self.0.layout().tree(digest);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::on("open", &path)(e)),
        };
        // Files of the store are renamed into place when they are whole, and never written again.
        let (tree, found) = Tree::map(&file).map_err(|e| damaged(digest).because(e))?;
        if found != *digest {
            return Err(damaged(digest));
        }
        let tree = Arc::new(tree);
        let mut known = held.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, tree| tree.strong_count() > 0);
        known.insert(*digest, Arc::downgrade(&tree));
        Ok(Some(tree))
    }

    /// Puts a tree, and gives its digest.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), or what else the system said.
    pub fn put(&self, tree: &Tree) -> Result<Digest, Error> {
        let bytes = tree.encode();
        let digest = blake3_of(&bytes);
        let owner = self.0.owner()?;
        owner.claim(&[digest])?;
        let path = self.0.layout().tree(&digest);
        // One that was damaged is mended by whoever makes it again.
        if read(&path)?.is_none_or(|there| there != bytes) {
            let tmp = owner.tmp()?;
            owner.place(Unsynced::Tree, Some(&digest), || {
                Ok(kiln_durable::replace_by(&tmp, &path, &bytes)?)
            })?;
        }
        Ok(digest)
    }
}

/// The BLAKE3 of `bytes`: for the encoding of a tree, its digest.
pub(crate) fn blake3_of(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Blake3, *blake3::hash(bytes).as_bytes())
}

fn damaged(digest: &Digest) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("read the tree `{digest}`: the bytes on disk are not that tree"),
    )
    .hint("pull the image again, or build it with `--no-cache`: that makes the tree anew")
}
