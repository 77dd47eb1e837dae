//! [`Tree`]: a layer's changes, or a whole file system, as data. No IO; content is not in it.

mod codec;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    ops::Bound,
};

use kiln_image::{Algorithm, Digest};

use crate::{Entry, Error, Kind, LayerPath};

/// Entries with unique paths, in the order of [`LayerPath`].
///
/// One layer's changes (then with whiteouts and opaque folders) or a whole file system (then
/// without). The folders above an entry may be missing from a foreign layer's tree; trees made by
/// this crate have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<LayerPath, Entry>,
}

impl Tree {
    /// A tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `entries`, in any order; of two with the same path the later wins.
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        entries.into_iter().collect()
    }

    /// The entry at `path`.
    pub fn get(&self, path: &LayerPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries directly inside the folder `path`, in order. A folder that has no entry of its
    /// own is not among them, even where the tree has entries beneath it.
    pub fn children(&self, path: &LayerPath) -> Children<'_> {
        Children {
            tree: self,
            depth: path.depth() + 1,
            next: Bound::Excluded(path.clone()),
            end: path.beyond(),
        }
    }

    /// The entry at `path` and all entries beneath it, in order.
    pub fn within(&self, path: &LayerPath) -> impl Iterator<Item = &Entry> {
        self.range(Bound::Included(path.clone()), path.beyond())
            .map(|(_, entry)| entry)
    }

    fn range(
        &self,
        start: Bound<LayerPath>,
        end: Option<LayerPath>,
    ) -> btree_map::Range<'_, LayerPath, Entry> {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((start, end))
    }

    /// Puts `entry` in its place and gives back what was there. What is beneath it stays.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.entries.insert(entry.path.clone(), entry)
    }

    /// Takes out the entry at `path`, not what is beneath it.
    pub fn remove(&mut self, path: &LayerPath) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Takes out the entry at `path` and all beneath it, in order.
    pub fn remove_within(&mut self, path: &LayerPath) -> Vec<Entry> {
        let gone: Vec<_> = self.within(path).map(|e| e.path.clone()).collect();
        gone.iter().filter_map(|p| self.remove(p)).collect()
    }

    /// Takes out all entries beneath `path` and leaves the one at it.
    pub(crate) fn remove_beneath(&mut self, path: &LayerPath) -> Vec<Entry> {
        let own = self.remove(path);
        let gone = self.remove_within(path);
        if let Some(own) = own {
            self.insert(own);
        }
        gone
    }

    /// The content of the regular file at `path`, a hard link followed to it.
    pub fn file(&self, path: &LayerPath) -> Option<(&Entry, &crate::File)> {
        let mut entry = self.get(path)?;
        // A link's target is a file where this crate made the tree; a chain is bounded all the same.
        for _ in 0..8 {
            match &entry.kind {
                Kind::File(file) => return Some((entry, file)),
                Kind::Hardlink { target } => entry = self.get(target)?,
                _ => return None,
            }
        }
        None
    }

    /// The folders that have no entry here but entries beneath them: in a foreign layer, their
    /// metadata is that of the layers below.
    pub fn implied(&self) -> BTreeSet<LayerPath> {
        let mut implied = BTreeSet::new();
        for path in self.entries.keys() {
            // Nearest first: when one is known, those above it are.
            let mut up = path.parent();
            while let Some(folder) = up.filter(|f| !f.is_root()) {
                if self.entries.contains_key(&folder) || implied.contains(&folder) {
                    break;
                }
                up = folder.parent();
                implied.insert(folder);
            }
        }
        implied
    }

    /// The tree as bytes: compact, versioned, checksummed; equal trees give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The tree that [`Tree::encode`] gave as `bytes`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another version,
    /// [`Invalid`](crate::ErrorKind::Invalid) for bytes that were cut or changed.
    pub fn decode(bytes: &[u8]) -> Result<Tree, Error> {
        codec::decode(bytes)
    }

    /// The BLAKE3 of [`Tree::encode`].
    pub fn digest(&self) -> Digest {
        blake3_of(&self.encode())
    }
}

/// The BLAKE3 digest of `bytes`.
pub(crate) fn blake3_of(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Blake3, *blake3::hash(bytes).as_bytes())
}

impl FromIterator<Entry> for Tree {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().map(|e| (e.path.clone(), e)).collect(),
        }
    }
}

impl IntoIterator for Tree {
    type Item = Entry;
    type IntoIter = btree_map::IntoValues<LayerPath, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_values()
    }
}

/// The entries directly inside a folder: see [`Tree::children`].
#[derive(Debug)]
pub struct Children<'a> {
    tree: &'a Tree,
    depth: usize,
    next: Bound<LayerPath>,
    end: Option<LayerPath>,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            let range = self.tree.range(self.next.clone(), self.end.clone());
            let (path, entry) = range.into_iter().next()?;
            if path.depth() == self.depth {
                // Past everything beneath it at once.
                self.next = Bound::Included(path.beyond()?);
                return Some(entry);
            }
            self.next = Bound::Excluded(path.clone());
        }
    }
}

#[cfg(test)]
mod tests;
