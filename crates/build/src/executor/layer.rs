//! From planned changes to a layer, in the one form that is needed: unpacked where a RUN will stand
//! on it, else a plain tar. What the same line gave last time is at hand for what did not change.
//! Refuses to make a second form: whoever needs it later makes it then.

use std::{fs, io, sync::Arc};

use kiln_cache::{Key, KeyBuilder, Record, Records};
use kiln_graph::{self as graph, NodeId};
use kiln_image::Digest;
use kiln_layer::{Files, Packed, Packing, Previous, Times, Tree, copy::Change, pack_changes};

use crate::{Error, executor::Carrier, job::records::StoreRecords};

/// From which size on (bytes of tar) it is worth remembering what a line gave: less is packed sooner
/// than looked up.
pub(super) const WORTH: u64 = 1 << 20;

/// A line of a Dockerfile, whatever it copies: who remembers the layer that it gave last.
pub(super) struct Line(Key);

/// The plain tar that a line gave last, and what is in it.
struct Last {
    tar: fs::File,
    tree: Arc<Tree>,
}

impl Carrier<'_> {
    /// The line that `op` is, for those who build from one context again and again.
    pub(super) fn line(&self, op: &graph::Copy) -> Option<Line> {
        let context = self.request.context.identity()?;
        let key = KeyBuilder::new("kiln.build.line/1").part("context", context.as_bytes());
        let parts = graph::Op::Copy(op.clone()).parts().into_iter();
        let key = parts.fold(key, |key, (name, value)| key.part(&name, value.as_bytes()));
        Some(Line(key.finish()))
    }

    /// Makes the layer of `changes`. No change, no layer.
    pub(super) fn layer(
        &self,
        id: NodeId,
        changes: &[Change],
        from: &[&dyn Files],
        times: Times,
        line: Option<&Line>,
    ) -> Result<Option<Packed>, Error> {
        if changes.is_empty() {
            return Ok(None);
        }
        let last = line.and_then(|line| self.last(line));
        let how = Packing {
            times,
            previous: last.as_ref().map(|last| Previous {
                tar: &last.tar,
                tree: &last.tree,
            }),
            ..Packing::default()
        };
        let secrets = self.secrets()?;
        let write = |tar: &mut (dyn io::Write + Send)| -> Result<Packed, Error> {
            let watched = secrets.watch.over(tar);
            let (watched, packed) = pack_changes(changes, from, watched, &how)?;
            match watched.sighting(&packed.tree) {
                None => Ok(packed),
                Some(found) => Err(secrets.in_layer(found.needle, &format!("/{}", found.path))),
            }
        };
        let packed = match self.is_mounted(id) {
            true => self.roots.make_unpacked(write)?,
            false => self.roots.make_packed(write)?,
        };
        if let Some(line) = line {
            self.remember(line, &packed)?;
        }
        Ok(Some(packed))
    }

    /// What the line gave last. What is gone or cannot be read is as good as never made.
    fn last(&self, line: &Line) -> Option<Last> {
        if self.request.settings.no_cache {
            return None;
        }
        let record = self.records().get(&line.0).ok()??;
        let diff_id = *record.refs.first()?;
        if !self.keep(&[diff_id]).ok()?.is_empty() {
            return None;
        }
        Some(Last {
            tar: self.store.blobs().open(&diff_id).ok()?,
            tree: self.store.layers().tree(&diff_id).ok()??,
        })
    }

    fn remember(&self, line: &Line, packed: &Packed) -> Result<(), Error> {
        if packed.size < WORTH {
            return Ok(());
        }
        let record = Record {
            refs: vec![packed.diff_id],
            ..Record::default()
        };
        self.records()
            .put(&line.0, &record)
            .map_err(|e| Error::new(crate::ErrorKind::Io, "remember what a line gave").because(e))
    }

    /// Where it is remembered what was found out.
    pub(super) fn records(&self) -> StoreRecords<'_> {
        StoreRecords {
            store: self.store,
            lease: self.lease,
        }
    }
}

/// The diff id, where there is a layer.
pub(super) fn id_of(packed: &Option<Packed>) -> Option<Digest> {
    packed.as_ref().map(|packed| packed.diff_id)
}
