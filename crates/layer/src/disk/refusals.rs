//! What the kernel refused, by the file that it belongs to: a file that goes leaves it to its other
//! names. Pure.

use std::collections::BTreeMap;

use super::Refusal;
use crate::{Kind, LayerPath, Tree};

#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_path: BTreeMap<LayerPath, Vec<Refusal>>,
    all: Vec<Refusal>,
}

impl Refusals {
    pub(super) fn add(&mut self, path: &LayerPath, what: String, attribute: Option<&[u8]>) {
        let refusal = Refusal {
            path: path.clone(),
            what,
            attribute: attribute.map(<[u8]>::to_vec),
        };
        self.by_path.entry(path.clone()).or_default().push(refusal);
    }

    /// Takes over what another one has.
    pub(super) fn append(&mut self, mut others: Self) {
        self.by_path.append(&mut others.by_path);
    }

    /// `path` is another name of `file`.
    pub(super) fn link(&mut self, file: &LayerPath, path: &LayerPath) {
        let Some(of_file) = self.by_path.get(file) else {
            return;
        };
        let of_link = of_file.iter().cloned().map(|refusal| Refusal {
            path: path.clone(),
            ..refusal
        });
        self.by_path.insert(path.clone(), of_link.collect());
    }

    /// `path` is gone, and what is in it.
    pub(super) fn remove(&mut self, path: &LayerPath) {
        while let Some((inside, _)) = self.by_path.range(path.clone()..).next() {
            if !inside.starts_with(path) {
                break;
            }
            let inside = inside.clone();
            self.by_path.remove(&inside);
        }
    }

    /// What is left is of what is in `tree`, or of folders that it implies; a file with many names
    /// has it once.
    pub(super) fn finish(&mut self, tree: &Tree) {
        let is_link = |path: &LayerPath| {
            let kind = tree.get(path).map(|e| &e.kind);
            matches!(kind, Some(Kind::Hardlink { .. }))
        };
        let by_path = std::mem::take(&mut self.by_path);
        let kept = by_path.into_iter().filter(|(path, _)| !is_link(path));
        self.all = kept.flat_map(|(_, refusals)| refusals).collect();
    }

    pub(super) fn all(&self) -> &[Refusal] {
        &self.all
    }
}
