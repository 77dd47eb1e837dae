//! An image as its archive has it: the files that its layers make, the config, the history.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use serde_json::Value;

use super::Result;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) owner: (u64, u64),
    pub(super) mtime: u64,
    pub(super) xattrs: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes, and a number that other names of the same file share.
    File {
        bytes: Vec<u8>,
        number: usize,
    },
    Folder,
    Link(String),
    /// Neither: by the name that stat gives it.
    Other(&'static str),
}

/// Paths from `/`, none for the root itself.
pub(super) type Files = BTreeMap<String, Node>;

/// An image as a value.
#[derive(Debug, Default)]
pub(super) struct Image {
    pub(super) files: Files,
    pub(super) document: Value,
    /// The lines above the base's, each with whether it made a layer.
    pub(super) history: Vec<(String, bool)>,
    /// The files of the base, where it stands on that.
    pub(super) below: Files,
}

impl Image {
    /// Reads an archive as `docker save` writes it. `base` is what may stand below.
    pub(super) fn read(path: &Path, base: Option<&Self>) -> Result<Self> {
        let documents = members(path)?;
        let json = |name: &str| -> Result<Value> {
            let bytes = documents.get(name).ok_or_else(|| format!("no `{name}`"))?;
            Ok(serde_json::from_slice(bytes)?)
        };
        let manifest = json("manifest.json")?;
        let name = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let document = json(&name(&manifest[0]["Config"]))?;
        let mut image = Self {
            document,
            ..Self::default()
        };
        let mut number = 0;
        for layer in manifest[0]["Layers"].as_array().into_iter().flatten() {
            let bytes = &documents.get(&name(layer)).ok_or("a layer is missing")?;
            apply(bytes, &mut image.files, &mut number)?;
        }
        let lines = image.document["history"].as_array();
        let line = |v: &Value| {
            (
                name(&v["created_by"]),
                v["empty_layer"] != Value::Bool(true),
            )
        };
        image.history = lines.into_iter().flatten().map(line).collect();
        if let Some(base) = base.filter(|b| image.stands_on(b)) {
            image.below = base.files.clone();
            image
                .history
                .drain(..base.history.len().min(image.history.len()));
        }
        Ok(image)
    }

    fn stands_on(&self, base: &Self) -> bool {
        let first = |v: &Value| v["rootfs"]["diff_ids"][0].clone();
        first(&self.document) == first(&base.document)
    }
}

/// The files that an archive makes where nothing is.
pub(super) fn in_archive(path: &Path) -> Result<Files> {
    let mut files = Files::new();
    apply(&std::fs::read(path)?, &mut files, &mut 0)?;
    Ok(files)
}

/// The files in a folder. Names of one file share its number.
pub(super) fn on_disk(folder: &Path) -> Result<Files> {
    let (mut files, mut waiting) = (Files::new(), vec![folder.to_owned()]);
    while let Some(at) = waiting.pop() {
        for entry in std::fs::read_dir(at)? {
            let path = entry?.path();
            let facts = path.symlink_metadata()?;
            let kind = match facts.file_type() {
                kind if kind.is_dir() => {
                    waiting.push(path.clone());
                    Kind::Folder
                }
                kind if kind.is_symlink() => {
                    Kind::Link(std::fs::read_link(&path)?.to_string_lossy().into_owned())
                }
                kind if kind.is_file() => Kind::File {
                    bytes: std::fs::read(&path)?,
                    number: usize::try_from(facts.ino())?,
                },
                _ => Kind::Other("special"),
            };
            let node = Node {
                kind,
                mode: facts.mode() & 0o7777,
                owner: (facts.uid().into(), facts.gid().into()),
                mtime: u64::try_from(facts.mtime()).unwrap_or_default(),
                xattrs: BTreeMap::new(),
            };
            let inside = path.strip_prefix(folder)?.to_string_lossy();
            files.insert(format!("/{inside}"), node);
        }
    }
    Ok(files)
}

/// The files of an archive, by name.
fn members(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let (mut found, mut links) = (BTreeMap::new(), Vec::new());
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(target) = entry.link_name_bytes() {
            let target = String::from_utf8_lossy(&target).into_owned();
            links.push((name, target));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        found.insert(name, bytes);
    }
    // Where two layers are equal, one may be written as a link to the other.
    for (name, target) in links {
        let target = target.trim_start_matches("../").to_owned();
        if let Some(bytes) = found.get(&target).cloned() {
            found.insert(name, bytes);
        }
    }
    Ok(found)
}

/// Applies a layer. `number` is counted up with each file.
fn apply(layer: &[u8], files: &mut Files, number: &mut usize) -> Result<()> {
    if layer.starts_with(&[0x1f, 0x8b]) {
        return Err("the layers are compressed".into());
    }
    let mut added = Files::new();
    for entry in tar::Archive::new(layer).entries()? {
        let mut entry = entry?;
        let path = clean(&entry.path_bytes());
        let (above, name) = path.rsplit_once('/').unwrap_or(("", ""));
        if name == ".wh..wh..opq" {
            files.retain(|p, _| !inside(p, above));
        } else if let Some(gone) = name.strip_prefix(".wh.") {
            remove(files, &format!("{above}/{gone}"));
        } else if !name.is_empty() {
            let linked = entry.link_name_bytes().map(|t| clean(&t));
            let node = match entry.header().entry_type() {
                tar::EntryType::Link => linked
                    .and_then(|t| added.get(&t).or_else(|| files.get(&t)).cloned())
                    .ok_or_else(|| format!("`{path}` links to nothing"))?,
                _ => node(&mut entry, number)?,
            };
            added.insert(path, node);
        }
    }
    for (path, node) in added {
        if node.kind != Kind::Folder || files.get(&path).is_some_and(|n| n.kind != Kind::Folder) {
            remove(files, &path);
        }
        files.insert(path, node);
    }
    Ok(())
}

fn node<R: Read>(entry: &mut tar::Entry<'_, R>, number: &mut usize) -> Result<Node> {
    let mut xattrs = BTreeMap::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let name = extension.key().map_err(io::Error::other)?;
        if let Some(name) = name.strip_prefix("SCHILY.xattr.") {
            let value = String::from_utf8_lossy(extension.value_bytes());
            xattrs.insert(name.to_owned(), value.into_owned());
        }
    }
    let header = entry.header();
    let (mode, owner) = (header.mode()? & 0o7777, (header.uid()?, header.gid()?));
    let mtime = header.mtime()?;
    let kind = match header.entry_type() {
        tar::EntryType::Directory => Kind::Folder,
        tar::EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            Kind::Link(String::from_utf8_lossy(&target).into_owned())
        }
        tar::EntryType::Fifo => Kind::Other("fifo"),
        tar::EntryType::Char => Kind::Other("char"),
        tar::EntryType::Block => Kind::Other("block"),
        _ => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            *number += 1;
            Kind::File {
                bytes,
                number: *number,
            }
        }
    };
    Ok(Node {
        kind,
        mode,
        owner,
        mtime,
        xattrs,
    })
}

/// A path from `/`, without a slash at the end. Those of layers have no `..`.
fn clean(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let parts = text.split('/').filter(|p| !p.is_empty() && *p != ".");
    parts.fold(String::new(), |path, part| path + "/" + part)
}

fn inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn remove(files: &mut Files, path: &str) {
    files.retain(|p, _| p != path && !inside(p, path));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            if path.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            tar.append_data(&mut header, path, text.as_bytes())
                .expect("it is in memory");
        }
        tar.into_inner().expect("it is in memory")
    }

    fn after(layers: &[&[(&str, &str)]]) -> String {
        let (mut files, mut number) = (Files::new(), 0);
        for entries in layers {
            apply(&layer(entries), &mut files, &mut number).expect("a sound layer");
        }
        files.into_keys().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn layers_replace_and_remove() {
        let base: &[(&str, &str)] = &[("a/", ""), ("a/b", "1"), ("a/c", "2"), ("ab", "3")];
        assert_eq!(after(&[base]), "/a /a/b /a/c /ab");
        assert_eq!(after(&[base, &[("a/.wh.b", "")]]), "/a /a/c /ab");
        assert_eq!(after(&[base, &[("./.wh.a", "")]]), "/ab");
        assert_eq!(
            after(&[base, &[("a/.wh..wh..opq", ""), ("a/d", "")]]),
            "/a /a/d /ab"
        );
        assert_eq!(after(&[base, &[("a", "a file")]]), "/a /ab");
        assert_eq!(after(&[base, &[("a/", "")]]), "/a /a/b /a/c /ab");
        assert_eq!(
            after(&[base, &[("ab/", ""), ("ab/x", "")]]),
            "/a /a/b /a/c /ab /ab/x"
        );
    }
}
