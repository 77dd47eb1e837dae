//! Base images: what their names stand for, their configs, and, when somebody stands on them, their
//! layers. What the store knows by name is used as it is, unless the request says otherwise.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kiln_image::{
    Config, Descriptor, Digest, Index, Manifest, Platform, Progress, Raw, Reference, Select,
    Source, Taken, copy, media,
};
use kiln_registry::Client;
use kiln_store::Store;

use crate::{Error, ErrorKind, LayoutImage, Named, Request};

/// A base image that was looked up.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// What it is: the digest of its manifest, of an image that has none the image id.
    pub(crate) digest: Digest,
    /// Its config.
    pub(crate) config: Raw<Config>,
    /// The image id.
    pub(crate) id: Digest,
    /// Where its layers come from, when they are not here.
    from: Option<From>,
    name: Reference,
    /// For which platform it was asked for.
    platform: Platform,
}

/// Where the layers of a base image come from.
#[derive(Clone, Debug)]
enum From {
    /// A registry: a name with the digest.
    Registry(Reference),
    /// A layout that the request names.
    Layout(LayoutImage),
}

/// Looks base images up, each once.
pub(crate) struct Bases<'a> {
    pub(crate) store: &'a Store,
    pub(crate) client: &'a (dyn Fn() -> Client + Sync),
    pub(crate) pull: bool,
    /// Images that the request brings along.
    layouts: Vec<LayoutImage>,
    /// Holds what was found until the build itself does.
    hold: kiln_store::Build,
    found: Mutex<HashMap<Digest, Base>>,
}

impl<'a> Bases<'a> {
    pub(crate) fn new(
        store: &'a Store,
        client: &'a (dyn Fn() -> Client + Sync),
        request: &Request,
    ) -> Result<Self, Error> {
        let layouts = request.contexts.values().filter_map(|named| match named {
            Named::Layout(image) => Some(image.clone()),
            _ => None,
        });
        let hold = store.begin()?;
        Ok(Self {
            store,
            client,
            pull: request.settings.pull,
            layouts: layouts.collect(),
            hold,
            found: Mutex::default(),
        })
    }

    /// What `name` stands for on `platform`. `asked` is called when a registry has to be asked.
    pub(crate) fn resolve(
        &self,
        name: &Reference,
        platform: &Platform,
        asked: &dyn Fn(),
    ) -> Result<Base, Error> {
        let layout = self.layouts.iter().find(|image| image.reference() == name);
        let local = match self.pull || layout.is_some() {
            true => None,
            false => self.local(name, platform)?,
        };
        let base = match (local, layout) {
            (Some(base), _) => base,
            (None, Some(image)) => {
                let from = From::Layout(image.clone());
                look_up(image.source(), from, name, platform)?
            }
            (None, None) => {
                asked();
                let remote = (self.client)().repository(name);
                look_up(&remote, From::Registry(name.clone()), name, platform)
                    .map_err(|e| self.for_others(e, name, platform))?
            }
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(base.digest, base.clone());
        Ok(base)
    }

    /// What to say when a registry does not give an image that is here, but for other platforms.
    fn for_others(&self, e: Error, name: &Reference, platform: &Platform) -> Error {
        let here = self.store.images().get(name).ok().flatten();
        let Some(here) = here.filter(|image| image.for_platform(platform).is_none()) else {
            return e;
        };
        let have: Vec<String> = here.platforms().iter().map(ToString::to_string).collect();
        let what = format!(
            "`{}` is here for {}, and not for {platform}",
            name.familiar(),
            have.join(", ")
        );
        Error::new(e.kind(), what).because(e).hint(format!(
            "`--platform={}` takes what is here; `kiln load` brings an image for {platform}",
            have[0]
        ))
    }

    fn local(&self, name: &Reference, platform: &Platform) -> Result<Option<Base>, Error> {
        let images = self.store.images();
        let Some(record) = images.get(name)? else {
            return Ok(None);
        };
        let Some(record) = record.for_platform(platform) else {
            return Ok(None);
        };
        // Named before it is relied on: a collection between here and the first step takes nothing.
        let mut keeps = record.layers.clone();
        keeps.extend([record.id]);
        keeps.extend(record.manifest.as_ref().map(|m| m.digest));
        if !self.hold.keep(&keeps)?.is_empty() && images.get(name)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Base {
            digest: record.manifest.as_ref().map_or(record.id, |m| m.digest),
            config: images.config(record)?,
            id: record.id,
            from: None,
            name: name.clone(),
            platform: platform.clone(),
        }))
    }

    /// The diff ids of a base image; its layers are in the store afterwards.
    pub(crate) fn layers(
        &self,
        digest: &Digest,
        lease: &kiln_store::Build,
        on: &(dyn Fn(&Descriptor, Option<u64>) + Sync),
    ) -> Result<Vec<Digest>, Error> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(base) = found.get(digest).cloned() else {
            let what = format!("the base image `{digest}` was not looked up");
            return Err(Error::new(ErrorKind::NotFound, what));
        };
        drop(found);
        let layers = base.config.rootfs.diff_ids.clone();
        if let Some(from) = &base.from {
            let remote;
            let (source, from): (&dyn Source, _) = match from {
                From::Registry(name) => {
                    remote = (self.client)().repository(name);
                    (&remote, name)
                }
                From::Layout(image) => (image.source(), image.reference()),
            };
            // An image of a layout has no name of its own here.
            let names = match &base.from {
                Some(From::Registry(_)) => vec![base.name.clone()],
                _ => Vec::new(),
            };
            let select = Select::Platform(base.platform.clone());
            copy(source, &lease.sink(), from, &names, &select, &|p| match p {
                Progress::Bytes(blob, bytes) => on(blob, Some(bytes)),
                Progress::Taken(blob, Taken::Copied) => on(blob, None),
                _ => {}
            })?;
        }
        let missing = lease.keep(&layers)?;
        if let Some(first) = missing.first() {
            let what = format!("layer `{first}` of `{}` is missing", base.name.familiar());
            return Err(Error::new(ErrorKind::NotFound, what)
                .hint("`kiln system check` tells what else is; pull or build the image again"));
        }
        Ok(layers)
    }

    /// When a base that was looked up was made.
    pub(crate) fn created(&self, digest: &Digest) -> Option<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(digest)?.config.created.clone()
    }

    /// The image id of a base that was looked up.
    pub(crate) fn id(&self, digest: &Digest) -> Option<Digest> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(digest).map(|base| base.id)
    }
}

/// Manifest and config only.
fn look_up(
    source: &dyn Source,
    from: From,
    name: &Reference,
    platform: &Platform,
) -> Result<Base, Error> {
    let mut descriptor = source.resolve(name)?;
    if media::is_index(&descriptor.media_type) {
        let index: Raw<Index> = Raw::parse(source.document(&descriptor)?)?;
        descriptor = index.for_platform(platform)?.clone();
    }
    let manifest: Raw<Manifest> = Raw::parse(source.document(&descriptor)?)?;
    let config: Raw<Config> = Raw::parse(source.document(&manifest.config)?)?;
    Ok(Base {
        digest: descriptor.digest,
        id: config.digest(),
        config,
        from: Some(match from {
            From::Registry(name) => From::Registry(name.with_digest(descriptor.digest)),
            layout => layout,
        }),
        name: name.clone(),
        platform: platform.clone(),
    })
}
