//! A layer's tar onto the disk, in a namespace that cannot hold all of what a layer may say.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use kiln_layer::{
    Applied, Directory, Entry, Kind, LayerPath, Refusal, Root, Target, Tree, Whiteouts, apply,
};
use kiln_sandbox::IdMap;

use crate::disk::{ATTRIBUTE, Note, differs, on_disk};
use crate::folder::Folder;
use crate::{Error, ErrorKind};

/// Unpacks `tar` to the new folder `to`. `ids`: those that are mapped, where not all are.
pub(crate) fn unpack(
    tar: &mut (dyn Read + Send),
    lower: Option<&Root>,
    to: &Path,
    ids: Option<&IdMap>,
) -> Result<Applied, Error> {
    std::fs::create_dir(to).map_err(|e| Error::io("make the folder", to, e))?;
    let mut target = Directory::new(to, Whiteouts::Overlay)?;
    if let Some(lower) = lower {
        target = target.over(Arc::new(lower.clone()));
    }
    let Some(ids) = ids else {
        return apply(tar, &mut target).map_err(|e| failed(e, to));
    };
    let mut mapped = Mapped { inner: target, ids };
    let applied = apply(tar, &mut mapped).map_err(|e| failed(e, to))?;
    remember(mapped.inner.refused(), &applied.tree, to, ids)?;
    Ok(applied)
}

/// What the system refused is told with the path on the disk: that is where room or rights lack.
fn failed(e: kiln_layer::Error, to: &Path) -> Error {
    if e.kind() != kiln_layer::ErrorKind::Io {
        return e.into();
    }
    let at = match e.path() {
        Some(path) => crate::upper::on_disk(to, path),
        None => to.to_owned(),
    };
    Error::new(ErrorKind::Io, "unpack a layer to")
        .at(at)
        .because(e)
}

/// A directory that gets what can stand on the disk for each entry.
struct Mapped<'a> {
    inner: Directory,
    ids: &'a IdMap,
}

impl Target for Mapped<'_> {
    fn put(&mut self, entry: &Entry) -> Result<(), kiln_layer::Error> {
        let put = on_disk(entry, self.ids);
        match put.kind {
            Kind::File(_) => self.inner.file(&put, &mut io::empty()),
            _ => self.inner.put(&put),
        }
    }

    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), kiln_layer::Error> {
        self.inner.file(&on_disk(entry, self.ids), content)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<(), kiln_layer::Error> {
        self.inner.remove(path)
    }

    fn clear(&mut self, path: &LayerPath, own: &Tree) -> Result<(), kiln_layer::Error> {
        self.inner.clear(path, own)
    }

    fn settle(&mut self) -> Result<(), kiln_layer::Error> {
        self.inner.settle()
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), kiln_layer::Error> {
        if !differs(tree, self.ids) {
            return self.inner.finish(tree);
        }
        let put = tree.iter().map(|entry| on_disk(entry, self.ids));
        self.inner.finish(&put.collect())
    }
}

/// Puts down the attributes that the kernel refused.
fn remember(refused: &[Refusal], tree: &Tree, to: &Path, ids: &IdMap) -> Result<(), Error> {
    let mut notes: BTreeMap<&LayerPath, Note> = BTreeMap::new();
    for refusal in refused {
        let Some(name) = &refusal.attribute else {
            continue;
        };
        if name == ATTRIBUTE {
            return Err(no_attributes(to));
        }
        let entry = tree.get(&refusal.path);
        let value = entry.and_then(|e| Some((e, e.meta.xattrs.get(name)?)));
        if let Some((entry, value)) = value {
            let note = notes.entry(&entry.path);
            let note = note.or_insert_with(|| Note::of(entry, ids));
            note.xattrs.insert(name.clone(), value.clone());
        }
    }
    let folder = Folder::open(to)?;
    for (path, note) in notes {
        folder.set_note(path, Some(&note.encode()))?;
        let entry = tree.get(path);
        folder.set_time(path, entry.map_or_else(Default::default, |e| e.meta.mtime))?;
    }
    Ok(())
}

fn no_attributes(to: &Path) -> Error {
    let what = "the file system keeps no extended attributes for owners that this user cannot map:";
    Error::new(ErrorKind::Unsupported, what)
        .at(to)
        .hint("keep the store on ext4, xfs, btrfs, or a tmpfs of Linux 6.6 or newer")
}
