//! Push: each layer is compressed where no compressed form of it is known, and uploaded, in
//! parallel; then the documents, then the name. The work is a graph like that of a build.

use std::sync::{Mutex, PoisonError};

use kiln_cache::{Memory, Record};
use kiln_graph::{
    Cancel, Context, Executor, Graph, GraphBuilder, Node, NodeId, Op, Pack, Settings, Upload, plan,
    solve,
};
use kiln_image::{
    Descriptor, Digest, Manifest, Progress, Raw, Reference, Select, Sink, copy, media,
    media::Compression,
};
use kiln_registry::Remote;
use kiln_store::ImageRecord;

use super::{On, plain::whole, tell};
use crate::{Builder, Error, ErrorKind, Transfer};

impl Builder {
    /// Pushes the image `name` to its registry, and answers with the manifest as it is there.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the store has no such image; what the registry says.
    pub fn push(&self, name: &Reference, on: On<'_>) -> Result<Descriptor, Error> {
        let Some(image) = self.store().images().get(name)? else {
            let what = format!(
                "an image does not exist locally with the tag: {}",
                name.familiar()
            );
            return Err(Error::new(ErrorKind::NotFound, what).hint(format!(
                "`kiln tag IMAGE {}` gives an image that name",
                name.familiar()
            )));
        };
        let remote = self.client().repository(name);
        let names = std::slice::from_ref(name);
        if let Some(manifest) = whole(self.store(), &image)? {
            let source = self.store().source().giving(name.clone(), manifest);
            let told = |p: Progress<'_>| tell(on, &p);
            return Ok(copy(&source, &remote, name, names, &Select::All, &told)?);
        }
        let layers = self.upload_layers(&image, name, &remote, on)?;
        let config = self.store().images().config(&image)?;
        let described = config.descriptor(media::CONFIG);
        let manifest = Raw::new(Manifest::new(described.clone(), layers));
        let descriptor = manifest.descriptor(media::MANIFEST);
        remote.put_document(&described, config.bytes())?;
        remote.put_document(&descriptor, manifest.bytes())?;
        remote.name(&descriptor, name)?;
        Ok(descriptor)
    }

    /// Brings every layer to the registry, and gives their descriptors there, bottom first.
    fn upload_layers(
        &self,
        image: &ImageRecord,
        name: &Reference,
        remote: &Remote,
        on: On<'_>,
    ) -> Result<Vec<Descriptor>, Error> {
        let (graph, uploads) = graph(image, name);
        let pusher = Pusher {
            builder: self,
            remote,
            on,
            known: Mutex::default(),
        };
        let settings = Settings {
            limits: self.limits(),
            ..Settings::default()
        };
        let records = Memory::new();
        let planned = plan(&graph, &uploads, &pusher, &records, &settings);
        let context = Context {
            records: &records,
            settings: &settings,
            cancel: &Cancel::new(),
            on: &|_| {},
        };
        let solved = planned.and_then(|plan| solve(&context, plan, &pusher));
        let solved = solved.map_err(crate::job::solve_error)?;
        let descriptor = |id: &NodeId| solved.output(*id).cloned().flatten();
        let layers: Option<Vec<Descriptor>> = uploads.iter().map(descriptor).collect();
        layers.ok_or_else(|| Error::new(ErrorKind::Io, "a layer was not uploaded"))
    }
}

/// One node to compress and one to upload for each layer; equal layers are one.
fn graph(image: &ImageRecord, name: &Reference) -> (Graph, Vec<NodeId>) {
    let mut graph = GraphBuilder::new();
    let mut uploads = Vec::new();
    for layer in &image.layers {
        let pack = Op::Pack(Pack {
            layer: Some(*layer),
            compression: kiln_graph::Compression::Gzip,
        });
        let packed = graph.add(pack, &[], None);
        let upload = Op::Upload(Upload { to: name.clone() });
        uploads.push(graph.add(upload, &[packed], None));
    }
    (graph.finish(), uploads)
}

/// Compresses and uploads.
struct Pusher<'a> {
    builder: &'a Builder,
    remote: &'a Remote,
    on: On<'a>,
    known: Mutex<Vec<Descriptor>>,
}

impl Pusher<'_> {
    fn upload(&self, blob: &Descriptor) -> Result<Descriptor, Error> {
        let store = self.builder.store();
        let open = |from: u64| -> std::io::Result<Box<dyn std::io::Read + Send>> {
            let mut file = store
                .blobs()
                .open(&blob.digest)
                .map_err(std::io::Error::other)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))?;
            Ok(Box::new(file))
        };
        let locations = kiln_image::Source::locations(&store.source(), blob);
        let mut progress = |bytes| (self.on)(Transfer::Bytes(blob, bytes));
        let how = self
            .remote
            .put_blob(blob, &open, &locations, &mut progress)?;
        (self.on)(Transfer::Taken(blob, how));
        Ok(blob.clone())
    }
}

impl Executor for Pusher<'_> {
    type Output = Option<Descriptor>;
    type Error = Error;

    fn leaf(&self, _: &Node) -> Result<Option<Digest>, Error> {
        Err(Error::new(ErrorKind::Unsupported, "a context in a push"))
    }

    fn execute(
        &self,
        _: NodeId,
        node: &Node,
        inputs: &[Option<Descriptor>],
        _: &Cancel,
    ) -> Result<Option<Descriptor>, Error> {
        match (&node.op, inputs) {
            (Op::Pack(pack), _) => {
                let Some(layer) = &pack.layer else {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "a layer that is not named",
                    ));
                };
                let packed = self.builder.roots().compressed(layer, Compression::Gzip)?;
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.push(packed.clone());
                (self.on)(Transfer::Layers(&known));
                Ok(Some(packed))
            }
            (Op::Upload(_), [Some(packed)]) => self.upload(packed).map(Some),
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
        _: &[Option<Descriptor>],
    ) -> Result<Option<Digest>, Error> {
        Ok(None)
    }

    fn save(&self, _: &Option<Descriptor>) -> Result<Record, Error> {
        Ok(Record::default())
    }

    fn load(
        &self,
        _: &Record,
        _: Option<&[Option<Descriptor>]>,
    ) -> Result<Option<Option<Descriptor>>, Error> {
        Ok(None)
    }
}
