//! [`Root`]: layers on top of each other, seen as a process in them sees them. Opens files by
//! asking the layer that has them; mounts nothing.

use std::{
    fmt,
    io::{self, Read},
    sync::{Arc, OnceLock},
};

use kiln_image::Digest;

use crate::{Entry, Error, ErrorKind, Files, Kind, LayerPath, Tree, files::not_a_file, flatten};

/// How many symbolic links one path may lead through (Linux `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// One layer of a [`Root`].
#[derive(Clone)]
pub struct RootLayer {
    /// The SHA-256 of its uncompressed tar.
    pub diff_id: Digest,
    /// What it has: its changes, and a way to read them.
    pub files: Arc<dyn Files>,
}

impl fmt::Debug for RootLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.diff_id, f)
    }
}

/// An ordered list of layers, seen as one file system.
#[derive(Clone, Debug, Default)]
pub struct Root {
    layers: Vec<RootLayer>,
    merged: OnceLock<Tree>,
}

/// Where a path leads: see [`Root::resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The path without symbolic links.
    pub path: LayerPath,
    /// What is there.
    pub entry: Option<Entry>,
    /// Each entry that was met, in the order of meeting, links and the last one included.
    pub way: Vec<Entry>,
}

impl Root {
    /// A root of `layers`, the bottom first. The merged tree is made when it is first needed.
    pub fn new(layers: Vec<RootLayer>) -> Self {
        Self {
            layers,
            merged: OnceLock::new(),
        }
    }

    /// Its layers, the bottom first.
    pub fn layers(&self) -> &[RootLayer] {
        &self.layers
    }

    /// The chain id of all its layers (OCI image-spec, config.md, "Layer ChainID"); `None` without
    /// layers.
    pub fn chain_id(&self) -> Option<Digest> {
        let mut ids = self.layers.iter().map(|l| l.diff_id);
        let first = ids.next()?;
        Some(ids.fold(first, |chain, id| {
            Digest::sha256(format!("{chain} {id}").as_bytes())
        }))
    }

    /// What is at `path`, symbolic links not followed. The root itself is always there.
    pub fn lookup(&self, path: &LayerPath) -> Option<&Entry> {
        self.tree().get(path)
    }

    /// Follows `path`, its last component included, through symbolic links as a process in the
    /// root would: absolute ones start at the root, `..` stops there. What is missing stays as it
    /// is written.
    ///
    /// # Errors
    ///
    /// [`Loop`](ErrorKind::Loop) after 40 links, [`Conflict`](ErrorKind::Conflict) when something
    /// is to be looked up in what is not a folder, [`Refused`](ErrorKind::Refused) beyond the
    /// limits of a path.
    pub fn resolve(&self, path: &LayerPath) -> Result<Resolved, Error> {
        resolve(self.tree(), path)
    }

    /// The topmost layer with an entry at `path`, which the merged tree says is a file.
    fn owner(&self, path: &LayerPath) -> Option<usize> {
        self.layers
            .iter()
            .rposition(|l| l.files.tree().get(path).is_some())
    }
}

impl Files for Root {
    fn tree(&self) -> &Tree {
        self.merged.get_or_init(|| {
            let layers: Vec<_> = self.layers.iter().map(|l| l.files.tree()).collect();
            flatten(&layers)
        })
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        let Some((entry, _)) = self.tree().file(path) else {
            return Err(not_a_file(path, self.lookup(path).map(|e| &e.kind)));
        };
        let mut path = &entry.path;
        let mut top = self.layers.len();
        // Downwards, as long as a layer only says that it is a link to what lies below.
        while let Some(index) = self.layers[..top]
            .iter()
            .rposition(|l| l.files.tree().get(path).is_some())
        {
            let files = &self.layers[index].files;
            match files.tree().get(path).map(|e| &e.kind) {
                Some(Kind::Hardlink { target }) if files.tree().get(target).is_none() => {
                    path = target;
                    top = index;
                }
                _ => return files.open(path),
            }
        }
        Err(not_a_file(path, None))
    }

    fn read(
        &self,
        select: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let tree = self.tree();
        let mut wanted = vec![Tree::new(); self.layers.len()];
        let mut single = Vec::new();
        for entry in tree.iter().filter(|e| e.file().is_some() && select(e)) {
            match self.owner(&entry.path) {
                Some(i) if has_file(&self.layers[i], &entry.path) => {
                    wanted[i].insert(entry.clone());
                }
                // It is a link in its layer, and its file is hidden.
                _ => single.push(entry),
            }
        }
        for (layer, wanted) in self.layers.iter().zip(&wanted) {
            if wanted.is_empty() {
                continue;
            }
            layer.files.read(
                &|e| wanted.get(&e.path).is_some(),
                &mut |e, content| match wanted.get(&e.path) {
                    Some(entry) => each(entry, content),
                    None => Ok(()),
                },
            )?;
        }
        for entry in single {
            each(entry, &mut *self.open(&entry.path)?)?;
        }
        Ok(())
    }
}

fn has_file(layer: &RootLayer, path: &LayerPath) -> bool {
    layer
        .files
        .tree()
        .get(path)
        .is_some_and(|e| e.file().is_some())
}

/// [`Root::resolve`] in any whole tree.
pub(crate) fn resolve(tree: &Tree, path: &LayerPath) -> Result<Resolved, Error> {
    resolve_by(&|p| tree.get(p), path)
}

/// [`Root::resolve`] by any way of looking up.
pub(crate) fn resolve_by<'a>(
    get: &dyn Fn(&LayerPath) -> Option<&'a Entry>,
    path: &LayerPath,
) -> Result<Resolved, Error> {
    let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut at = LayerPath::root();
    let mut way = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == b".." {
            at = at.parent().unwrap_or_default();
            continue;
        }
        let next = at.join(&name)?;
        let Some(entry) = get(&next).filter(|e| !e.is_whiteout()) else {
            at = next;
            continue;
        };
        way.push(entry.clone());
        match &entry.kind {
            Kind::Symlink { target } => {
                links += 1;
                if links > MAX_LINKS {
                    let what = format!("leads through more than {MAX_LINKS} symbolic links");
                    return Err(Error::new(ErrorKind::Loop, what).at(path));
                }
                if target.starts_with(b"/") {
                    at = LayerPath::root();
                }
                let names = target.split(|b| *b == b'/');
                let names = names.filter(|n| !matches!(*n, b"" | b"."));
                todo.extend(names.rev().map(<[u8]>::to_vec));
            }
            kind if !entry.is_dir() && !todo.is_empty() => {
                let what = format!("is a {}, not a folder", kind.name());
                return Err(Error::new(ErrorKind::Conflict, what).at(&next));
            }
            _ => at = next,
        }
    }
    Ok(Resolved {
        entry: get(&at).cloned(),
        path: at,
        way,
    })
}
