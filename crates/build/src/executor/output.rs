//! What a node gives: a root as its layers, or files. Small, cheap to clone, and as bytes what a
//! cache record keeps.

use std::sync::Arc;

use kiln_image::Digest;
use serde::{Deserialize, Serialize};

use crate::executor::Selected;

/// What an instruction that may make a layer gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// The diff id of its layer; `None` when it changed no file.
    pub(crate) layer: Option<Digest>,
    /// When it was carried out: seconds since 1970, at most the epoch of the build.
    pub(crate) created: i64,
}

/// A root: the layers of a base image and one slot for each instruction upon it that may make a
/// layer, bottom first. A prefix of the slots is the root after an earlier instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slots {
    /// The diff ids of the base image.
    pub(crate) base: Vec<Digest>,
    /// One for each instruction upon it.
    pub(crate) made: Vec<Slot>,
}

impl Slots {
    /// The diff ids of all layers.
    pub(crate) fn layers(&self) -> Vec<Digest> {
        self.layers_after(self.made.len())
    }

    /// The diff ids after the first `count` instructions that may make a layer.
    pub(crate) fn layers_after(&self, count: usize) -> Vec<Digest> {
        let made = self.made.iter().take(count).filter_map(|s| s.layer);
        self.base.iter().copied().chain(made).collect()
    }

    /// The same root with what one more instruction gave.
    pub(crate) fn with(&self, slot: Slot) -> Self {
        let mut next = self.clone();
        next.made.push(slot);
        next
    }
}

/// What a node gives.
#[derive(Clone)]
pub(crate) enum Output {
    /// A root.
    Root(Arc<Slots>),
    /// Files of a context.
    Files(Arc<Selected>),
}

impl Output {
    /// The slots of a root; of files, those of an empty one.
    pub(crate) fn slots(&self) -> Arc<Slots> {
        match self {
            Output::Root(slots) => Arc::clone(slots),
            Output::Files(_) => Arc::default(),
        }
    }
}
