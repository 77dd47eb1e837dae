//! From what a process changed in its root back to a layer.

use std::io::Write;

use kiln_image::Digest;
use kiln_layer::{DIALECT, Packed, Root, Times, Tree};
use kiln_store::Facts;

use crate::{Commit, Error, Prepared, Repeated, Roots};

/// A layer that was made of an upper directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// How long that tar is, in bytes.
    pub size: u64,
    /// What it has of the files below once more, where that is worth telling.
    pub repeated: Option<Repeated>,
}

impl Roots {
    /// Makes a layer of what was changed in a prepared root, whose mount must be gone: `None` when
    /// nothing was. The upper directory becomes the layer's unpacked body; no packed copy is
    /// written. `layers` are those that the root was prepared of.
    ///
    /// # Errors
    ///
    /// As [`Bodies::commit`](crate::Bodies::commit), and what the store gives.
    pub fn commit(
        &self,
        prepared: Prepared,
        layers: &[Digest],
        how: &Commit,
    ) -> Result<Option<Committed>, Error> {
        let Prepared {
            root,
            stubs,
            layer,
            upper,
            ..
        } = prepared;
        debug_assert_eq!(root.layers().len(), layers.len());
        let packed = self.bodies.commit(&upper, &root, &stubs, how)?;
        if packed.tree.is_empty() {
            return Ok(None);
        }
        crate::maker::mark(&layer, &*self.bodies)?;
        // The facts say that there is a body: so it comes first.
        self.store.layers().adopt(&packed.diff_id, &layer)?;
        self.learn(&packed)?;
        Ok(Some(Committed::of(&packed, &root)))
    }

    /// The layer that [`commit`](Self::commit) would make, while the root may still be mounted and
    /// something run on it: nothing of it is touched. With `keep`, the layer is put into the store,
    /// as a plain tar; `None` when nothing was changed. Without, there is only its tree.
    ///
    /// # Errors
    ///
    /// As [`Bodies::changes`](crate::Bodies::changes), and what the store gives.
    pub fn changes(
        &self,
        prepared: &Prepared,
        layers: &[Digest],
        times: Times,
        keep: bool,
    ) -> Result<(Option<Committed>, Tree), Error> {
        let Prepared {
            root, stubs, upper, ..
        } = prepared;
        debug_assert_eq!(root.layers().len(), layers.len());
        if !keep {
            let packed = self.bodies.changes(upper, root, stubs, times, None)?;
            return Ok((None, packed.tree));
        }
        let packed = self.make_packed(|tar| {
            let tar: &mut (dyn Write + Send) = tar;
            self.bodies.changes(upper, root, stubs, times, Some(tar))
        })?;
        let made = (!packed.tree.is_empty()).then(|| Committed::of(&packed, root));
        Ok((made, packed.tree))
    }

    /// Tells the store of a layer that was made here.
    pub(crate) fn learn(&self, packed: &Packed) -> Result<(), Error> {
        let Packed {
            diff_id,
            size,
            tree,
        } = packed;
        let facts = Facts {
            dialect: Some(DIALECT),
            ..facts_of(*size, tree)
        };
        Ok(self.store.layers().put(diff_id, facts, Some(tree))?)
    }
}

impl Committed {
    fn of(packed: &Packed, root: &Root) -> Self {
        Self {
            diff_id: packed.diff_id,
            size: packed.size,
            repeated: Repeated::of(&packed.tree, root),
        }
    }
}

pub(crate) fn facts_of(size: u64, tree: &Tree) -> Facts {
    let files = tree.iter().filter_map(|entry| entry.file());
    Facts {
        size,
        content: files.map(|file| file.size).sum(),
        ..Facts::default()
    }
}
