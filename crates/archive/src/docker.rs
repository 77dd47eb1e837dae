//! Docker archives of the older style: `manifest.json`, configs, and layers as tars. They have no
//! OCI manifests, so these are made here, from what the archive says, always the same.

use std::{collections::HashMap, io, io::Read};

use kiln_image::{
    Config, Descriptor, Digest, Error, ErrorKind, HashingWriter, Manifest, Raw, Reference, media,
    media::Compression,
};
use serde::{Deserialize, Serialize};

use crate::{
    files::{Files, absent},
    reader::Entry,
};

/// An image in `manifest.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    pub(crate) config: String,
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) layers: Vec<String>,
}

/// What `manifest.json` comes to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) images: Vec<Entry>,
    /// The manifests that were made.
    pub(crate) documents: HashMap<Digest, Vec<u8>>,
    /// Where configs and layers lie.
    pub(crate) paths: HashMap<Digest, String>,
}

/// Reads the images of `manifest.json`.
pub(crate) fn read(files: &Files, manifest: Vec<u8>) -> Result<Found, Error> {
    let items: Raw<Vec<Item>> =
        Raw::parse(manifest).map_err(|e| invalid(format!("`manifest.json`: {e}")))?;
    let mut found = Found::default();
    for item in items.value() {
        let manifest = found.manifest(files, item)?;
        let descriptor = manifest.descriptor(media::MANIFEST);
        found
            .documents
            .insert(descriptor.digest, manifest.bytes().to_vec());
        let mut names = Vec::new();
        for tag in item.repo_tags.iter().flatten() {
            names.push(tag.parse::<Reference>()?);
        }
        let known = found
            .images
            .iter_mut()
            .find(|e| e.descriptor.digest == descriptor.digest);
        match known {
            Some(entry) => entry.names.extend(names),
            None => found.images.push(Entry {
                names,
                tag: None,
                descriptor,
            }),
        }
    }
    Ok(found)
}

impl Found {
    fn manifest(&mut self, files: &Files, item: &Item) -> Result<Raw<Manifest>, Error> {
        let bytes = files
            .document(&item.config)?
            .ok_or_else(|| missing(&item.config))?;
        let config: Raw<Config> = Raw::parse(bytes)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != item.layers.len() {
            return Err(invalid(format!(
                "`{}` knows {} layers, and `manifest.json` {}",
                item.config,
                diff_ids.len(),
                item.layers.len()
            )));
        }
        let mut layers = Vec::new();
        for (path, diff_id) in item.layers.iter().zip(diff_ids) {
            let layer = layer(files, path, *diff_id)?;
            self.paths.insert(layer.digest, path.clone());
            layers.push(layer);
        }
        let described = config.descriptor(media::CONFIG);
        self.paths.insert(described.digest, item.config.clone());
        Ok(Raw::new(Manifest::new(described, layers)))
    }
}

/// A plain layer has the diff id for its digest, which whoever takes it verifies; a compressed one
/// is read once to know.
fn layer(files: &Files, path: &str, diff_id: Digest) -> Result<Descriptor, Error> {
    let (size, mut reader) = match files.open(path, 0) {
        Ok(opened) => opened.ok_or_else(|| missing(path))?,
        Err(e) if absent(&e) => return Err(missing(path)),
        Err(e) => return Err(e.into()),
    };
    let mut head = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let compression = Compression::sniff(&head);
    if compression == Compression::None {
        return Ok(Descriptor::new(media::LAYER, diff_id, size));
    }
    let mut hash = HashingWriter::new(io::sink());
    io::copy(&mut io::Cursor::new(head).chain(reader), &mut hash)?;
    let (_, digest, size) = hash.finish();
    Ok(Descriptor::new(
        compression.layer_media_type(),
        digest,
        size,
    ))
}

fn missing(path: &str) -> Error {
    invalid(format!(
        "`manifest.json` names `{path}`, which is not in it"
    ))
}

fn invalid(why: impl AsRef<str>) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("the archive is not readable: {}", why.as_ref()),
    )
}
