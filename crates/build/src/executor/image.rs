//! A base image: its layers, pulled if they are not here.

use std::sync::Arc;

use kiln_graph::NodeId;
use kiln_image::Digest;

use crate::{
    Error,
    executor::{
        Carrier,
        output::{Output, Slots},
    },
};

impl Carrier<'_> {
    pub(super) fn image(&self, id: NodeId, manifest: &Digest) -> Result<Output, Error> {
        let base = self.bases.layers(manifest, self.lease, &|blob, bytes| {
            self.tracker.pulling(id, blob, bytes);
        })?;
        self.keep(&base)?;
        Ok(Output::Root(Arc::new(Slots {
            base,
            made: Vec::new(),
        })))
    }
}
