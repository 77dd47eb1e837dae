//! Look-ups in layers on top of each other, from the top down, without merging them. Only for trees
//! that are as this crate makes them (`Tree::is_tidy`). Pure.
//!
//! What a path shows is what the topmost layer has there that has anything there, unless a layer
//! above it hides it: by a whiteout, an opaque folder or something that is no folder, at the path or
//! above it. A layer that has something inside a folder without having the folder itself makes it:
//! it is *implied*.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{Entry, Kind, LayerPath, Meta, Tree, path::folder};

/// Layers, the bottom first.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'s, 'a>(&'s [&'a Tree]);

/// What a path shows.
pub(crate) struct Found<'a> {
    /// The layer that has it; an implied folder is of none.
    pub(crate) layer: Option<usize>,
    /// As it is in a whole tree, but for a hard link whose file is hidden.
    pub(crate) entry: Cow<'a, Entry>,
}

impl<'s, 'a> Stack<'s, 'a> {
    /// `None` when one of the trees is not tidy.
    pub(crate) fn new(trees: &'s [&'a Tree]) -> Option<Self> {
        trees.iter().all(|t| t.is_tidy()).then_some(Self(trees))
    }

    /// Of trees that are known to be tidy.
    pub(crate) fn known(trees: &'s [&'a Tree]) -> Self {
        Self(trees)
    }

    pub(crate) fn trees(self) -> &'s [&'a Tree] {
        self.0
    }

    /// What is at `path`. The root is always there.
    pub(crate) fn find(self, path: &[u8]) -> Option<Found<'a>> {
        let mut is_implied = path.is_empty();
        for (i, tree) in self.0.iter().enumerate().rev() {
            match tree.at(path) {
                Some(entry) if entry.is_dir() => {
                    let entry = plain(entry);
                    let layer = Some(i);
                    return Some(Found { layer, entry });
                }
                Some(entry) if is_implied || entry.is_whiteout() => break,
                Some(entry) => {
                    return Some(Found {
                        layer: Some(i),
                        entry: Cow::Borrowed(entry),
                    });
                }
                None => {
                    is_implied = is_implied || has_inside(tree, path);
                    if hides_inside(tree, path) {
                        break;
                    }
                }
            }
        }
        is_implied.then(|| Found {
            layer: None,
            entry: Cow::Owned(implied(path)),
        })
    }

    /// Whether layer `i` is the one that shows its file at `path`.
    pub(crate) fn shows(self, i: usize, path: &[u8]) -> bool {
        self.find(path).is_some_and(|found| found.layer == Some(i))
    }

    /// The lowest layer of which something inside the folder `path` can show.
    pub(crate) fn floor(self, path: &[u8]) -> usize {
        for (i, tree) in self.0.iter().enumerate().rev() {
            let above = hides_inside(tree, path).then_some(i);
            if let Some(floor) = tree.at(path).and_then(|e| floor_of(i, e)).or(above) {
                return floor;
            }
        }
        0
    }

    /// The paths directly inside the folder `path` that some layer has or implies, in order.
    pub(crate) fn names(self, path: &[u8]) -> BTreeSet<LayerPath> {
        let mut names = BTreeSet::new();
        for tree in &self.0[self.floor(path)..] {
            tree.each_child(path, &mut |child| {
                names.insert(LayerPath::known(child));
            });
        }
        names
    }
}

/// The lowest layer of which something inside shows through `entry` of layer `i`, where it hides any.
pub(crate) fn floor_of(i: usize, entry: &Entry) -> Option<usize> {
    match entry.kind {
        Kind::Dir { opaque: false } => None,
        Kind::Dir { opaque: true } => Some(i),
        // It has nothing inside itself.
        _ => Some(i + 1),
    }
}

/// A folder as it is in a whole tree.
pub(crate) fn plain(entry: &Entry) -> Cow<'_, Entry> {
    match entry.kind {
        Kind::Dir { opaque: true } => {
            Cow::Owned(Entry::folder(entry.path.clone(), entry.meta.clone()))
        }
        _ => Cow::Borrowed(entry),
    }
}

/// A folder that no layer has, but something in it.
pub(crate) fn implied(path: &[u8]) -> Entry {
    Entry::folder(LayerPath::known(path), Meta::with_mode(0o755))
}

/// Whether the layer hides what lower ones have inside a folder above `path`.
fn hides_inside(tree: &Tree, path: &[u8]) -> bool {
    let mut up = path;
    while !up.is_empty() {
        up = folder(up);
        if tree.at(up).is_some_and(|e| floor_of(0, e).is_some()) {
            return true;
        }
    }
    false
}

/// Whether the layer has something inside `path`, and not only takes things away there.
fn has_inside(tree: &Tree, path: &[u8]) -> bool {
    tree.inside(path).any(|entry| !entry.is_whiteout())
}
