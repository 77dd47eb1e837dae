//! A [`Tree`] that knows the hard links of each file, so that removing a file leaves its content to
//! the first of its other names, as the kernel does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Entry, Kind, LayerPath, Meta, Tree};

#[derive(Debug, Default)]
pub(crate) struct LinkedTree {
    tree: Tree,
    /// For each file that has them, its other names.
    links: BTreeMap<LayerPath, BTreeSet<LayerPath>>,
}

impl LinkedTree {
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Puts an entry at a path that is free, or holds a folder that it is another state of.
    pub(crate) fn put(&mut self, entry: Entry) {
        if let Kind::Hardlink { target } = &entry.kind {
            let links = self.links.entry(target.clone()).or_default();
            links.insert(entry.path.clone());
        }
        self.tree.insert(entry);
    }

    /// Gives the entry at `path`, which is no hard link, other metadata. Of a file's other names see
    /// [`describe_links`](Self::describe_links).
    pub(crate) fn describe(&mut self, path: &LayerPath, meta: Meta) {
        if let Some(entry) = self.tree.get(path) {
            let (path, kind) = (path.clone(), entry.kind.clone());
            self.tree.insert(Entry { path, meta, kind });
        }
    }

    /// Gives each hard link the metadata of its file, or what `missing` says of one that is not there.
    pub(crate) fn describe_links(&mut self, missing: &BTreeMap<LayerPath, Meta>) {
        for (target, links) in &self.links {
            let file = self.tree.get(target).map(|file| &file.meta);
            let Some(meta) = file.or_else(|| missing.get(target)).cloned() else {
                continue;
            };
            for link in links {
                if let Some(entry) = self.tree.get(link).filter(|entry| entry.meta != meta) {
                    let (path, kind) = (link.clone(), entry.kind.clone());
                    let meta = meta.clone();
                    self.tree.insert(Entry { path, meta, kind });
                }
            }
        }
    }

    pub(crate) fn remove_within(&mut self, path: &LayerPath) {
        for gone in self.tree.remove_within(path) {
            self.forget(gone);
        }
    }

    pub(crate) fn remove_beneath(&mut self, path: &LayerPath) {
        for gone in self.tree.remove_beneath(path) {
            self.forget(gone);
        }
    }

    /// After `gone` was taken out: the first of its links that is left becomes the file.
    fn forget(&mut self, gone: Entry) {
        if let Kind::Hardlink { target } = &gone.kind {
            if let Some(links) = self.links.get_mut(target) {
                links.remove(&gone.path);
            }
            return;
        }
        let links = self.links.remove(&gone.path).unwrap_or_default();
        self.elect(gone, links);
    }

    fn elect(&mut self, file: Entry, links: BTreeSet<LayerPath>) {
        let mut links = links.into_iter().filter(|l| self.tree.get(l).is_some());
        let Some(first) = links.next() else {
            return;
        };
        let others: BTreeSet<_> = links.collect();
        for link in &others {
            self.tree.insert(Entry {
                path: link.clone(),
                meta: file.meta.clone(),
                kind: Kind::Hardlink {
                    target: first.clone(),
                },
            });
        }
        self.tree.insert(Entry {
            path: first.clone(),
            ..file
        });
        if !others.is_empty() {
            self.links.insert(first, others);
        }
    }

    /// The tree, in which of each file's names the first in order is the file.
    pub(crate) fn finish(mut self) -> Tree {
        for (target, mut links) in std::mem::take(&mut self.links) {
            if links.first().is_none_or(|first| *first > target) {
                continue;
            }
            // Not in this layer, perhaps: then there is nothing to put first.
            if let Some(file) = self.tree.remove(&target) {
                self.tree.insert(file.clone());
                links.insert(target);
                self.elect(file, links);
            }
        }
        self.tree
    }
}
