//! Layers on their way out while others are made: compressed, and brought to a registry. What both give
//! is the root that they were given.

use kiln_graph::{Pack, Upload};
use kiln_image::{Descriptor, Digest};

use crate::{
    Error, ErrorKind,
    executor::{Carrier, output::Output},
    transfer::form_of,
};

impl Carrier<'_> {
    /// Compresses the layer that the last step of a root made.
    pub(super) fn pack(&self, op: &Pack, root: &Output) -> Result<Output, Error> {
        if let Some(layer) = made(root) {
            let form = form_of(op.compression, op.level, op.exact)?;
            let packed = self.roots.compressed(&layer, form)?;
            self.keep(&[packed.descriptor.digest])?;
        }
        Ok(root.clone())
    }

    /// Brings it to a registry.
    pub(super) fn upload(&self, op: &Upload, root: &Output) -> Result<Output, Error> {
        match (&self.beside, made(root)) {
            (Some(beside), Some(layer)) => {
                let told = |blob: &Descriptor, how| self.tracker.pushing(&op.to, blob, how);
                beside.upload(self.roots, &op.to, &layer, &told)?;
            }
            (_, None) => {}
            (None, Some(_)) => {
                let what = "an upload in a build that pushes nothing";
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
        }
        Ok(root.clone())
    }
}

/// The layer that the last step of a root made, if it made one.
fn made(root: &Output) -> Option<Digest> {
    root.slots().made.last()?.layer
}
