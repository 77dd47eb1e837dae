//! An image with names: in the store, and in the registries of its names.

use std::collections::HashSet;

use kiln_image::{
    Descriptor, Digest, Location, Open, Platform, Progress, Reference, Select, Sink, Taken, copy,
};
use kiln_registry::{Client, Remote};
use kiln_store::Store;

use super::{Made, Target, documents::Documents};
use crate::{Built, Error, ErrorKind, Event, ImageExport, PushTo, Sent, transfer::learn};

/// The blobs that were brought to registries while the build went on: repository and digest.
pub(crate) type PushedLayers = HashSet<(String, Digest)>;

impl Target<'_> {
    pub(super) fn image(
        &self,
        export: &ImageExport,
        made: &[Made],
        built: &mut Built,
    ) -> Result<(), Error> {
        let names = self.names(&export.names);
        if let Some(to) = &export.push {
            self.push(export, to, &names, made, built)?;
        }
        if export.store {
            let names = self.store(export, names, made, built)?;
            for name in names {
                if !built.names.contains(&name) {
                    built.names.push(name);
                }
            }
        }
        if export.unpack {
            for image in made {
                let layers = &image.config.rootfs.diff_ids;
                for (count, layer) in layers.iter().enumerate() {
                    self.builder.roots().unpacked(layer, &layers[..count])?;
                }
            }
        }
        Ok(())
    }

    /// Puts the images into the store; the names are set when the build is sealed.
    fn store(
        &self,
        export: &ImageExport,
        mut names: Vec<Reference>,
        made: &[Made],
        built: &Built,
    ) -> Result<Vec<Reference>, Error> {
        let mut records = Vec::new();
        for image in made {
            records.push(self.lease.put_image(&image.config, None, image.parent)?);
        }
        // Who does not say for which platform means this machine's.
        let host = Platform::host();
        let own = records.iter().find(|r| r.platform.serves(&host));
        let Some(own) = own.or(records.first()) else {
            return Ok(names);
        };
        let went = built.manifest.as_ref().filter(|_| export.push.is_some());
        let digest = went.map_or(own.id, |manifest| manifest.digest);
        let more = &export.with_digest;
        let canonical = names.iter().filter(|_| more.canonical);
        let with_digest = canonical
            .chain(&more.dangling)
            .map(|n| n.with_digest(digest));
        names.extend(with_digest.collect::<Vec<_>>());
        let named = match &records[..] {
            [_] => own.clone(),
            several => own.clone().of_index(several),
        };
        names
            .iter()
            .try_for_each(|name| self.lease.name(name, &named))?;
        Ok(names)
    }

    fn push(
        &self,
        export: &ImageExport,
        to: &PushTo,
        names: &[Reference],
        made: &[Made],
        built: &mut Built,
    ) -> Result<(), Error> {
        if names.is_empty() {
            return Err(
                Error::new(ErrorKind::Input, "tag is needed when pushing to registry")
                    .hint("give it with `-t REGISTRY/NAME`, or `name=` of the output"),
            );
        }
        let documents = Documents::new(self, made, &export.form)?;
        built.learn(&documents.root);
        let client = self.client(to);
        for name in names {
            let remote = Known {
                remote: client.repository(name),
                store: self.builder.store(),
                name,
                made,
            };
            let tags = match to.by_digest {
                true => &[][..],
                false => std::slice::from_ref(name),
            };
            let what = documents.reference();
            let told = |p: Progress<'_>| self.tell_pushing(&remote, &p);
            copy(&documents, &remote, &what, tags, &Select::All, &told)?;
            built.pushed.push(match to.by_digest {
                true => name.with_digest(documents.root.digest),
                false => name.clone(),
            });
        }
        Ok(())
    }

    fn tell_pushing(&self, to: &Known<'_>, progress: &Progress<'_>) {
        let (blob, how) = match progress {
            Progress::Bytes(blob, bytes) => (*blob, Sent::Bytes(*bytes)),
            // What went out beside the build was told of then.
            Progress::Taken(blob, how) if !to.went(blob) => (*blob, Sent::Done(*how)),
            _ => return,
        };
        let to = to.name;
        (self.on)(Event::Pushing { to, blob, how });
    }

    pub(crate) fn client(&self, to: &PushTo) -> Client {
        self.builder.client_for(to.insecure)
    }
}

/// A repository, of which it is known what was brought there while the build went on.
struct Known<'a> {
    remote: Remote,
    store: &'a Store,
    name: &'a Reference,
    made: &'a [Made],
}

impl Known<'_> {
    fn went(&self, blob: &Descriptor) -> bool {
        let key = (self.name.familiar_repository(), blob.digest);
        self.made.iter().any(|image| image.pushed.contains(&key))
    }
}

impl Sink for Known<'_> {
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, kiln_image::Error> {
        match self.went(blob) {
            true => Ok(Taken::Existed),
            false => {
                let taken = self.remote.put_blob(blob, open, known, progress)?;
                learn(self.store, &self.remote, &blob.digest);
                Ok(taken)
            }
        }
    }

    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), kiln_image::Error> {
        self.remote.put_document(document, bytes)
    }

    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), kiln_image::Error> {
        self.remote.name(document, name)
    }
}
