//! The folders that were made on the way to an entry, without an entry of their own. Pure.

use std::collections::BTreeSet;

use crate::{Files, LayerPath, Meta, Tree};

#[derive(Debug, Default)]
pub(super) struct Made(BTreeSet<LayerPath>);

impl Made {
    pub(super) fn insert(&mut self, path: LayerPath) {
        self.0.insert(path);
    }

    /// `path` is gone, and what is in it.
    pub(super) fn remove(&mut self, path: &LayerPath) {
        while let Some(inside) = self.0.range(path.clone()..).next() {
            if !inside.starts_with(path) {
                break;
            }
            let inside = inside.clone();
            self.0.remove(&inside);
        }
    }

    /// All folders with the metadata that they get, the deepest first: those of `tree`, and of the
    /// others what `lower` says.
    pub(super) fn with_those_of(
        self,
        tree: &Tree,
        lower: Option<&dyn Files>,
    ) -> Vec<(LayerPath, Meta)> {
        let implied = self.0.into_iter().filter(|p| tree.get(p).is_none());
        let mut folders: Vec<_> = implied
            .map(|path| {
                let known = lower.and_then(|l| l.tree().get(&path));
                let known = known.filter(|e| e.is_dir()).map(|e| e.meta.clone());
                (path, known.unwrap_or_else(|| Meta::with_mode(0o755)))
            })
            .collect();
        let named = tree.iter().filter(|e| e.is_dir());
        folders.extend(named.map(|e| (e.path.clone(), e.meta.clone())));
        folders.sort_by(|a, b| b.0.cmp(&a.0));
        folders
    }
}
