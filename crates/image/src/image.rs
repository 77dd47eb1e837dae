//! An image as a value: a config and the descriptors of its layers. Changing one gives another.

use crate::{Config, Descriptor, Digest, History, Manifest, Platform, Raw, media};

/// An image: nothing but a config and layers, bottom first. Pure: it opens no blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    config: Config,
    layers: Vec<Descriptor>,
}

impl Image {
    /// An image without layers.
    pub fn scratch(platform: &Platform) -> Self {
        Self {
            config: Config::scratch(platform),
            layers: Vec::new(),
        }
    }

    /// An image from a config and the layers that its manifest lists.
    pub fn new(config: Config, layers: Vec<Descriptor>) -> Self {
        Self { config, layers }
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The layers, bottom first.
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// The image with one more layer on top. `diff_id` is the digest of the uncompressed layer.
    #[must_use]
    pub fn with_layer(mut self, layer: Descriptor, diff_id: Digest, history: History) -> Self {
        self.layers.push(layer);
        self.config.rootfs.diff_ids.push(diff_id);
        self.config.history.push(History {
            empty_layer: false,
            ..history
        });
        self
    }

    /// The image with a changed config, and a history entry that says so.
    #[must_use]
    pub fn with_config(mut self, change: impl FnOnce(&mut Config), history: History) -> Self {
        change(&mut self.config);
        self.config.history.push(History {
            empty_layer: true,
            ..history
        });
        self
    }

    /// The config document; its digest is the image id.
    pub fn config_document(&self) -> Raw<Config> {
        Raw::new(self.config.clone())
    }

    /// The image id.
    pub fn id(&self) -> Digest {
        self.config_document().digest()
    }

    /// The manifest document.
    pub fn manifest(&self) -> Raw<Manifest> {
        let config = self.config_document().descriptor(media::CONFIG);
        Raw::new(Manifest::new(config, self.layers.clone()))
    }
}
