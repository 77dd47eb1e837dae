//! Layers on top of each other as one tree. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Entry, Kind, LayerPath, Meta, Tree};

/// What a process sees of `layers` (the bottom first): a whole file system, without whiteouts,
/// with the root and every folder above an entry.
///
/// A folder that no layer names is 0755, owned by 0:0. A hard link whose file was replaced or
/// removed by a higher layer appears as a file of its own, because the layers share no inodes.
pub fn flatten(layers: &[&Tree]) -> Tree {
    let mut merged = Merged::default();
    merged.put(implied_folder(LayerPath::root()));
    for layer in layers {
        merged.layer(layer);
    }
    merged.tree
}

fn implied_folder(path: LayerPath) -> Entry {
    Entry::folder(path, Meta::with_mode(0o755))
}

#[derive(Default)]
struct Merged {
    tree: Tree,
    /// For each file, its hard links.
    links: BTreeMap<LayerPath, BTreeSet<LayerPath>>,
}

impl Merged {
    fn layer(&mut self, layer: &Tree) {
        let is_link = |e: &&Entry| matches!(e.kind, Kind::Hardlink { .. });
        for entry in layer.iter().filter(|e| !is_link(e)) {
            self.entry(entry);
        }
        // Links after files: in a foreign layer the file may come later in the order of paths.
        for entry in layer.iter().filter(is_link) {
            self.link(entry, layer);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.kind {
            Kind::Whiteout => self.remove_within(&entry.path),
            Kind::Dir { opaque } => {
                if *opaque || self.tree.get(&entry.path).is_some_and(|e| !e.is_dir()) {
                    self.remove_within(&entry.path);
                }
                self.put(Entry::folder(entry.path.clone(), entry.meta.clone()));
            }
            _ => {
                self.remove_within(&entry.path);
                self.put(entry.clone());
            }
        }
    }

    fn link(&mut self, entry: &Entry, layer: &Tree) {
        let Kind::Hardlink { target } = &entry.kind else {
            return;
        };
        self.remove_within(&entry.path);
        let mut entry = entry.clone();
        if layer.get(target).is_some() {
            let links = self.links.entry(target.clone()).or_default();
            links.insert(entry.path.clone());
        } else if let Some((_, file)) = self.tree.file(target) {
            // A link to a lower layer's file: the layers share no inodes, so it is a copy.
            entry.kind = Kind::File(file.clone());
        }
        self.put(entry);
    }

    fn put(&mut self, entry: Entry) {
        let mut up = entry.path.parent();
        while let Some(folder) = up {
            up = folder.parent();
            match self.tree.get(&folder) {
                Some(e) if e.is_dir() => break,
                Some(_) => self.remove_within(&folder),
                None => {}
            }
            self.tree.insert(implied_folder(folder));
        }
        self.tree.insert(entry);
    }

    fn remove_within(&mut self, path: &LayerPath) {
        if path.is_root() {
            self.tree = Tree::new();
            self.links.clear();
            self.put(implied_folder(LayerPath::root()));
            return;
        }
        for gone in self.tree.remove_within(path) {
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
        let mut links = links.into_iter().filter(|l| self.tree.get(l).is_some());
        let Some(first) = links.next() else {
            return;
        };
        let others: BTreeSet<_> = links.collect();
        for link in &others {
            self.tree.insert(Entry {
                path: link.clone(),
                meta: gone.meta.clone(),
                kind: Kind::Hardlink {
                    target: first.clone(),
                },
            });
        }
        self.tree.insert(Entry {
            path: first.clone(),
            meta: gone.meta,
            kind: gone.kind,
        });
        self.links.insert(first, others);
    }
}
