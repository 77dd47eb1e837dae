//! Push: each layer is compressed where no compressed form of it is known that will do, and uploaded,
//! in parallel; then the documents, then the name. The work is a graph like that of a build.

mod pusher;

use kiln_cache::Memory;
use kiln_graph::{
    Cancel, Compression, Context, Graph, GraphBuilder, NodeId, Op, Pack, Settings, Upload, plan,
    solve,
};
use kiln_image::{
    Config, Descriptor, Digest, Index, Manifest, Platform, Progress, Raw, Reference, Select, Sink,
    copy, media,
};
use kiln_layer::{indexed::Layout, levels};
use kiln_registry::Remote;
use kiln_store::{FOREIGN, Form, ImageRecord, PackedAs};

use self::pusher::Pusher;
pub(crate) use self::pusher::{learn, upload};
use super::{On, plain::whole, tell};
use crate::{Builder, Error, ErrorKind};

/// How the layers of an image are compressed on their way to a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// The form; `None`: what a blob that is here already has, else gzip.
    pub compression: Option<Compression>,
    /// The level; `None`: the usual one of the form, or what a blob that is here already has.
    pub level: Option<i32>,
    /// Whether blobs that came from elsewhere in another form are compressed anew as well, instead
    /// of going out as they came.
    pub force: bool,
}

/// What a push gave.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The manifest as it is in the registry.
    pub descriptor: Descriptor,
    /// The image id there, when it is another than here: the tars in the layers' blobs are others,
    /// which eStargz makes them, for its table of contents is one of their files.
    pub id: Option<Digest>,
    /// How many layers went out as they came, though another form was asked for.
    pub kept: usize,
}

/// Where one image goes.
struct To<'a> {
    remote: &'a Remote,
    /// A name in its repository.
    name: &'a Reference,
    /// The names that it is given.
    names: &'a [Reference],
}

/// How many layers of an image came in another form than is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    /// Compressed otherwise.
    others: usize,
    /// Not compressed, and to be compressed now.
    bare: usize,
}

impl Builder {
    /// Pushes the image `name` to its registry; where it stands for several platforms, all of them with
    /// their index, or the one that is said, alone.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the store has no such image, or none for this platform;
    /// [`Input`](ErrorKind::Input) for a level that there is not; what the registry says.
    pub fn push(
        &self,
        name: &Reference,
        platform: Option<&Platform>,
        how: &Push,
        on: On<'_>,
    ) -> Result<Pushed, Error> {
        let form = form(how)?;
        let image = self.to_push(name, platform)?;
        let remote = self.client().repository(name);
        if image.index.is_empty() {
            let to = To {
                remote: &remote,
                name,
                names: std::slice::from_ref(name),
            };
            return self.push_one(&image, &to, (how, &form), on);
        }
        self.push_index(&image, (&remote, name), (how, &form), on)
    }

    /// The image that is meant.
    fn to_push(&self, name: &Reference, platform: Option<&Platform>) -> Result<ImageRecord, Error> {
        let images = self.store().images();
        let Some(image) = images.get(name)? else {
            let what = format!(
                "an image does not exist locally with the tag: {}",
                name.familiar()
            );
            return Err(Error::new(ErrorKind::NotFound, what).hint(format!(
                "`kiln tag IMAGE {}` gives an image that name",
                name.familiar()
            )));
        };
        match platform {
            None => Ok(image),
            Some(_) => Ok(images.find_for(&name.familiar(), platform)?.image),
        }
    }

    /// Pushes all images of an index, then that.
    fn push_index(
        &self,
        image: &ImageRecord,
        (remote, name): (&Remote, &Reference),
        how: (&Push, &Form),
        on: On<'_>,
    ) -> Result<Pushed, Error> {
        let (mut manifests, mut kept) = (Vec::new(), 0);
        for one in &image.index {
            let to = To {
                remote,
                name,
                names: &[],
            };
            let pushed = self.push_one(one, &to, how, on)?;
            kept += pushed.kept;
            manifests.push(Descriptor {
                platform: Some(one.platform.clone()),
                ..pushed.descriptor
            });
        }
        let index = Raw::new(Index::new(manifests));
        let descriptor = index.descriptor(media::INDEX);
        remote.put_document(&descriptor, index.bytes())?;
        remote.name(&descriptor, name)?;
        Ok(Pushed {
            descriptor,
            id: None,
            kept,
        })
    }

    /// Pushes one image, which is given names there or none.
    fn push_one(
        &self,
        image: &ImageRecord,
        to: &To<'_>,
        (how, form): (&Push, &Form),
        on: On<'_>,
    ) -> Result<Pushed, Error> {
        let To {
            remote,
            name,
            names,
        } = *to;
        if let Some(manifest) = whole(self.store(), image)? {
            let came = self.came(&manifest, image, form, how)?;
            if came.bare == 0 && (!how.force || came.others == 0) {
                let source = self.store().source().giving(name.clone(), manifest);
                let told = |p: Progress<'_>| {
                    if let Progress::Taken(blob, _) = &p {
                        learn(self.store(), remote, &blob.digest);
                    }
                    tell(on, &p);
                };
                let descriptor = copy(&source, remote, name, names, &Select::All, &told)?;
                return Ok(Pushed {
                    descriptor,
                    id: None,
                    kept: how.compression.map_or(0, |_| came.others),
                });
            }
        }
        let layers = self.upload_layers(image, name, how, remote, on)?;
        let config = self.config_for(image, &layers)?;
        let kept = layers
            .iter()
            .filter(|l| !l.is(form) && l.compressor == FOREIGN);
        let kept = how.compression.map_or(0, |_| kept.count());
        let described = config.descriptor(media::CONFIG);
        let layers = layers.into_iter().map(described_here).collect();
        let manifest = Raw::new(Manifest::new(described.clone(), layers));
        let descriptor = manifest.descriptor(media::MANIFEST);
        remote.put_document(&described, config.bytes())?;
        remote.put_document(&descriptor, manifest.bytes())?;
        for name in names {
            remote.name(&descriptor, name)?;
        }
        Ok(Pushed {
            descriptor,
            id: Some(config.digest()).filter(|id| *id != image.id),
            kept,
        })
    }

    /// How the layers came with the manifest of an image.
    fn came(
        &self,
        manifest: &Descriptor,
        image: &ImageRecord,
        form: &Form,
        how: &Push,
    ) -> Result<Came, Error> {
        let bytes = self.store().blobs().read(&manifest.digest)?;
        let manifest: Raw<Manifest> = Raw::parse(bytes)?;
        let mut came = Came::default();
        for (diff_id, layer) in image.layers.iter().zip(&manifest.layers) {
            let known = self.store().layers().get(diff_id)?;
            let facts = known.map(|layer| layer.facts).unwrap_or_default();
            let is_so = |p: &PackedAs| p.descriptor.digest == layer.digest && p.is(form);
            if layer.digest != *diff_id {
                came.others += usize::from(!facts.packed.iter().any(is_so));
                continue;
            }
            // A plain tar in an archive was not yet compressed by anybody; one that a registry has
            // stays what it is there, unless something else is asked for.
            let is_there = facts.locations.iter().any(|l| l.digest == layer.digest);
            let may_stay = is_there && how.compression.is_none() && !how.force;
            if form.compression != media::Compression::None && !may_stay {
                came.bare += 1;
            }
        }
        Ok(came)
    }

    /// The config of the image whose layers are these: its own, unless the tars in them are others.
    fn config_for(&self, image: &ImageRecord, layers: &[PackedAs]) -> Result<Raw<Config>, Error> {
        let config = self.store().images().config(image)?;
        let both = image.layers.iter().zip(layers);
        let diff_ids: Vec<Digest> = both.map(|(layer, packed)| packed.diff_id(layer)).collect();
        if diff_ids == config.rootfs.diff_ids {
            return Ok(config);
        }
        let mut other = Config::clone(&config);
        other.rootfs.diff_ids = diff_ids;
        Ok(Raw::new(other))
    }

    /// Brings every layer to the registry, and gives what they are there, bottom first.
    fn upload_layers(
        &self,
        image: &ImageRecord,
        name: &Reference,
        how: &Push,
        remote: &Remote,
        on: On<'_>,
    ) -> Result<Vec<PackedAs>, Error> {
        let (graph, uploads) = graph(image, name, how);
        let pusher = Pusher::new(self, remote, on);
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
        let packed = |id: &NodeId| solved.output(*id).cloned().flatten();
        let layers: Option<Vec<PackedAs>> = uploads.iter().map(packed).collect();
        layers.ok_or_else(|| Error::new(ErrorKind::Io, "a layer was not uploaded"))
    }
}

/// A blob as an OCI manifest names it, whatever it was called where it came from.
fn described_here(packed: PackedAs) -> Descriptor {
    let media_type = packed.compression.layer_media_type();
    Descriptor {
        media_type: media_type.to_owned(),
        ..packed.descriptor
    }
}

/// The form that is asked for.
pub(crate) fn form(how: &Push) -> Result<Form, Error> {
    let compression = how.compression.unwrap_or_default();
    let form = form_of(compression, how.level, how.force)?;
    let Some(level) = how.level else {
        return Ok(form);
    };
    let what = format!("there is no compression level {level}");
    match levels(form.compression) {
        Some(levels) if levels.contains(&level) => Ok(form),
        Some(levels) => Err(Error::new(ErrorKind::Input, what).hint(format!(
            "levels of this compression are {} to {}",
            levels.start(),
            levels.end()
        ))),
        None => {
            Err(Error::new(ErrorKind::Input, what)
                .hint("layers that are not compressed have no level"))
        }
    }
}

/// What a node that packs is to give.
pub(crate) fn form_of(
    compression: Compression,
    level: Option<i32>,
    exact: bool,
) -> Result<Form, Error> {
    let (compression, layout) = match compression {
        Compression::Gzip => (media::Compression::Gzip, None),
        Compression::Zstd => (media::Compression::Zstd, None),
        Compression::None => (media::Compression::None, None),
        Compression::EStargz => (media::Compression::Gzip, Some(Layout::EStargz)),
        Compression::ZstdChunked => (media::Compression::Zstd, Some(Layout::ZstdChunked)),
        other => {
            let what = format!("the compression `{other:?}`");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    };
    Ok(Form {
        compression,
        layout,
        level,
        exact,
    })
}

/// One node to compress and one to upload for each layer; equal layers are one.
fn graph(image: &ImageRecord, name: &Reference, how: &Push) -> (Graph, Vec<NodeId>) {
    let mut graph = GraphBuilder::new();
    let mut uploads = Vec::new();
    for layer in &image.layers {
        let pack = Op::Pack(Pack {
            layer: Some(*layer),
            compression: how.compression.unwrap_or_default(),
            level: how.level,
            exact: how.force,
        });
        let packed = graph.add(pack, &[], None);
        let upload = Op::Upload(Upload { to: name.clone() });
        uploads.push(graph.add(upload, &[packed], None));
    }
    (graph.finish(), uploads)
}
