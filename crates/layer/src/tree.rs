//! [`Tree`]: a layer's changes, or a whole file system, as data. No IO; content is not in it.

mod blocks;
mod check;
mod codec;
mod old;
mod read;
mod stored;

use std::{collections::BTreeSet, fmt, fs};

use kiln_image::{Algorithm, Digest};

use self::{
    blocks::{Blocks, Owned, Range},
    stored::Bytes,
};
use crate::{Entry, Error, Kind, LayerPath, path::folder};

/// Entries with unique paths, in the order of [`LayerPath`].
///
/// One layer's changes (then with whiteouts and opaque folders) or a whole file system (then
/// without). The folders above an entry may be missing from a foreign layer's tree; trees made by
/// this crate have them.
///
/// Entries put in order cost the least; of a tree that was loaded ([`Tree::map`]) only what is
/// looked at is decoded.
#[derive(Clone, Default)]
pub struct Tree(Blocks);

impl Tree {
    /// A tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `entries`, in any order; of two with the same path the later wins.
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries.dedup_by(|later, earlier| {
                let is_same = later.path == earlier.path;
                if is_same {
                    std::mem::swap(later, earlier);
                }
                is_same
            });
        }
        Self(Blocks::sorted(entries))
    }

    /// The entry at `path`.
    pub fn get(&self, path: &LayerPath) -> Option<&Entry> {
        self.0.get(path.as_bytes())
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.0.all()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The entries directly inside the folder `path`, in order. A folder that has no entry of its
    /// own is not among them, even where the tree has entries beneath it.
    pub fn children(&self, path: &LayerPath) -> Children<'_> {
        let path = path.as_bytes();
        Children {
            start: path.len() + usize::from(!path.is_empty()),
            range: self.0.range(self.0.after(path), self.0.beyond(path)),
        }
    }

    /// The entry at `path` and all entries beneath it, in order.
    pub fn within(&self, path: &LayerPath) -> impl DoubleEndedIterator<Item = &Entry> {
        let path = path.as_bytes();
        self.0.range(self.0.from(path), self.0.beyond(path))
    }

    /// [`Tree::get`] by the bytes of a path.
    pub(crate) fn at(&self, path: &[u8]) -> Option<&Entry> {
        self.0.get(path)
    }

    /// All entries beneath `path`, in order.
    pub(crate) fn inside(&self, path: &[u8]) -> Inside<'_> {
        Inside(self.0.range(self.0.after(path), self.0.beyond(path)))
    }

    /// The paths directly inside the folder `path`, in order, also those that have no entry of their
    /// own, but entries beneath them.
    pub(crate) fn each_child(&self, path: &[u8], each: &mut dyn FnMut(&[u8])) {
        let start = path.len() + usize::from(!path.is_empty());
        let mut range = self.inside(path).0;
        while let Some(entry) = range.next() {
            let inner = entry.path.as_bytes();
            let end = inner[start..].iter().position(|b| *b == b'/');
            let child = &inner[..end.map_or(inner.len(), |end| start + end)];
            each(child);
            range.skip_within(child);
        }
    }

    /// Puts `entry` in its place and gives back what was there. What is beneath it stays.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.0.insert(entry)
    }

    /// Takes out the entry at `path`, not what is beneath it.
    pub fn remove(&mut self, path: &LayerPath) -> Option<Entry> {
        self.0.remove(path.as_bytes())
    }

    /// Takes out the entry at `path` and all beneath it, in order.
    pub fn remove_within(&mut self, path: &LayerPath) -> Vec<Entry> {
        let path = path.as_bytes();
        self.0.drain(self.0.from(path), self.0.beyond(path))
    }

    /// Takes out all entries beneath `path` and leaves the one at it.
    pub(crate) fn remove_beneath(&mut self, path: &LayerPath) -> Vec<Entry> {
        let path = path.as_bytes();
        self.0.drain(self.0.after(path), self.0.beyond(path))
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
        let mut before: &[u8] = &[];
        for entry in self.iter() {
            let path = entry.path.as_bytes();
            // Nearest first: when one is known, those above it are. Mostly it is that of the entry
            // before, or that entry.
            let mut up = path;
            while !up.is_empty() {
                up = folder(up);
                if up.is_empty() || up == before || up == folder(before) {
                    break;
                }
                if self.0.get(up).is_some() || !implied.insert(LayerPath::known(up)) {
                    break;
                }
            }
            before = path;
        }
        implied
    }

    /// The tree as bytes: compact, versioned, checksummed; equal trees give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The tree that [`Tree::encode`] gave as `bytes`, in this version of this crate or an earlier
    /// one.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another version,
    /// [`Invalid`](crate::ErrorKind::Invalid) for bytes that were cut or changed.
    pub fn decode(bytes: &[u8]) -> Result<Tree, Error> {
        Ok(codec::load(Bytes::Read(bytes.to_vec()))?.0)
    }

    /// The tree that a file holds, and the BLAKE3 of the file's bytes (which is the tree's digest,
    /// unless an earlier version wrote it). The file is mapped, checked whole (its checksum, and that
    /// each entry is one), and its entries are decoded when they are looked at.
    ///
    /// The file must not be changed or cut as long as the tree is there; it may be replaced by
    /// renaming, and removed. That is how the files of a store are kept.
    ///
    /// # Errors
    ///
    /// As [`Tree::decode`]; [`Io`](crate::ErrorKind::Io) when the file cannot be read.
    pub fn map(file: &fs::File) -> Result<(Tree, Digest), Error> {
        codec::load(Bytes::of(file)?)
    }

    /// The BLAKE3 of [`Tree::encode`].
    pub fn digest(&self) -> Digest {
        match self.0.as_stored() {
            Some(stored) => stored.digest,
            None => blake3_of(&self.encode()),
        }
    }

    /// Whether it is as this crate makes trees: each hard link names a file of the tree that comes
    /// before it, nothing lies inside what is not a folder, and the root is one.
    pub(crate) fn is_tidy(&self) -> bool {
        codec::is_tidy(self)
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.0.as_stored(), other.0.as_stored()) {
            return a.digest == b.digest;
        }
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The BLAKE3 digest of `bytes`.
pub(crate) fn blake3_of(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Blake3, *blake3::hash(bytes).as_bytes())
}

impl FromIterator<Entry> for Tree {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::from_entries(entries.into_iter().collect())
    }
}

impl IntoIterator for Tree {
    type Item = Entry;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.0.into())
    }
}

/// The entries of a tree, in order: see [`Tree::into_iter`](IntoIterator::into_iter).
pub struct IntoIter(Owned);

impl Iterator for IntoIter {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.0.next()
    }
}

impl fmt::Debug for IntoIter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").finish_non_exhaustive()
    }
}

/// The entries beneath a folder: see [`Tree::inside`].
#[derive(Clone)]
pub(crate) struct Inside<'a>(Range<'a>);

impl<'a> Iterator for Inside<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        self.0.next()
    }
}

/// The entries directly inside a folder: see [`Tree::children`].
pub struct Children<'a> {
    /// Where the name of an entry in the folder begins.
    start: usize,
    range: Range<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            let entry = self.range.next()?;
            if !entry.path.as_bytes()[self.start..].contains(&b'/') {
                self.range.skip_within(entry.path.as_bytes());
                return Some(entry);
            }
        }
    }
}

impl fmt::Debug for Children<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.range.clone()).finish()
    }
}

#[cfg(test)]
mod tests;
