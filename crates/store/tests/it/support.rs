//! Small images, and a boot that never happened.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kiln_image::{
    Config, Descriptor, Digest, History, Image, Memory, Platform, Raw, Reference, Select, Sink,
    copy, media, media::Compression,
};
use kiln_layer::{Files, InMemory, LayerPath, Meta, Times, Tree, compress, pack};
use kiln_store::{Build, Facts, ImageRecord, Store};

/// A store in a folder of its own.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.root()).unwrap()
    }
}

/// A layer with one file: its tar, its diff id and its tree.
pub(crate) struct Made {
    pub(crate) tar: Vec<u8>,
    pub(crate) diff_id: Digest,
    pub(crate) tree: Tree,
}

pub(crate) fn layer(file: &str, content: &[u8]) -> Made {
    let mut files = InMemory::new();
    let path = LayerPath::parse(file).unwrap();
    files.file(path, Meta::with_mode(0o644), content);
    let (tar, packed) = pack(&files as &dyn Files, Vec::new(), Times::Keep).unwrap();
    Made {
        tar,
        diff_id: packed.diff_id,
        tree: packed.tree,
    }
}

impl Made {
    pub(crate) fn facts(&self) -> Facts {
        let files = self.tree.iter().filter_map(|e| e.file());
        Facts {
            dialect: Some(kiln_layer::DIALECT),
            size: self.tar.len() as u64,
            content: files.map(|f| f.size).sum(),
            ..Facts::default()
        }
    }

    /// Puts the plain tar and what is known of it.
    pub(crate) fn put(&self, store: &Store) -> Digest {
        assert_eq!(store.blobs().put(&self.tar).unwrap(), self.diff_id);
        let layers = store.layers();
        layers
            .put(&self.diff_id, self.facts(), Some(&self.tree))
            .unwrap();
        self.diff_id
    }

    pub(crate) fn packed(&self, compression: Compression) -> Vec<u8> {
        let mut out = Vec::new();
        compress(&mut &self.tar[..], &mut out, compression, None).unwrap();
        out
    }
}

pub(crate) fn config(diff_ids: &[Digest], label: &str) -> Raw<Config> {
    let mut config = Config::scratch(&Platform::host());
    config.config.labels.insert("label".into(), label.into());
    config.created = Some("2001-02-03T04:05:06Z".into());
    config.rootfs.diff_ids = diff_ids.to_vec();
    Raw::new(config)
}

/// Builds an image of one layer, and leaves the sealing to the caller.
pub(crate) fn build_image(build: &Build, content: &str, label: &str) -> ImageRecord {
    let diff_id = layer("file", content.as_bytes()).put(build.store());
    build
        .put_image(&config(&[diff_id], label), None, None)
        .unwrap()
}

/// Builds an image of one layer with a name.
pub(crate) fn named_image(store: &Store, name: &str, content: &str) -> ImageRecord {
    let build = store.begin().unwrap();
    let image = build_image(&build, content, "");
    build.name(&reference(name), &image).unwrap();
    build.seal().unwrap();
    image
}

pub(crate) fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

/// An image elsewhere, of layers with these contents: what a registry would hold.
pub(crate) fn elsewhere(name: &str, contents: &[&str], with: Compression) -> (Memory, Descriptor) {
    let memory = Memory::new();
    let mut image = Image::scratch(&Platform::host());
    for content in contents {
        let made = layer(&format!("file-{content}"), content.as_bytes());
        let blob = memory.put(with.layer_media_type(), made.packed(with));
        image = image.with_layer(blob, made.diff_id, History::default());
    }
    memory.put(media::CONFIG, image.config_document().bytes().to_vec());
    let manifest = memory.put(media::MANIFEST, image.manifest().bytes().to_vec());
    memory.name(&manifest, &reference(name)).unwrap();
    (memory, manifest)
}

/// Pulls `name` and seals.
pub(crate) fn pull(from: &Memory, store: &Store, name: &str) -> Descriptor {
    let build = store.begin().unwrap();
    let name = reference(name);
    let names = [name.clone()];
    let found = copy(from, &build.sink(), &name, &names, &Select::All, &|_| {}).unwrap();
    build.seal().unwrap();
    found
}

/// Makes all that is in the store seem to be of an earlier boot.
pub(crate) fn pretend_reboot(root: &Path) {
    let boot = fs::read_to_string(root.join("boot")).unwrap();
    let other = "0".repeat(boot.len());
    fs::write(root.join("boot"), &other).unwrap();
    for file in files_below(&root.join("refs")) {
        let bytes = fs::read(&file).unwrap();
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let body = String::from_utf8_lossy(&bytes[end + 1..]).replacen(&boot, &other, 1);
        let digest = Digest::sha256(body.as_bytes()).hex();
        fs::write(&file, format!("kiln ref 1 {digest}\n{body}")).unwrap();
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// How many entries a folder of the store has.
pub(crate) fn count(root: &Path, folder: &str) -> usize {
    fs::read_dir(root.join(folder)).unwrap().count()
}

pub(crate) fn is_whole(store: &Store) {
    assert_eq!(store.check().unwrap(), []);
}
