//! Where a build goes, and what is put on it on the way: labels, annotations, names. As data: how each
//! is carried out is in [`export`](crate::export). Refuses to know flags and their spellings.

use std::{fmt, io, path::PathBuf, sync::Arc};

use kiln_image::{Platform, Reference};

use crate::{Error, Push};

/// Where a build goes.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Labels of the image, over those that the Dockerfile gives it; the last of a name counts.
    pub labels: Vec<(String, String)>,
    /// Notes in the documents of every image that goes out.
    pub annotations: Vec<Annotation>,
    /// Make one layer of all that are upon the base.
    pub squash: bool,
    /// Leave the times in layers as they are, although there is an epoch.
    pub keep_times: bool,
    /// The places. None: into the store.
    pub exports: Vec<Export>,
}

/// A note on a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// On which.
    pub on: Annotated,
    /// Only for this platform.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// The documents that can have notes (OCI image-spec, annotations.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotated {
    /// The manifest.
    Manifest,
    /// The index that names the manifests of several platforms.
    Index,
    /// What an index says of the manifest.
    ManifestDescriptor,
    /// What the layout's own index says of the index.
    IndexDescriptor,
}

/// One place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Export {
    /// Images with names, in the store or a registry.
    Image(ImageExport),
    /// One file that is an archive of images, or a folder like one.
    Archive(ArchiveExport),
    /// The files of the image.
    Files(FilesExport),
    /// Nowhere: what was made is only remembered.
    Nothing,
}

impl Export {
    /// Whether an image comes of it, which has an id and perhaps names.
    pub fn is_image(&self) -> bool {
        matches!(self, Export::Image(_) | Export::Archive(_))
    }
}

/// Images with names, in the store or a registry.
#[derive(Clone, Debug)]
pub struct ImageExport {
    /// Names beside the tags of the request.
    pub names: Vec<Reference>,
    /// Names in the store that have a digest.
    pub with_digest: WithDigest,
    /// Whether it is put into the store.
    pub store: bool,
    /// Whether its layers are made ready to be mounted now, and not by who first runs it.
    pub unpack: bool,
    /// Whether it is brought to the registries of its names.
    pub push: Option<PushTo>,
    /// How it looks there.
    pub form: ImageForm,
}

/// Names in the store that have the digest of the image: of its manifest, where one went out, else the
/// image id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithDigest {
    /// Each name with the digest as well.
    pub canonical: bool,
    /// This name with the digest.
    pub dangling: Option<Reference>,
}

/// How an image is brought to a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushTo {
    /// Under its digest only: tags there stay what they are.
    pub by_digest: bool,
    /// Whoever the registry is: certificates are not verified, and plain HTTP is spoken.
    pub insecure: bool,
}

/// How an image looks outside the store.
#[derive(Clone, Debug, Default)]
pub struct ImageForm {
    /// How its layers are compressed.
    pub packed: Push,
    /// With docker's media types instead of those of OCI.
    pub docker_types: bool,
    /// Notes for this output alone.
    pub annotations: Vec<Annotation>,
}

/// One file that is an archive of images, or a folder like one.
#[derive(Clone, Debug)]
pub struct ArchiveExport {
    /// Where to.
    pub to: Destination,
    /// Names beside the tags of the request.
    pub names: Vec<Reference>,
    /// How the image looks in it.
    pub form: ImageForm,
}

/// Where an archive goes.
#[derive(Clone)]
pub enum Destination {
    /// A file, which is there whole or not at all.
    File(PathBuf),
    /// A folder that is an OCI layout: what is there already stays.
    Layout(PathBuf),
    /// Somebody who takes a stream: standard output, another engine.
    Stream(Arc<dyn Receiver>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::File(path) => f.debug_tuple("File").field(path).finish(),
            Destination::Layout(path) => f.debug_tuple("Layout").field(path).finish(),
            Destination::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// What writes an archive to a stream.
pub type Writing<'a> = &'a mut dyn FnMut(&mut (dyn io::Write + Send)) -> Result<(), Error>;

/// Takes an archive as a stream.
pub trait Receiver: Send + Sync {
    /// Has `write` write the archive, and waits until whoever reads it has done what it is there for.
    ///
    /// # Errors
    /// What `write` gives, and what the reader has to say.
    fn receive(&self, write: Writing<'_>) -> Result<(), Error>;
}

/// The files of the image.
#[derive(Clone, Debug)]
pub struct FilesExport {
    /// Where to.
    pub to: FilesTo,
    /// A folder for each platform, `linux_amd64` and so on; `None`: where there are several.
    pub split: Option<bool>,
}

/// Where files go.
#[derive(Clone, Debug)]
pub enum FilesTo {
    /// Into this folder, which is made where it is missing. They belong to who builds.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Remove what is there and not in the image.
        delete: bool,
    },
    /// A tar of them, with owners. Not a layout.
    Tar(Destination),
}
