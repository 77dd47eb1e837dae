//! The entries of a tree in order, in blocks of some 64: owned, or of a stored tree and decoded when
//! they are looked at. Knows no file systems.

use std::{
    cmp::Ordering,
    mem,
    sync::{Arc, OnceLock},
    vec,
};

use super::stored::Stored;
use crate::{
    Entry,
    path::{is_within, order},
};

/// How many entries a block has when it is built in order, and in the stored form.
pub(super) const BLOCK: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Blocks {
    /// None is without entries.
    list: Vec<Block>,
    len: usize,
    /// What the blocks that are not decoded are in.
    stored: Option<Arc<Stored>>,
    /// Whether nothing was changed since it was loaded.
    is_as_stored: bool,
}

#[derive(Clone)]
struct Block {
    entries: OnceLock<Vec<Entry>>,
    /// Which block of the stored tree it is.
    stored: Option<usize>,
}

impl Block {
    fn owned(entries: Vec<Entry>) -> Self {
        Self {
            entries: entries.into(),
            stored: None,
        }
    }
}

/// A place among the entries: the block, and the entry in it. May be one past the last of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    block: usize,
    entry: usize,
}

impl Blocks {
    /// Of entries in the order of their paths, none twice.
    pub(super) fn sorted(entries: Vec<Entry>) -> Self {
        let len = entries.len();
        let mut list = Vec::with_capacity(len.div_ceil(BLOCK));
        let mut entries = entries.into_iter();
        while entries.len() > 0 {
            list.push(Block::owned(entries.by_ref().take(BLOCK).collect()));
        }
        Self {
            list,
            len,
            ..Self::default()
        }
    }

    pub(super) fn stored(stored: Arc<Stored>) -> Self {
        let block = |i| Block {
            entries: OnceLock::new(),
            stored: Some(i),
        };
        Self {
            list: (0..stored.blocks()).map(block).collect(),
            len: stored.len,
            stored: Some(stored),
            is_as_stored: true,
        }
    }

    /// The stored tree that this is, unchanged.
    pub(super) fn as_stored(&self) -> Option<&Arc<Stored>> {
        self.stored.as_ref().filter(|_| self.is_as_stored)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn entries(&self, block: usize) -> &[Entry] {
        let block = &self.list[block];
        block
            .entries
            .get_or_init(|| match (&self.stored, block.stored) {
                (Some(stored), Some(i)) => stored.block(i),
                _ => Vec::new(),
            })
    }

    /// The entries of a block, to change them.
    fn entries_mut(&mut self, block: usize) -> &mut Vec<Entry> {
        self.entries(block);
        self.is_as_stored = false;
        let block = &mut self.list[block];
        block.stored = None;
        block.entries.get_mut().expect("it was decoded just now")
    }

    /// The path of a block's first entry, without decoding the block for it.
    fn first<'a>(&'a self, block: &'a Block) -> &'a [u8] {
        match (block.entries.get(), &self.stored, block.stored) {
            (Some(entries), ..) => entries.first().map_or(&[], |e| e.path.as_bytes()),
            (None, Some(stored), Some(i)) => stored.first(i),
            _ => &[],
        }
    }

    /// The first place whose path is not `before`; all that are, come first.
    fn seek(&self, before: impl Fn(&[u8]) -> bool) -> At {
        let next = self.list.partition_point(|b| before(self.first(b)));
        let Some(block) = next.checked_sub(1) else {
            return At { block: 0, entry: 0 };
        };
        let entry = self
            .entries(block)
            .partition_point(|e| before(e.path.as_bytes()));
        At { block, entry }
    }

    /// The first place that is not before `path`.
    pub(super) fn from(&self, path: &[u8]) -> At {
        self.seek(|p| order(p, path).is_lt())
    }

    /// The first place after `path`.
    pub(super) fn after(&self, path: &[u8]) -> At {
        self.seek(|p| order(p, path).is_le())
    }

    /// The first place after `path` and all that is inside it.
    pub(super) fn beyond(&self, path: &[u8]) -> At {
        self.seek(|p| order(p, path).is_le() || is_within(p, path))
    }

    pub(super) fn all(&self) -> Range<'_> {
        let (from, entry) = (At { block: 0, entry: 0 }, 0);
        let block = self.list.len();
        self.range(from, At { block, entry })
    }

    /// The entry at a place, or the first behind it where that is the end of a block.
    fn at(&self, at: At) -> Option<(At, &Entry)> {
        if at.block >= self.list.len() {
            return None;
        }
        if let Some(entry) = self.entries(at.block).get(at.entry) {
            return Some((at, entry));
        }
        let at = At {
            block: at.block + 1,
            entry: 0,
        };
        (at.block < self.list.len()).then(|| (at, &self.entries(at.block)[0]))
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Entry> {
        // The block that can have it is the one that begins with it or before it.
        let next = self
            .list
            .partition_point(|b| order(self.first(b), path).is_le());
        let entries = self.entries(next.checked_sub(1)?);
        let found = entries.binary_search_by(|e| order(e.path.as_bytes(), path));
        found.ok().map(|i| &entries[i])
    }

    pub(super) fn range(&self, from: At, to: At) -> Range<'_> {
        Range {
            blocks: self,
            from,
            to,
        }
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        self.entries(self.list.len().checked_sub(1)?).last()
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let last = self.last().map(|last| last.path.cmp(&entry.path));
        if matches!(last, None | Some(Ordering::Less)) {
            self.push(entry);
            return None;
        }
        let At { block, entry: i } = self.from(entry.path.as_bytes());
        // Past the end of its block: perhaps it is the first of the next.
        let is_next = self.entries(block).len() == i
            && (self.list.get(block + 1)).is_some_and(|b| self.first(b) == entry.path.as_bytes());
        let (block, i) = if is_next { (block + 1, 0) } else { (block, i) };
        let entries = self.entries_mut(block);
        if let Some(there) = entries.get_mut(i).filter(|e| e.path == entry.path) {
            return Some(mem::replace(there, entry));
        }
        entries.insert(i, entry);
        if entries.len() > 2 * BLOCK {
            let rest = entries.split_off(BLOCK);
            self.list.insert(block + 1, Block::owned(rest));
        }
        self.len += 1;
        None
    }

    /// Puts an entry behind the last one.
    fn push(&mut self, entry: Entry) {
        self.len += 1;
        self.is_as_stored = false;
        if let Some(last) = self.list.len().checked_sub(1)
            && self.entries(last).len() < BLOCK
        {
            self.entries_mut(last).push(entry);
            return;
        }
        // Small trees stay small; the others fill their blocks.
        let mut entries = Vec::with_capacity(if self.list.is_empty() { 0 } else { BLOCK });
        entries.push(entry);
        self.list.push(Block::owned(entries));
    }

    pub(super) fn remove(&mut self, path: &[u8]) -> Option<Entry> {
        let (at, found) = self.at(self.from(path))?;
        if found.path.as_bytes() != path {
            return None;
        }
        let entries = self.entries_mut(at.block);
        let gone = entries.remove(at.entry);
        if entries.is_empty() {
            self.list.remove(at.block);
        }
        self.len -= 1;
        Some(gone)
    }

    /// Takes out what is from one place on, up to another.
    pub(super) fn drain(&mut self, from: At, to: At) -> Vec<Entry> {
        let mut gone = Vec::new();
        if from >= to {
            return gone;
        }
        // A place at a block's begin is the end of the block before.
        let last = if to.entry == 0 {
            to.block - 1
        } else {
            to.block
        };
        for block in from.block..=last {
            let first = if block == from.block { from.entry } else { 0 };
            let entries = self.entries_mut(block);
            let end = if block == to.block {
                to.entry
            } else {
                entries.len()
            };
            gone.extend(entries.drain(first..end));
        }
        // Those between are empty now, the first and the last perhaps.
        let begin = from.block + usize::from(!self.entries(from.block).is_empty());
        let end = last + usize::from(self.entries(last).is_empty());
        if begin < end {
            self.list.drain(begin..end);
        }
        self.len -= gone.len();
        gone
    }

    fn take(&mut self, block: usize) -> Vec<Entry> {
        self.entries(block);
        self.list[block].entries.take().unwrap_or_default()
    }
}

/// Entries between two places.
#[derive(Clone)]
pub(super) struct Range<'a> {
    blocks: &'a Blocks,
    from: At,
    to: At,
}

impl<'a> Range<'a> {
    /// Goes on past all that is inside `path`.
    pub(super) fn skip_within(&mut self, path: &[u8]) {
        // Often there is nothing, and no search is needed.
        if let Some((_, next)) = self.blocks.at(self.from)
            && self.from < self.to
            && is_within(next.path.as_bytes(), path)
        {
            self.from = self.blocks.beyond(path);
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        let (at, entry) = self.blocks.at(self.from)?;
        if at >= self.to {
            return None;
        }
        self.from = At {
            entry: at.entry + 1,
            ..at
        };
        Some(entry)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.to.entry == 0 {
            let block = self.to.block.checked_sub(1)?;
            let entry = self.blocks.entries(block).len();
            self.to = At { block, entry };
        }
        let at = At {
            entry: self.to.entry - 1,
            ..self.to
        };
        if at < self.from {
            return None;
        }
        self.to = at;
        self.blocks.entries(at.block).get(at.entry)
    }
}

/// The entries themselves, block by block.
#[derive(Clone)]
pub(super) struct Owned {
    blocks: Blocks,
    next: usize,
    current: vec::IntoIter<Entry>,
}

impl From<Blocks> for Owned {
    fn from(blocks: Blocks) -> Self {
        Self {
            blocks,
            next: 0,
            current: Vec::new().into_iter(),
        }
    }
}

impl Iterator for Owned {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.current.next() {
                return Some(entry);
            }
            if self.next == self.blocks.list.len() {
                return None;
            }
            self.current = self.blocks.take(self.next).into_iter();
            self.next += 1;
        }
    }
}
