//! Image records: what the store remembers of an image beside its documents.

use kiln_image::{Config, Descriptor, Digest, Platform, Raw, Reference};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Ref, Store};

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The image id: the digest of its config.
    pub id: Digest,
    /// The manifest that it was pulled or loaded with, or last packed as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Descriptor>,
    /// Its layers by diff id, bottom first.
    pub layers: Vec<Digest>,
    /// When it was made (RFC 3339), as its config says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// How many bytes the files of its layers have together.
    pub size: u64,
    /// What it is for.
    pub platform: Platform,
    /// The image that it was built upon, where a build here made both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    /// The images for all platforms, this one among them, where the name stands for an index of
    /// several; they have no index of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index: Vec<ImageRecord>,
}

impl ImageRecord {
    /// The record of the image with this config. Reads the layers' facts for the size.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the store does not know one of its layers.
    pub fn new(
        store: &Store,
        config: &Raw<Config>,
        manifest: Option<Descriptor>,
        parent: Option<Digest>,
    ) -> Result<Self, Error> {
        let layers = config.rootfs.diff_ids.clone();
        let mut size = 0;
        for diff_id in &layers {
            size += store.layers().known(diff_id)?.facts.content;
        }
        Ok(Self {
            id: config.digest(),
            manifest,
            layers,
            created: config.created.clone(),
            size,
            platform: config.platform(),
            parent,
            index: Vec::new(),
        })
    }

    /// What a root with this record keeps.
    pub(crate) fn keeps(&self) -> Vec<Digest> {
        let mut keeps = vec![self.id];
        keeps.extend(self.manifest.as_ref().map(|m| m.digest));
        keeps.extend_from_slice(&self.layers);
        for digest in self.index.iter().flat_map(Self::keeps) {
            if !keeps.contains(&digest) {
                keeps.push(digest);
            }
        }
        keeps
    }

    /// The same image as what stands for an index of `images`, of which it is one.
    #[must_use]
    pub fn of_index(mut self, images: &[Self]) -> Self {
        self.index = images.iter().map(Self::alone).collect();
        self
    }

    /// The same without the others of its index.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self {
            index: Vec::new(),
            ..self.clone()
        }
    }

    /// The image for `platform`: this one or one of its index; the nearest that serves it.
    pub fn for_platform(&self, platform: &Platform) -> Option<&Self> {
        let all = || self.index.iter().chain([self]);
        let wanted = platform.fallbacks();
        wanted
            .iter()
            .find_map(|one| all().find(|image| image.platform.serves(one)))
    }

    /// What it is for, or what the images of its index are for, each once.
    pub fn platforms(&self) -> Vec<&Platform> {
        let mut all: Vec<&Platform> = Vec::new();
        let images = match &self.index[..] {
            [] => std::slice::from_ref(self),
            several => several,
        };
        for image in images {
            if !all.contains(&&image.platform) {
                all.push(&image.platform);
            }
        }
        all
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has string keys and no floats")
    }

    pub(crate) fn decode(name: &str, root: &Ref) -> Result<Self, Error> {
        serde_json::from_slice(&root.value).map_err(|e| {
            let what = format!("read `{name}` in the store: it is not an image record");
            Error::new(ErrorKind::Damaged, what).because(e)
        })
    }
}

/// The root that an image has by its id, with a name or without.
pub(crate) fn root_of_id(id: &Digest) -> String {
    format!("image/{id}")
}

/// The root that an image has by a name.
pub(crate) fn root_of_name(name: &Reference) -> String {
    format!("image/{name}")
}

/// Whether a root `image/…` is one by id; a reference always has a slash, an id none.
pub(crate) fn id_of_root(name: &str) -> Option<Digest> {
    name.strip_prefix("image/")?.parse().ok()
}
