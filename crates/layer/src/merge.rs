//! Layers on top of each other as one tree: all of them gone through once, side by side, in order.
//! Pure.

mod untidy;

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BinaryHeap, HashMap, VecDeque, binary_heap::PeekMut},
};

use crate::{
    Entry, Kind, LayerPath, Tree,
    path::{folder, is_within},
    stack::{Found, Stack, floor_of, implied, plain},
    tree::Inside,
};

/// What a process sees of `layers` (the bottom first): a whole file system, without whiteouts,
/// with the root and every folder above an entry.
///
/// A folder that no layer names is 0755, owned by 0:0. A hard link whose file was replaced or
/// removed by a higher layer appears as a file of its own, because the layers share no inodes.
pub fn flatten(layers: &[&Tree]) -> Tree {
    match Stack::new(layers) {
        Some(stack) => {
            let entries = Merge::new(stack, &[]).map(|found| found.entry.into_owned());
            Tree::from_entries(entries.collect())
        }
        None => untidy::flatten(layers),
    }
}

/// Goes through what layers show at a path and inside it, in order.
pub(crate) struct Merge<'s, 'a> {
    stack: Stack<'s, 'a>,
    cursors: BinaryHeap<Cursor<'a>>,
    /// The folders above the last path, the topmost first.
    above: Vec<Folder<'a>>,
    /// How many of those are not there yet.
    missing: usize,
    ready: VecDeque<Found<'a>>,
    /// For a file of a layer that is hidden, the first of its links that shows.
    elected: HashMap<(usize, &'a LayerPath), LayerPath>,
}

/// A layer, with the next of its entries.
struct Cursor<'a> {
    next: &'a Entry,
    layer: usize,
    rest: Inside<'a>,
}

/// Something that others may be inside of.
struct Folder<'a> {
    path: &'a [u8],
    /// The lowest layer of which something inside shows.
    floor: usize,
    /// Whether it was given out as a folder.
    is_there: bool,
    /// What it is when nothing makes a folder of it.
    leaf: Option<Found<'a>>,
}

impl<'s, 'a> Merge<'s, 'a> {
    /// `top` and all inside it; nothing when it is not there.
    pub(crate) fn new(stack: Stack<'s, 'a>, top: &'a [u8]) -> Self {
        let mut merge = Self {
            stack,
            cursors: BinaryHeap::new(),
            above: Vec::new(),
            missing: 0,
            ready: VecDeque::new(),
            elected: HashMap::new(),
        };
        let Some(found) = stack.find(top) else {
            return merge;
        };
        if !found.entry.is_dir() {
            merge.leaf(found);
            return merge;
        }
        merge.ready.push_back(found);
        let floor = stack.floor(top);
        merge.above.push(Folder {
            path: top,
            floor,
            is_there: true,
            leaf: None,
        });
        for (layer, tree) in stack.trees().iter().enumerate().skip(floor) {
            let mut rest = tree.inside(top);
            if let Some(next) = rest.next() {
                merge.cursors.push(Cursor { next, layer, rest });
            }
        }
        merge
    }

    /// Takes all that the layers have at the next path.
    fn step(&mut self) -> bool {
        let Some((mut layer, mut entry)) = self.take() else {
            self.leave(&[], true);
            return false;
        };
        let path = entry.path.as_bytes();
        self.leave(path, false);
        self.enter(folder(path));
        let above = self.above.last().map_or(0, |f| f.floor);
        let mut floor = above;
        let mut own: Option<(usize, &'a Entry)> = None;
        // The topmost layer comes first: it is what shows, and the first that hides hides most.
        loop {
            if !entry.is_whiteout() {
                self.imply(layer);
            }
            if layer >= floor {
                own = own.or(Some((layer, entry)));
                floor = floor_of(layer, entry).unwrap_or(floor);
            }
            match self.cursors.peek() {
                Some(next) if next.next.path.as_bytes() == path => {}
                _ => break,
            }
            let Some(next) = self.take() else { break };
            (layer, entry) = next;
        }
        self.put(path, own, floor);
        true
    }

    /// The entry that comes next, and its layer.
    fn take(&mut self) -> Option<(usize, &'a Entry)> {
        let mut cursor = self.cursors.peek_mut()?;
        let taken = (cursor.layer, cursor.next);
        match cursor.rest.next() {
            Some(next) => cursor.next = next,
            None => drop(PeekMut::pop(cursor)),
        }
        Some(taken)
    }

    /// Gives out what a path shows, or keeps it until it is known whether it is a folder.
    fn put(&mut self, path: &'a [u8], own: Option<(usize, &'a Entry)>, floor: usize) {
        let shown = own.filter(|(_, entry)| !entry.is_whiteout());
        let is_dir = shown.is_some_and(|(_, entry)| entry.is_dir());
        let found = shown.map(|(layer, entry)| Found {
            layer: Some(layer),
            entry: plain(entry),
        });
        let has_inside =
            (self.cursors.peek()).is_some_and(|next| is_within(next.next.path.as_bytes(), path));
        let leaf = match found {
            Some(found) if is_dir => {
                self.ready.push_back(found);
                None
            }
            Some(found) if !has_inside => {
                self.leaf(found);
                None
            }
            found => found,
        };
        if has_inside {
            self.missing += usize::from(!is_dir);
            self.above.push(Folder {
                path,
                floor,
                is_there: is_dir,
                leaf,
            });
        }
    }

    /// Leaves the folders that `path` is not inside of.
    fn leave(&mut self, path: &[u8], all: bool) {
        while let Some(last) = self.above.pop_if(|f| all || !is_within(path, f.path)) {
            self.missing -= usize::from(!last.is_there);
            if let Some(leaf) = last.leaf {
                self.leaf(leaf);
            }
        }
    }

    /// Goes into the folders down to `path` that no layer has an entry for.
    fn enter(&mut self, path: &'a [u8]) {
        let Some(last) = self.above.last() else {
            return;
        };
        let (floor, known) = (last.floor, last.path.len());
        let ends = (known + 1..=path.len()).filter(|i| path.get(*i).is_none_or(|b| *b == b'/'));
        for end in ends {
            self.missing += 1;
            self.above.push(Folder {
                path: &path[..end],
                floor,
                is_there: false,
                leaf: None,
            });
        }
    }

    /// Something of `layer` is inside the folders: they are there, as far as they show that layer.
    fn imply(&mut self, layer: usize) {
        if self.missing == 0 {
            return;
        }
        for folder in self.above.iter_mut().filter(|f| f.floor <= layer) {
            if !folder.is_there {
                folder.is_there = true;
                folder.leaf = None;
                self.missing -= 1;
                self.ready.push_back(Found {
                    layer: None,
                    entry: Cow::Owned(implied(folder.path)),
                });
            }
        }
    }

    /// Gives out what is not a folder: of the links to a file that does not show, the first is the
    /// file.
    fn leaf(&mut self, mut found: Found<'a>) {
        if let (Some(layer), Cow::Borrowed(entry)) = (found.layer, &found.entry)
            && let Kind::Hardlink { target } = &entry.kind
            && !self.stack.shows(layer, target.as_bytes())
            && let Some(file) = self.stack.trees()[layer].get(target)
        {
            let first = self.elected.get(&(layer, target));
            let kind = match first {
                Some(first) => Kind::Hardlink {
                    target: first.clone(),
                },
                None => file.kind.clone(),
            };
            if first.is_none() {
                self.elected.insert((layer, target), entry.path.clone());
            }
            found.entry = Cow::Owned(Entry {
                path: entry.path.clone(),
                meta: file.meta.clone(),
                kind,
            });
        }
        self.ready.push_back(found);
    }

    /// Whether the file of a link did not show: where not all was gone through, another of its
    /// links may be the first.
    pub(crate) fn has_elected(&self) -> bool {
        !self.elected.is_empty()
    }
}

impl<'a> Iterator for Merge<'_, 'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Some(found);
            }
            if !self.step() && self.ready.is_empty() {
                return None;
            }
        }
    }
}

impl Ord for Cursor<'_> {
    /// The greatest is the first in order; of equal paths that of the topmost layer.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_path = other.next.path.cmp(&self.next.path);
        by_path.then(self.layer.cmp(&other.layer))
    }
}

impl PartialOrd for Cursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor<'_> {}

#[cfg(test)]
mod tests;
