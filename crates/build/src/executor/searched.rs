//! Layers that earlier builds made, and secrets that are given now: each is searched once for each name of
//! a secret, and what has one in it is as good as never recorded, so that its step tells of it. Refuses to
//! remember anything of values: one that changes under its name is not looked for again.

use std::collections::BTreeSet;

use kiln_image::Digest;

use crate::{Error, executor::Carrier};

impl Carrier<'_> {
    /// Whether none of these layers has a secret of this build in it.
    pub(super) fn are_clean(&self, layers: &[Digest]) -> Result<bool, Error> {
        let secrets = self.secrets()?;
        let wanted: BTreeSet<String> = secrets.in_layers().cloned().collect();
        if wanted.is_empty() {
            return Ok(true);
        }
        for diff_id in layers {
            let facts = self.store.layers().get(diff_id)?.map(|layer| layer.facts);
            let is_known = facts.is_none_or(|facts| wanted.is_subset(&facts.searched));
            if !is_known && !self.is_clean(diff_id, &wanted)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_clean(&self, diff_id: &Digest, wanted: &BTreeSet<String>) -> Result<bool, Error> {
        let layers = self.store.layers();
        // One that is elsewhere was somebody else's to search, and cannot be.
        let (Ok(mut tar), Some(tree)) = (self.roots.packed(diff_id), layers.tree(diff_id)?) else {
            return Ok(true);
        };
        let mut watched = self.secrets()?.watch.over(std::io::sink());
        let failed = |e| Error::io(format!("search the layer `{diff_id}`"), e);
        std::io::copy(&mut tar, &mut watched).map_err(failed)?;
        if watched.sighting(&tree).is_some() {
            return Ok(false);
        }
        layers.update(diff_id, |facts| {
            facts.searched.extend(wanted.iter().cloned());
        })?;
        Ok(true)
    }
}
