//! What the mounts of a RUN show of files: a layer that belongs to no image, kept by what it has, times
//! included, and found again by whoever mounts the same. Refuses to keep one with a secret in it, and
//! small ones, which are made sooner than looked up.

use std::io::Write;

use kiln_cache::{Key, KeyBuilder, Record, Records};
use kiln_image::Digest;
use kiln_layer::{Entry, File, Files, Packed, Root, Times, pack};

use super::layer::WORTH;
use super::output::Output;
use crate::{Error, executor::Carrier};

impl Carrier<'_> {
    /// The layers of what a mount shows. Files become one, once for each build.
    pub(super) fn mountable(&self, shown: &Output) -> Result<Vec<Digest>, Error> {
        match shown {
            Output::Root(slots) => Ok(slots.layers()),
            Output::Files(files) => files.layer(|root| self.shown(root)),
        }
    }

    fn shown(&self, root: &Root) -> Result<Digest, Error> {
        let key = key(root);
        if let Some(found) = key.as_ref().and_then(|key| self.shown_before(key)) {
            return Ok(found);
        }
        let secrets = self.secrets()?;
        let mut is_clean = false;
        let write = |tar: &mut (dyn Write + Send)| -> Result<Packed, Error> {
            let (watched, packed) = pack(root, secrets.watch.over(tar), Times::Keep)?;
            is_clean = watched.sighting(&packed.tree).is_none();
            Ok(packed)
        };
        let packed = self.roots.make_unpacked(write)?;
        self.keep(&[packed.diff_id])?;
        if let Some(key) = key.filter(|_| is_clean && packed.size >= WORTH) {
            let record = Record {
                refs: vec![packed.diff_id],
                ..Record::default()
            };
            let failed = |e| Error::new(crate::ErrorKind::Io, "remember a mount").because(e);
            self.records().put(&key, &record).map_err(failed)?;
        }
        Ok(packed.diff_id)
    }

    /// The layer that was made of the same. One that is gone, or whose body cannot be had, was never
    /// made.
    fn shown_before(&self, key: &Key) -> Option<Digest> {
        let record = self.records().get(key).ok()??;
        let diff_id = *record.refs.first()?;
        let is_here = self.keep(&[diff_id]).ok()?.is_empty();
        (is_here && self.roots.unpacked(&diff_id, &[]).is_ok()).then_some(diff_id)
    }
}

/// By what a layer of these files is known; nothing where they have not been read.
fn key(root: &Root) -> Option<Key> {
    let tree = Files::tree(root);
    let unread = |entry: &Entry| entry.file().is_some_and(File::is_unread);
    if tree.iter().any(unread) {
        return None;
    }
    let key = KeyBuilder::new("kiln.build.shown/1");
    let key = key.part("tar dialect", kiln_layer::DIALECT.to_string().as_bytes());
    Some(key.digest("tree", &tree.digest()).finish())
}
