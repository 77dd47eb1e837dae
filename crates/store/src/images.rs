//! Images and their names, over the named roots `image/`: one by id for each image, whether it has
//! a name or not, and one for each name. Setting them is a [`Build`](crate::Build)'s.

use std::collections::{BTreeMap, HashSet};

use kiln_durable::Lock;
use kiln_image::{
    Config, Descriptor, Digest, Manifest, Platform, Raw, Reference, media, media::Compression,
};

use crate::{
    Error, ErrorKind, ImageRecord, Store,
    collect::claimed,
    record::{id_of_root, root_of_id, root_of_name},
};

/// The images of a store.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a>(pub(crate) &'a Store);

/// What [`Images::find`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The image.
    pub image: ImageRecord,
    /// The name by which it was found; `None`: by its id.
    pub name: Option<Reference>,
}

/// An image with all its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The image.
    pub image: ImageRecord,
    /// Its names, in order.
    pub names: Vec<Named>,
    /// Whether it has no name and another image was built upon it here, or it is of an index that has
    /// a name.
    pub intermediate: bool,
}

/// A name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: Reference,
    /// The manifest that came with it.
    pub manifest: Option<Descriptor>,
    /// The images for all platforms, where it stands for several.
    pub index: Vec<ImageRecord>,
}

impl Listed {
    /// Whether it has no name, and nothing was built upon it here.
    pub fn dangling(&self) -> bool {
        self.names.is_empty() && !self.intermediate
    }
}

impl Store {
    /// Its images.
    pub fn images(&self) -> Images<'_> {
        Images(self)
    }
}

impl Images<'_> {
    /// The image of a name, exactly. One open and one read.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn get(&self, name: &Reference) -> Result<Option<ImageRecord>, Error> {
        self.at(&root_of_name(name))
    }

    /// The image of a whole id.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn by_id(&self, id: &Digest) -> Result<Option<ImageRecord>, Error> {
        self.at(&root_of_id(id))
    }

    fn at(&self, root: &str) -> Result<Option<ImageRecord>, Error> {
        let found = self.0.refs().get(root)?;
        found.map(|r| ImageRecord::decode(root, &r)).transpose()
    }

    /// The image that a person means by `text`: a name with or without a tag, a name and a digest,
    /// an id, or the beginning of one. A name wins over the beginning of an id.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Ambiguous`](ErrorKind::Ambiguous) when several ids
    /// begin so; [`Invalid`](ErrorKind::Invalid) when it can be neither a name nor an id.
    pub fn find(&self, text: &str) -> Result<Found, Error> {
        if let Some(image) = self.by_whole_id(text)? {
            return Ok(Found { image, name: None });
        }
        let name = text.parse::<Reference>();
        if let Ok(name) = &name {
            if let Some(image) = self.get(name)? {
                let name = Some(name.clone());
                return Ok(Found { image, name });
            }
            if let Some(found) = self.by_digest(name)? {
                return Ok(found);
            }
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !digits.is_empty() && digits.len() <= 64 && digits.bytes().all(is_digit) {
            return self.by_prefix(text, digits);
        }
        name?;
        Err(missing(text))
    }

    /// The same, and of that the image for `platform`, where one is said: nothing but that one, with
    /// the name that it was found by.
    ///
    /// # Errors
    /// Those of [`find`](Self::find); [`NotFound`](ErrorKind::NotFound) when it is for other platforms,
    /// which the hint names.
    pub fn find_for(&self, text: &str, platform: Option<&Platform>) -> Result<Found, Error> {
        let mut found = self.find(text)?;
        let Some(wanted) = platform else {
            return Ok(found);
        };
        let Some(image) = found.image.for_platform(wanted) else {
            let what = format!(
                "image with reference {text} was found but does not provide the specified platform \
                 ({wanted})"
            );
            let have: Vec<String> = found
                .image
                .platforms()
                .iter()
                .map(ToString::to_string)
                .collect();
            let hint = format!("it is here for {}", have.join(", "));
            return Err(Error::new(ErrorKind::NotFound, what).hint(hint));
        };
        found.image = image.alone();
        Ok(found)
    }

    fn by_whole_id(&self, text: &str) -> Result<Option<ImageRecord>, Error> {
        let id = text.parse().or_else(|_| format!("sha256:{text}").parse());
        id.ok().map_or(Ok(None), |id| self.by_id(&id))
    }

    /// `name@digest`: the digest is that of the manifest with which a name of the same repository
    /// came, or the image id.
    fn by_digest(&self, wanted: &Reference) -> Result<Option<Found>, Error> {
        let Some(digest) = wanted.digest() else {
            return Ok(None);
        };
        let bare = wanted.with_digest(digest);
        if let Some(image) = self.get(&bare)? {
            let name = Some(bare);
            return Ok(Some(Found { image, name }));
        }
        let prefix = format!("image/{}/{}", wanted.registry(), wanted.repository());
        for (root, found) in self.0.refs().list(&prefix)? {
            let Some(name) = name_of_root(&root) else {
                continue;
            };
            let image = ImageRecord::decode(&root, &found)?;
            let same = name.repository() == wanted.repository();
            let manifest = image.manifest.as_ref().map(|m| m.digest);
            if same && (manifest == Some(digest) || image.id == digest) {
                let name = Some(name);
                return Ok(Some(Found { image, name }));
            }
        }
        Ok(None)
    }

    fn by_prefix(&self, text: &str, digits: &str) -> Result<Found, Error> {
        let wanted = format!("image/sha256:{digits}");
        let mut found = Vec::new();
        for root in self.0.refs().names(&wanted)? {
            found.extend(self.at(&root)?);
        }
        match &mut found[..] {
            [] => Err(missing(text)),
            [_] => Ok(Found {
                image: found.remove(0),
                name: None,
            }),
            several => {
                let ids: Vec<String> = several
                    .iter()
                    .map(|i| i.id.hex()[..20].to_owned())
                    .collect();
                Err(Error::new(
                    ErrorKind::Ambiguous,
                    format!("find one image `{text}`: {} ids begin so", ids.len()),
                )
                .hint(format!("they are: {}", ids.join(", "))))
            }
        }
    }

    /// Every image with its names, in the order of their ids.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged), naming what is.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut images: BTreeMap<Digest, Listed> = BTreeMap::new();
        let mut of_index: HashSet<Digest> = HashSet::new();
        for (root, found) in self.0.refs().list("image/")? {
            let image = ImageRecord::decode(&root, &found)?;
            let (manifest, index) = (image.manifest.clone(), image.index.clone());
            let image = image.alone();
            let listed = images.entry(image.id).or_insert_with(|| Listed {
                image,
                names: Vec::new(),
                intermediate: false,
            });
            if let Some(name) = name_of_root(&root) {
                of_index.extend(index.iter().map(|image| image.id));
                listed.names.push(Named {
                    name,
                    manifest,
                    index,
                });
            }
        }
        let parents: HashSet<Digest> = images.values().filter_map(|l| l.image.parent).collect();
        let mut listed: Vec<Listed> = images.into_values().collect();
        for image in &mut listed {
            let id = &image.image.id;
            let below = parents.contains(id) || of_index.contains(id);
            image.intermediate = image.names.is_empty() && below;
            image.names.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(listed)
    }

    /// The config of an image.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`Damaged`](ErrorKind::Damaged).
    pub fn config(&self, image: &ImageRecord) -> Result<Raw<Config>, Error> {
        Ok(Raw::parse(self.0.blobs().read(&image.id)?)?)
    }

    /// Takes a name away, and gives the image that had it. The image stays, dangling if that was
    /// its last name.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_name(&self, name: &Reference) -> Result<Option<ImageRecord>, Error> {
        let image = self.get(name)?;
        self.0.refs().remove(&root_of_name(name))?;
        Ok(image)
    }

    /// Removes an image with all its names; whether it was there. Its blobs and layers go with
    /// the next collection, unless something else keeps them.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove(&self, id: &Digest) -> Result<bool, Error> {
        let mut removed = false;
        for (root, found) in self.0.refs().list("image/")? {
            if id_of_root(&root).is_none() && ImageRecord::decode(&root, &found)?.id == *id {
                removed |= self.0.refs().remove(&root)?;
            }
        }
        Ok(self.0.refs().remove(&root_of_id(id))? || removed)
    }

    /// Removes the dangling images that `which` picks, and what is left dangling by that, but none
    /// that somebody is just about to name. Gives them.
    ///
    /// # Errors
    /// What the system said.
    pub fn prune(&self, which: &dyn Fn(&ImageRecord) -> bool) -> Result<Vec<ImageRecord>, Error> {
        // Names and records are not written meanwhile.
        let _alone = Lock::exclusive(&self.0.layout().lock("collect"))?;
        let wanted: HashSet<Digest> = claimed(self.0)?.into_iter().collect();
        let mut pruned = Vec::new();
        loop {
            let list = self.list()?;
            let dangling = list.into_iter().filter(Listed::dangling).map(|l| l.image);
            let round: Vec<ImageRecord> = dangling
                .filter(|image| !wanted.contains(&image.id) && which(image))
                .collect();
            if round.is_empty() {
                return Ok(pruned);
            }
            for image in &round {
                self.0.refs().remove(&root_of_id(&image.id))?;
            }
            pruned.extend(round);
        }
    }

    /// The manifest of an image with all layers in one format; or the layers, by diff id, of
    /// which there is no such blob here.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the store does not know a layer, or lacks the config.
    pub fn manifest_for(
        &self,
        image: &ImageRecord,
        compression: Compression,
    ) -> Result<Result<Raw<Manifest>, Vec<Digest>>, Error> {
        let (mut layers, mut lacking) = (Vec::new(), Vec::new());
        for diff_id in &image.layers {
            match self.0.layers().packed(diff_id, compression)? {
                Some(found) => layers.push(Descriptor::new(
                    compression.layer_media_type(),
                    found.descriptor.digest,
                    found.descriptor.size,
                )),
                None => lacking.push(*diff_id),
            }
        }
        if !lacking.is_empty() {
            return Ok(Err(lacking));
        }
        let config = self.config(image)?.descriptor(media::CONFIG);
        Ok(Ok(Raw::new(Manifest::new(config, layers))))
    }
}

/// The name that a root `image/…` is for; `None` for one by id.
pub(crate) fn name_of_root(root: &str) -> Option<Reference> {
    match id_of_root(root) {
        Some(_) => None,
        None => root.strip_prefix("image/")?.parse().ok(),
    }
}

fn missing(text: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such image: `{text}`"))
}
