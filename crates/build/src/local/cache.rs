//! Cache mounts of steps: which one is meant, and what a new one begins with. Refuses to share one
//! between users of different ids: its files would show other owners.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kiln_graph::{self as graph, Cancel, MountKind, Sharing};
use kiln_image::Digest;
use kiln_layer::{
    Entry, Files as _, Kind, LayerPath, Meta, Packing, Root, Time, Tree, pack_entries,
};
use kiln_rootfs::Roots;
use kiln_store::{CacheMount, Wanted};

use super::mounts::{found, layers};
use crate::{Error, ErrorKind, Step, StepIo, Stream, time};

/// Who waits no longer than this does not speak of it.
const SOON: Duration = Duration::from_millis(300);

/// The cache mounts of a store, for a step.
pub(super) struct Caches<'a> {
    pub(super) roots: &'a Roots,
    pub(super) step: &'a Step,
    pub(super) io: &'a StepIo<'a>,
}

/// The cache mounts that a step has, by key.
#[derive(Default)]
pub(super) struct Taken {
    folders: BTreeMap<Digest, PathBuf>,
    held: Vec<CacheMount>,
}

/// One of them, and what a new one begins with.
type Asked<'a> = (&'a graph::CacheMount, Option<&'a [Digest]>);

impl Caches<'_> {
    /// Takes all cache mounts of the step, each of them once, however often it is mounted. All steps take
    /// them in the same order, so that no two wait for each other.
    pub(super) fn take_all(&self) -> Result<Taken, Error> {
        let mut all: BTreeMap<Digest, (Asked<'_>, Sharing)> = BTreeMap::new();
        for mount in &self.step.mounts {
            let MountKind::Cache(cache) = &mount.kind else {
                continue;
            };
            let seed = self.seed(cache)?;
            let (_, sharing) = all
                .entry(self.key(cache, seed))
                .or_insert(((cache, seed), cache.sharing));
            *sharing = stricter(*sharing, cache.sharing);
        }
        let mut taken = Taken::default();
        for (key, (asked, sharing)) in all {
            let (folder, mount) = self.take(&key, asked, sharing)?;
            taken.folders.insert(key, folder);
            taken.held.push(mount);
        }
        Ok(taken)
    }

    /// The folder that was taken for `cache`.
    pub(super) fn folder(
        &self,
        taken: &Taken,
        cache: &graph::CacheMount,
    ) -> Result<PathBuf, Error> {
        let folder = taken.folders.get(&self.key(cache, self.seed(cache)?));
        let unknown = || Error::new(ErrorKind::Input, "a cache mount that nobody asked for");
        folder.cloned().ok_or_else(unknown)
    }

    /// The layers of which a new one is a copy.
    fn seed(&self, cache: &graph::CacheMount) -> Result<Option<&[Digest]>, Error> {
        cache
            .input
            .map(|input| layers(self.step, input))
            .transpose()
    }

    /// The folder that `cache` means, made where it is not there, and the hold on it.
    fn take(
        &self,
        key: &Digest,
        (cache, seed): Asked<'_>,
        sharing: Sharing,
    ) -> Result<(PathBuf, CacheMount), Error> {
        let wanted = Wanted {
            id: &cache.id,
            key,
            sharing: match sharing {
                Sharing::Shared => kiln_store::Sharing::Shared,
                Sharing::Private => kiln_store::Sharing::Private,
                Sharing::Locked => kiln_store::Sharing::Locked,
            },
        };
        let (mut told, begun) = (false, Instant::now());
        let mut waiting = || {
            if begun.elapsed() > SOON && !std::mem::replace(&mut told, true) {
                let line = format!(
                    "waiting for the cache mount `{}`: another step has it\n",
                    cache.id
                );
                (self.io.output)(Stream::Stderr, line.as_bytes());
            }
            !self.io.cancel.is_canceled()
        };
        let canceled = || Error::new(ErrorKind::Canceled, "canceled");
        let mounts = self.roots.store().cache_mounts();
        let taken = mounts.take(&wanted, &mut waiting)?;
        let taken = taken.ok_or_else(canceled)?;
        let fill = |at: &Path| match seed {
            None => self.empty(cache, at),
            Some(layers) => self.copy(
                &*self.roots.root(layers).map(std::sync::Arc::new)?,
                cache,
                at,
            ),
        };
        let folder = taken.folder(&mut waiting, fill, |at| Ok(self.roots.remove(at)?))?;
        Ok((folder.ok_or_else(canceled)?, taken))
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
        let until = Until {
            inner: &mut tar,
            cancel: self.io.cancel,
        };
        let buffer = io::BufWriter::new(until);
        let copied = pack_entries(entries.iter(), &open, buffer, &Packing::default())
            .map_err(Error::from)
            .and_then(|(buffer, _)| {
                buffer
                    .into_inner()
                    .map_err(|e| failed(e.into_error()))
                    .map(drop)
            })
            .and_then(|()| io::Seek::rewind(&mut tar).map_err(failed))
            .and_then(|()| {
                let mut until = Until {
                    inner: &mut tar,
                    cancel: self.io.cancel,
                };
                Ok(self.roots.bodies().unpack(&mut until, None, at)?)
            });
        // It is in the way of nobody.
        let _ = fs::remove_file(&scratch);
        if self.io.cancel.is_canceled() {
            return Err(Error::new(ErrorKind::Canceled, "canceled"));
        }
        copied?;
        if let Some(top) = top {
            let top: Tree = [Entry::folder(LayerPath::root(), top.meta)]
                .into_iter()
                .collect();
            self.roots.bodies().make(&top, at)?;
        }
        Ok(())
    }
}

/// Of two ways to share what one step has twice: that which lets fewer others in.
fn stricter(one: Sharing, other: Sharing) -> Sharing {
    use Sharing::{Locked, Private, Shared};
    match (one, other) {
        (Locked, _) | (_, Locked) => Locked,
        (Private, _) | (_, Private) => Private,
        (Shared, Shared) => Shared,
    }
}

/// A file that can neither be read nor written any more when somebody says stop.
struct Until<'a> {
    inner: &'a mut fs::File,
    cancel: &'a Cancel,
}

impl Until<'_> {
    fn look(&self) -> io::Result<()> {
        match self.cancel.is_canceled() {
            true => Err(io::Error::other("canceled")),
            false => Ok(()),
        }
    }
}

impl io::Read for Until<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        self.inner.read(bytes)
    }
}

impl io::Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.look()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_has_twice_is_shared_as_the_stricter_says() {
        use Sharing::{Locked, Private, Shared};
        for (one, other, both) in [
            (Shared, Shared, Shared),
            (Shared, Private, Private),
            (Shared, Locked, Locked),
            (Private, Locked, Locked),
        ] {
            assert_eq!(stricter(one, other), both);
            assert_eq!(stricter(other, one), both);
        }
    }
}
