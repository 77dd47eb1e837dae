//! The documents of images as they go out: manifests, with docker's media types or those of OCI, an
//! index where there are several platforms, notes on each. And, over the store, a source of them and of
//! their blobs. Refuses to write anything.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read as _},
};

use kiln_image::{
    Config, Descriptor, Digest, Error, ErrorKind, Index, Location, Manifest, Platform, Raw,
    Reference, Source, media,
};
use kiln_store::PackedAs;

use super::{Made, Target, stop::Until};
use crate::{
    Annotated, Annotation, Compression, ImageForm,
    transfer::{form, plain_layer},
};

/// Documents, and where their blobs are.
pub(super) struct Documents<'a> {
    target: &'a Target<'a>,
    /// The manifest, or the index.
    pub(super) root: Descriptor,
    made: HashMap<Digest, Vec<u8>>,
}

/// What is given out for one image.
struct Image {
    config: Raw<Config>,
    layers: Vec<Descriptor>,
}

impl<'a> Documents<'a> {
    /// The documents of `made` in this form. What is not compressed yet and is to be is compressed
    /// now.
    pub(super) fn new(
        target: &'a Target<'a>,
        made: &[Made],
        how: &ImageForm,
    ) -> Result<Self, crate::Error> {
        let annotations = &target.request.outputs.annotations;
        let notes = Notes(annotations.iter().chain(&how.annotations).collect());
        let mut documents = Self {
            target,
            root: Descriptor::new(media::MANIFEST, Digest::sha256(b""), 0),
            made: HashMap::new(),
        };
        let mut manifests = Vec::new();
        for image in made {
            let packed = documents.packed(image, how)?;
            manifests.push(documents.manifest(image, packed, how, &notes));
        }
        documents.root = match <[Descriptor; 1]>::try_from(manifests) {
            Ok([only]) => only,
            Err(several) => documents.index(several, how, &notes),
        };
        Ok(documents)
    }

    /// A name by which the image is asked for here.
    pub(super) fn reference(&self) -> Reference {
        let base: Reference = "localhost/kiln".parse().expect("a constant that is a name");
        base.with_digest(self.root.digest)
    }

    /// The layers of an image in the form that is asked for.
    fn packed(&self, image: &Made, how: &ImageForm) -> Result<Image, crate::Error> {
        let builder = self.target.builder;
        let diff_ids = &image.config.rootfs.diff_ids;
        if how.packed.compression == Some(Compression::None) && !how.packed.force {
            let plain = |diff_id: &Digest| plain_layer(builder.store(), diff_id);
            return Ok(Image {
                config: image.config.clone(),
                layers: diff_ids.iter().map(plain).collect::<Result<_, _>>()?,
            });
        }
        let form = form(&how.packed)?;
        let mut layers: Vec<PackedAs> = Vec::new();
        for diff_id in diff_ids {
            let packed = builder.roots().compressed(diff_id, form)?;
            // A collection that runs meanwhile leaves it here.
            self.target.lease.keep(&[packed.descriptor.digest])?;
            layers.push(packed);
        }
        let inside: Vec<Digest> = diff_ids
            .iter()
            .zip(&layers)
            .map(|(layer, packed)| packed.diff_id(layer))
            .collect();
        let config = match inside == *diff_ids {
            true => image.config.clone(),
            // The tars in the blobs are others: eStargz has its table of contents among the files.
            false => {
                let mut config = Config::clone(&image.config);
                config.rootfs.diff_ids = inside;
                Raw::new(config)
            }
        };
        let described = |packed: PackedAs| Descriptor {
            media_type: packed.compression.layer_media_type().to_owned(),
            ..packed.descriptor
        };
        Ok(Image {
            config,
            layers: layers.into_iter().map(described).collect(),
        })
    }

    fn manifest(
        &mut self,
        made: &Made,
        image: Image,
        how: &ImageForm,
        notes: &Notes<'_>,
    ) -> Descriptor {
        let types = Types(how.docker_types);
        let mut layers = image.layers;
        for layer in &mut layers {
            layer.media_type = types.layer(&layer.media_type).to_owned();
        }
        let config = image.config.descriptor(types.config());
        self.made
            .insert(config.digest, image.config.bytes().to_vec());
        let mut manifest = Manifest::new(config, layers);
        manifest.media_type = Some(types.manifest().to_owned());
        manifest.annotations = notes.of(Annotated::Manifest, Some(&made.platform));
        let manifest = Raw::new(manifest);
        let mut descriptor = manifest.descriptor(types.manifest());
        self.made
            .insert(descriptor.digest, manifest.bytes().to_vec());
        descriptor.annotations = notes.of(Annotated::ManifestDescriptor, Some(&made.platform));
        descriptor.platform = Some(made.platform.clone());
        descriptor
    }

    fn index(
        &mut self,
        manifests: Vec<Descriptor>,
        how: &ImageForm,
        notes: &Notes<'_>,
    ) -> Descriptor {
        let types = Types(how.docker_types);
        let mut index = Index::new(manifests);
        index.media_type = Some(types.index().to_owned());
        index.annotations = notes.of(Annotated::Index, None);
        let index = Raw::new(index);
        let mut descriptor = index.descriptor(types.index());
        self.made.insert(descriptor.digest, index.bytes().to_vec());
        descriptor.annotations = notes.of(Annotated::IndexDescriptor, None);
        descriptor
    }
}

/// The notes of one output.
struct Notes<'a>(Vec<&'a Annotation>);

impl Notes<'_> {
    /// Those on one document. What an index says is of no platform.
    fn of(&self, on: Annotated, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let meant = |note: &&&Annotation| {
            let here = match (&note.platform, platform) {
                (Some(wanted), Some(here)) => wanted == here,
                (Some(_), None) => false,
                (None, _) => true,
            };
            note.on == on && here
        };
        let notes = self.0.iter().filter(meant);
        notes.map(|n| (n.key.clone(), n.value.clone())).collect()
    }
}

/// The media types: docker's, or those of OCI.
struct Types(bool);

impl Types {
    fn manifest(&self) -> &'static str {
        match self.0 {
            true => media::DOCKER_MANIFEST,
            false => media::MANIFEST,
        }
    }

    fn index(&self) -> &'static str {
        match self.0 {
            true => media::DOCKER_INDEX,
            false => media::INDEX,
        }
    }

    fn config(&self) -> &'static str {
        match self.0 {
            true => media::DOCKER_CONFIG,
            false => media::CONFIG,
        }
    }

    fn layer<'t>(&self, oci: &'t str) -> &'t str {
        match (self.0, media::Compression::of_layer(oci)) {
            (true, Some(media::Compression::None)) => media::DOCKER_LAYER,
            (true, Some(media::Compression::Gzip)) => media::DOCKER_LAYER_GZIP,
            (true, Some(media::Compression::Zstd)) => media::DOCKER_LAYER_ZSTD,
            _ => oci,
        }
    }
}

impl Source for Documents<'_> {
    fn resolve(&self, _: &Reference) -> Result<Descriptor, Error> {
        Ok(self.root.clone())
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error> {
        let made = self.made.get(&document.digest).cloned();
        made.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("`{}`", document.digest)))
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn io::Read + Send>> {
        let blobs = self.target.builder.store().blobs();
        if blobs.has(&blob.digest) {
            let mut file = blobs.open(&blob.digest).map_err(Error::from)?;
            io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
            return Ok(Box::new(Until::new(file, self.target.cancel)));
        }
        let packed = self.target.builder.roots().packed(&blob.digest);
        let mut tar = packed.map_err(|e| io::Error::other(e.to_string()))?;
        io::copy(&mut (&mut tar).take(from), &mut io::sink())?;
        Ok(Box::new(Until::new(tar, self.target.cancel)))
    }

    fn locations(&self, blob: &Descriptor) -> Vec<Location> {
        self.target.builder.store().source().locations(blob)
    }
}
