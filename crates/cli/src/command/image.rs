//! `kiln image tree` and `kiln image big`: where the bytes of an image are. What both know of an
//! image: its layers, by which instruction each came to be, and what is in them. Nothing is
//! unpacked.

pub(crate) mod big;
mod json;
mod outline;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod words;

use kiln_build::{
    Builder,
    image::Config,
    layer::{Root, usage::Usage},
};
use serde_json::Value;

use crate::{failure::Failure, template::Template};

/// An image, and what is known of its layers.
struct Image {
    /// Its name, or its id where it was found by that.
    name: String,
    id: String,
    /// The bottom first.
    layers: Vec<Layer>,
}

/// By what a layer came to be.
#[derive(Clone, Debug, Default)]
struct Layer {
    diff_id: String,
    /// The instruction, as `kiln history` shows it; empty where nothing is known.
    by: String,
    created: Option<String>,
    comment: String,
}

impl Image {
    /// The image that a person means by `text`, and the files of its layers.
    fn find(builder: &Builder, text: &str) -> Result<(Self, Root), Failure> {
        let images = builder.store().images();
        let found = images.find(text)?;
        let config = images.config(&found.image)?;
        let root = builder.roots().root(&found.image.layers);
        let root = root.map_err(kiln_build::Error::from)?;
        let id = found.image.id;
        let image = Self {
            name: found.name.map_or_else(|| id.short(), |n| n.familiar()),
            id: id.to_string(),
            layers: layers(&config, found.image.layers.iter().map(ToString::to_string)),
        };
        Ok((image, root))
    }
}

/// What the history says of each layer.
fn layers(config: &Config, diff_ids: impl Iterator<Item = String>) -> Vec<Layer> {
    let mut history = config.history.iter().filter(|h| !h.empty_layer);
    let layer = |diff_id| {
        let Some(entry) = history.next() else {
            return Layer {
                diff_id,
                ..Layer::default()
            };
        };
        Layer {
            diff_id,
            by: entry.created_by.clone().unwrap_or_default(),
            created: entry.created.clone(),
            comment: entry.comment.clone().unwrap_or_default(),
        }
    };
    diff_ids.map(layer).collect()
}

/// Where the bytes of a root are.
fn usage(root: &Root) -> Usage<'_> {
    let trees: Vec<_> = root.layers().iter().map(|l| l.files.tree()).collect();
    Usage::of(&trees)
}

/// `json`, or a template that is applied to the same value.
fn formatted(value: &Value, format: &str) -> Result<String, Failure> {
    match format {
        "json" | "{{json .}}" => Ok(format!("{value}\n")),
        template => Ok(Template::parse(template)?.apply(value)? + "\n"),
    }
}
