//! Manifests and indexes (OCI image-spec, manifest.md and image-index.md; docker's schema 2 has the
//! same shape). Unknown fields survive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Descriptor, Error, ErrorKind, Platform, media};

/// An image manifest: a config and the layers, bottom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of this document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// Notes by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Fields this crate does not know, kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Manifest {
    /// An OCI manifest of `config` and `layers`.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::MANIFEST.to_owned()),
            config,
            layers,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }
}

/// An index: manifests by platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of this document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// Notes by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Fields this crate does not know, kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Index {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// The manifest for `platform`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), naming the platforms that are there.
    pub fn for_platform(&self, platform: &Platform) -> Result<&Descriptor, Error> {
        for wanted in platform.fallbacks() {
            let of = |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.serves(&wanted));
            if let Some(found) = self.manifests.iter().find(of) {
                return Ok(found);
            }
        }
        if let [only] = &self.manifests[..]
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let have: Vec<String> = self
            .manifests
            .iter()
            .filter_map(|d| d.platform.as_ref())
            .filter(|p| p.os != "unknown")
            .map(ToString::to_string)
            .collect();
        Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "no image for platform `{platform}` (there are: {})",
                have.join(", ")
            ),
        ))
    }
}
