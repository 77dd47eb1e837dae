//! With which ids a body was made. That stands beside it, so that a body which shows the owners of
//! another mapping (subordinate ids came, went or moved; a store of another user) is made anew and
//! not mounted.

use std::io;
use std::path::Path;

use kiln_image::Digest;
use kiln_store::Body;

use crate::roots::no_body;
use crate::{Bodies, Error, ErrorKind, Roots};

/// The name of the file beside the folder that is mounted. There is none where root made the body.
const NAME: &str = "ids";

fn of(bodies: &dyn Bodies) -> Option<Vec<u8>> {
    let ids = bodies.ids()?;
    serde_json::to_vec(ids).ok()
}

/// Puts down with which ids `bodies` makes what is in the folder `layer`.
pub(crate) fn mark(layer: &Path, bodies: &dyn Bodies) -> Result<(), Error> {
    let Some(ids) = of(bodies) else {
        return Ok(());
    };
    let file = layer.join(NAME);
    std::fs::write(&file, ids).map_err(|e| Error::io("write", &file, e))
}

impl Roots {
    /// Whether a body was made with the ids of now.
    pub(crate) fn fits(&self, body: &Body) -> Result<bool, Error> {
        let file = body.folder.join(NAME);
        let made = match std::fs::read(&file) {
            Ok(made) => Some(made),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read", &file, e)),
        };
        Ok(made == of(&**self.bodies()))
    }

    /// Removes a body that was made with other ids, after its tar was kept where that is the only
    /// way to it.
    pub(crate) fn discard(&self, diff_id: &Digest, body: &Body) -> Result<(), Error> {
        let layers = self.store().layers();
        if layers.tar(diff_id)?.is_none() {
            let known = layers.get(diff_id)?.ok_or_else(|| no_body(diff_id))?;
            let tree = layers.tree(diff_id)?.ok_or_else(|| no_body(diff_id))?;
            let blob = self.store().blobs().create()?;
            let mut tar = io::BufWriter::with_capacity(256 << 10, blob);
            self.bodies()
                .pack(&body.root(), &tree, &mut tar)
                .map_err(|e| {
                    let what = "take up a layer that was unpacked with other subordinate ids";
                    Error::new(ErrorKind::Layer, what)
                        .at(body.root())
                        .hint("give this user those of before, or begin with a new store")
                        .because(e)
                })?;
            let failed = |e: io::IntoInnerError<_>| {
                Error::new(ErrorKind::Io, "keep the layer").because(e.into_error())
            };
            let blob = tar.into_inner().map_err(failed)?;
            blob.finish(Some((*diff_id, known.facts.size)))?;
        }
        layers.evict(diff_id)?;
        Ok(())
    }
}
