//! [`flatten`](super::flatten) for trees that are not as this crate makes them: entry by entry into
//! one tree, from the bottom up. Slow, and right for every tree. Pure.

use crate::{Entry, Kind, LayerPath, Meta, Tree, links::LinkedTree};

pub(super) fn flatten(layers: &[&Tree]) -> Tree {
    let mut merged = Merged::default();
    merged.put(implied_folder(LayerPath::root()));
    for layer in layers {
        merged.layer(layer);
    }
    merged.0.finish()
}

fn implied_folder(path: LayerPath) -> Entry {
    Entry::folder(path, Meta::with_mode(0o755))
}

#[derive(Default)]
struct Merged(LinkedTree);

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
                if *opaque || self.0.tree().get(&entry.path).is_some_and(|e| !e.is_dir()) {
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
        self.remove_within(&entry.path);
        let mut entry = entry.clone();
        if let Kind::Hardlink { target } = &entry.kind
            && layer.get(target).is_none()
            && let Some((_, file)) = self.0.tree().file(target)
        {
            // A link to a lower layer's file: the layers share no inodes, so it is a copy.
            entry.kind = Kind::File(file.clone());
        }
        self.put(entry);
    }

    fn put(&mut self, entry: Entry) {
        let is_dir = |p: &LayerPath| self.0.tree().get(p).is_some_and(Entry::is_dir);
        let mut missing = Vec::new();
        let mut up = entry.path.parent();
        while let Some(folder) = up.filter(|p| !is_dir(p)) {
            up = folder.parent();
            missing.push(folder);
        }
        // From the top: what is in the way takes with it all that seems to be inside it.
        for folder in missing.into_iter().rev() {
            self.remove_within(&folder);
            self.0.put(implied_folder(folder));
        }
        self.0.put(entry);
    }

    fn remove_within(&mut self, path: &LayerPath) {
        if path.is_root() {
            self.0.remove_beneath(path);
        } else {
            self.0.remove_within(path);
        }
    }
}
