//! Cache mounts of steps: which one is meant, and what a new one begins with. Refuses to share one
//! between users of different ids: its files would show other owners.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_graph::{self as graph, Sharing};
use kiln_image::Digest;
use kiln_layer::{
    Entry, Files as _, Kind, LayerPath, Meta, Packing, Root, Time, Tree, pack_entries,
};
use kiln_rootfs::Roots;
use kiln_store::{CacheMount, Wanted};

use super::mounts::found;
use crate::{Error, ErrorKind, StepIo, Stream, time};

/// The cache mounts of a store, for a step.
pub(super) struct Caches<'a> {
    pub(super) roots: &'a Roots,
    pub(super) io: &'a StepIo<'a>,
}

impl Caches<'_> {
    /// The folder that `cache` means, made where it is not there, and the hold on it. `seed`: the layers
    /// of which a new one is a copy.
    pub(super) fn take(
        &self,
        cache: &graph::CacheMount,
        seed: Option<&[Digest]>,
    ) -> Result<(PathBuf, CacheMount), Error> {
        let key = self.key(cache, seed);
        let wanted = Wanted {
            id: &cache.id,
            key: &key,
            sharing: match cache.sharing {
                Sharing::Shared => kiln_store::Sharing::Shared,
                Sharing::Private => kiln_store::Sharing::Private,
                Sharing::Locked => kiln_store::Sharing::Locked,
            },
        };
        let mut told = false;
        let mut waiting = || {
            if !std::mem::replace(&mut told, true) {
                let line = format!(
                    "waiting for the cache mount `{}`: another step has it\n",
                    cache.id
                );
                (self.io.output)(Stream::Stderr, line.as_bytes());
            }
            !self.io.cancel.is_canceled()
        };
        let store = self.roots.store();
        let taken = store.cache_mounts().take(&wanted, &mut waiting)?;
        let Some(taken) = taken else {
            return Err(Error::new(ErrorKind::Canceled, "canceled"));
        };
        let fill = |at: &Path| match seed {
            None => self.empty(cache, at),
            Some(layers) => self.copy(
                &*self.roots.root(layers).map(std::sync::Arc::new)?,
                cache,
                at,
            ),
        };
        let folder = taken.folder(fill, |at| Ok(self.roots.remove(at)?))?;
        Ok((folder, taken))
    }

    /// Whoever says the same of all this has the same folder.
    fn key(&self, cache: &graph::CacheMount, seed: Option<&[Digest]>) -> Digest {
        let access = match seed {
            None => Some((cache.mode, cache.uid, cache.gid)),
            Some(_) => None,
        };
        let seed = seed.map(|layers| (layers, &cache.source));
        let ids = self.roots.bodies().ids();
        let all = ("kiln.cache-mount/1", &cache.id, access, seed, ids);
        Digest::sha256(&serde_json::to_vec(&all).expect("plain data can be written"))
    }

    fn empty(&self, cache: &graph::CacheMount, at: &Path) -> Result<(), Error> {
        let meta = Meta {
            uid: cache.uid,
            gid: cache.gid,
            mtime: Time::at(time::now()),
            ..Meta::with_mode(cache.mode)
        };
        let top: Tree = [Entry::folder(LayerPath::root(), meta)]
            .into_iter()
            .collect();
        Ok(self.roots.bodies().make(&top, at)?)
    }

    /// A copy of what is in the folder `cache.source` of `root`.
    fn copy(&self, root: &Root, cache: &graph::CacheMount, at: &Path) -> Result<(), Error> {
        let source = &cache.source;
        let top = found(root, source)?;
        if top.as_ref().is_some_and(|entry| !entry.is_dir()) {
            let what = format!("a cache mount begins with a folder, and `/{source}` is none");
            return Err(Error::new(ErrorKind::Input, what));
        }
        let from = top
            .as_ref()
            .map_or_else(LayerPath::root, |entry| entry.path.clone());
        let entries = moved(root, &from);
        let scratch = at.with_extension("tar");
        let failed = |e: io::Error| Error::io(format!("write `{}`", scratch.display()), e);
        let mut new = fs::File::options();
        new.read(true).write(true).create(true).truncate(true);
        let mut tar = new.open(&scratch).map_err(failed)?;
        let open = |entry: &Entry| {
            let path = joined(&from, &entry.path)?;
            root.open(&path)
                .map_err(|e| kiln_layer::Error::from(e).at(&path))
        };
        let packed = pack_entries(
            entries.iter(),
            &open,
            io::BufWriter::new(&mut tar),
            &Packing::default(),
        );
        let (buffer, _) = packed?;
        buffer.into_inner().map_err(|e| failed(e.into_error()))?;
        io::Seek::rewind(&mut tar).map_err(failed)?;
        let unpacked = self.roots.bodies().unpack(&mut tar, None, at);
        // It is in the way of nobody.
        let _ = fs::remove_file(&scratch);
        unpacked?;
        if let Some(top) = top {
            let top: Tree = [Entry::folder(LayerPath::root(), top.meta)]
                .into_iter()
                .collect();
            self.roots.bodies().make(&top, at)?;
        }
        Ok(())
    }
}

/// What is in the folder `from`, as entries of a tree of its own. A second name of a file outside is
/// a file.
fn moved(root: &Root, from: &LayerPath) -> Vec<Entry> {
    let tree = root.tree();
    let inner = |path: &LayerPath| {
        let rest = path.as_bytes().strip_prefix(from.as_bytes())?;
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        LayerPath::parse(rest).ok().filter(|path| !path.is_root())
    };
    let mut entries = Vec::new();
    for entry in tree.within(from) {
        let Some(path) = inner(&entry.path) else {
            continue;
        };
        let kind = match &entry.kind {
            Kind::Hardlink { target } => match (tree.get(target), target.starts_with(from)) {
                (_, true) => inner(target).map(|target| Kind::Hardlink { target }),
                (Some(file), false) => Some(file.kind.clone()),
                (None, false) => None,
            },
            kind => Some(kind.clone()),
        };
        let meta = entry.meta.clone();
        entries.extend(kind.map(|kind| Entry { path, meta, kind }));
    }
    entries
}

fn joined(from: &LayerPath, inner: &LayerPath) -> Result<LayerPath, kiln_layer::Error> {
    let path = [from.as_bytes(), inner.as_bytes()].join(&b'/');
    LayerPath::parse(path)
}
