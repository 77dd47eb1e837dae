//! Carries out the nodes of a push: compresses, and uploads.

use std::sync::{Mutex, PoisonError};

use kiln_cache::Record;
use kiln_graph::{Cancel, Executor, Node, NodeId, Op};
use kiln_image::{Descriptor, Digest, Sink, Taken};
use kiln_registry::Remote;
use kiln_store::{Elsewhere, Facts, PackedAs, Store};

use super::{super::On, form_of};
use crate::{Builder, Error, ErrorKind, Transfer};

pub(super) struct Pusher<'a> {
    builder: &'a Builder,
    remote: &'a Remote,
    on: On<'a>,
    known: Mutex<Vec<Descriptor>>,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(builder: &'a Builder, remote: &'a Remote, on: On<'a>) -> Self {
        Self {
            builder,
            remote,
            on,
            known: Mutex::default(),
        }
    }

    fn upload(&self, blob: &Descriptor) -> Result<(), Error> {
        let mut progress = |bytes| (self.on)(Transfer::Bytes(blob, bytes));
        let how = upload(self.builder.store(), self.remote, blob, &mut progress)?;
        (self.on)(Transfer::Taken(blob, how));
        Ok(())
    }
}

/// Brings a blob of the store to a registry, unless it is there.
pub(crate) fn upload(
    store: &Store,
    remote: &Remote,
    blob: &Descriptor,
    progress: &mut dyn FnMut(u64),
) -> Result<Taken, Error> {
    let open = |from: u64| -> std::io::Result<Box<dyn std::io::Read + Send>> {
        let opened = store.blobs().open(&blob.digest);
        let mut file = opened.map_err(std::io::Error::other)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))?;
        Ok(Box::new(file))
    };
    let locations = kiln_image::Source::locations(&store.source(), blob);
    let taken = remote.put_blob(blob, &open, &locations, progress)?;
    learn(store, remote, &blob.digest);
    Ok(taken)
}

/// Remembers that a repository has a blob: others of its registry can take it from there. Nothing but
/// time depends on it, so nothing fails because of it.
pub(crate) fn learn(store: &Store, remote: &Remote, blob: &Digest) {
    let layers = store.layers();
    let diff_id = layers.diff_id_of(blob).ok().flatten().unwrap_or(*blob);
    let at = Elsewhere {
        location: remote.location(),
        digest: *blob,
    };
    let known = layers.get(&diff_id).ok().flatten();
    if known.is_none_or(|layer| layer.facts.locations.contains(&at)) {
        return;
    }
    let facts = Facts {
        locations: vec![at],
        ..Facts::default()
    };
    let _ = layers.put(&diff_id, facts, None);
}

impl Executor for Pusher<'_> {
    type Output = Option<PackedAs>;
    type Error = Error;

    fn leaf(&self, _: &Node) -> Result<Option<Digest>, Error> {
        Err(Error::new(ErrorKind::Unsupported, "a context in a push"))
    }

    fn execute(
        &self,
        _: NodeId,
        node: &Node,
        inputs: &[Option<PackedAs>],
        _: &Cancel,
    ) -> Result<Option<PackedAs>, Error> {
        match (&node.op, inputs) {
            (Op::Pack(pack), _) => {
                let Some(layer) = &pack.layer else {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "a layer that is not named",
                    ));
                };
                let form = form_of(pack.compression, pack.level, pack.exact)?;
                let packed = self.builder.roots().compressed(layer, form)?;
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.push(packed.descriptor.clone());
                (self.on)(Transfer::Layers(&known));
                Ok(Some(packed))
            }
            (Op::Upload(_), [Some(packed)]) => {
                self.upload(&packed.descriptor)?;
                Ok(Some(packed.clone()))
            }
            (op, _) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("`{op}` in a push"),
            )),
        }
    }

    fn digest(
        &self,
        _: NodeId,
        _: &Node,
        _: usize,
        _: &[Option<PackedAs>],
    ) -> Result<Option<Digest>, Error> {
        Ok(None)
    }

    fn save(&self, _: &Option<PackedAs>) -> Result<Record, Error> {
        Ok(Record::default())
    }

    fn load(
        &self,
        _: &Record,
        _: Option<&[Option<PackedAs>]>,
    ) -> Result<Option<Option<PackedAs>>, Error> {
        Ok(None)
    }
}
