//! What was built goes where it is to go: into the store, to registries, into archives, as files. Each
//! place has a module. Refuses to build: it is given images that are whole.

mod archive;
mod documents;
mod files;
mod folder;
mod image;
mod stop;

use kiln_graph::Cancel;
use kiln_image::{Config, Descriptor, Digest, Platform, Raw, Reference};

use crate::{
    Annotated, Annotation, Builder, Built, Error, ErrorKind, Event, Export, FilesTo, ImageExport,
    ImageForm, Report, Request, WithDigest,
};

pub(crate) use image::PushedLayers;

/// An image that was built: its layers are in the store, the image itself is not.
pub(crate) struct Made {
    /// What it is for.
    pub(crate) platform: Platform,
    /// Its config.
    pub(crate) config: Raw<Config>,
    /// The image it was built upon, where those of single steps are kept.
    pub(crate) parent: Option<Digest>,
    /// What is in a registry already of its layers.
    pub(crate) pushed: PushedLayers,
}

/// A build whose images are made.
pub(crate) struct Target<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a Request,
    pub(crate) lease: &'a kiln_store::Build,
    pub(crate) epoch: Option<i64>,
    pub(crate) cancel: &'a Cancel,
    pub(crate) on: &'a (dyn Fn(Event<'_>) + Sync),
}

/// Refuses, before anything is built, what could not be carried out after it.
pub(crate) fn check(request: &Request) -> Result<(), Error> {
    let outputs = &request.outputs;
    let of_outputs = outputs.exports.iter().flat_map(|export| match export {
        Export::Image(image) => &image.form.annotations[..],
        Export::Archive(archive) => &archive.form.annotations,
        Export::Files(_) | Export::Nothing => &[],
    });
    let of_index =
        |note: &&Annotation| matches!(note.on, Annotated::Index | Annotated::IndexDescriptor);
    let found = outputs.annotations.iter().chain(of_outputs).find(of_index);
    let Some(note) = found.filter(|_| request.platforms().len() < 2) else {
        return Ok(());
    };
    let what = format!(
        "the annotation `{}` is for an index, and a build for one platform has none",
        note.key
    );
    Err(Error::new(ErrorKind::Input, what)
        .hint("build for several platforms, or leave `index` out: the manifest has it then"))
}

/// Brings `made`, one image for each platform, to all places that are asked for. Names in the store
/// are set when the build is sealed.
pub(crate) fn export(target: &Target<'_>, made: &[Made]) -> Result<Built, Error> {
    let host = Platform::host();
    let own = made.iter().find(|image| image.platform.serves(&host));
    let Some(first) = own.or(made.first()) else {
        return Err(Error::new(ErrorKind::Input, "a build without an image"));
    };
    let mut built = Built {
        id: first.config.digest(),
        names: Vec::new(),
        manifest: None,
        pushed: Vec::new(),
        is_image: false,
    };
    let outputs = &target.request.outputs;
    if outputs.exports.is_empty() {
        let store = ImageExport {
            names: Vec::new(),
            with_digest: WithDigest::default(),
            store: true,
            unpack: false,
            push: None,
            form: ImageForm::default(),
        };
        target.image(&store, made, &mut built)?;
    }
    for export in &outputs.exports {
        built.is_image |= export.is_image();
        target.one(export, made, &mut built).map_err(|e| {
            // Whatever broke off, this is why.
            match target.cancel.is_canceled() {
                true => Error::new(ErrorKind::Canceled, "canceled"),
                false => e,
            }
        })?;
    }
    built.is_image |= outputs.exports.is_empty();
    Ok(built)
}

impl Target<'_> {
    /// Brings the images to one place.
    fn one(&self, export: &Export, made: &[Made], built: &mut Built) -> Result<(), Error> {
        match export {
            Export::Image(image) => self.image(image, made, built),
            Export::Archive(archive) => self.archive(archive, made, built),
            Export::Files(files) => match &files.to {
                FilesTo::Folder { path, delete } => self.folder(path, *delete, files.split, made),
                FilesTo::Tar(to) => self.tar(to, files.split, made),
            },
            Export::Nothing => Ok(()),
        }
    }

    /// The names of an image: the tags of the request, and those of the output.
    fn names(&self, own: &[Reference]) -> Vec<Reference> {
        let mut names: Vec<Reference> = Vec::new();
        for name in self.request.tags.iter().chain(own) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Tells of something that does not stop the build.
    fn warn(&self, message: String, help: Option<&str>) {
        (self.on)(Event::Warning(&Report {
            error: false,
            code: "output",
            message,
            help: help.map(str::to_owned),
            place: None,
            lines: None,
        }));
    }
}

impl Built {
    /// Remembers what the image is called by those who read the documents that went out.
    fn learn(&mut self, manifest: &Descriptor) {
        self.manifest = Some(manifest.clone());
    }
}
