//! [`Root`]: layers on top of each other, seen as a process in them sees them. Opens files by
//! asking the layer that has them; mounts nothing.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
    sync::{Arc, OnceLock},
};

use kiln_image::Digest;

use crate::{
    Entry, Error, ErrorKind, File, Files, Kind, LayerPath, Opening, Tree,
    files::not_a_file,
    flatten,
    merge::Merge,
    stack::{Found, Stack},
};

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
    /// Whether all layers can be looked at one by one; those of others are merged.
    is_tidy: OnceLock<bool>,
    /// Whether there is one layer, whose tree is a whole one.
    is_whole: OnceLock<bool>,
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
            ..Self::default()
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
    ///
    /// Answered from the layers, without merging them; a folder that is opaque in its layer, or that
    /// no layer has an entry for, is made for the answer.
    pub fn lookup(&self, path: &LayerPath) -> Option<Cow<'_, Entry>> {
        match self.find(path) {
            Some(found) => found.map(|found| found.entry),
            None => self.tree().get(path).map(Cow::Borrowed),
        }
    }

    /// The content of the regular file at `path`, a hard link followed to it.
    pub fn file(&self, path: &LayerPath) -> Option<&File> {
        let Some(found) = self.find(path) else {
            return self.tree().file(path).map(|(_, file)| file);
        };
        let tree = self.layers[found?.layer?].files.tree();
        tree.file(path).map(|(_, file)| file)
    }

    /// The entries directly inside the folder `path`, in order.
    pub fn children(&self, path: &LayerPath) -> Vec<Entry> {
        let trees = self.trees();
        if let Some(stack) = self.stack(&trees) {
            if !self.lookup(path).is_some_and(|e| e.is_dir()) {
                return Vec::new();
            }
            let names = stack.names(path.as_bytes());
            let found = names.iter().filter_map(|name| self.lookup(name));
            return found.map(Cow::into_owned).collect();
        }
        self.tree().children(path).cloned().collect()
    }

    /// The entry at `path` and all beneath it, in order.
    pub fn within(&self, path: &LayerPath) -> Vec<Entry> {
        let trees = self.trees();
        if let Some(stack) = self.stack(&trees) {
            let mut merge = Merge::new(stack, path.as_bytes());
            let found: Vec<_> = merge.by_ref().map(|f| f.entry.into_owned()).collect();
            if path.is_root() || !merge.has_elected() {
                return found;
            }
        }
        self.tree().within(path).cloned().collect()
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
        resolve_by(&|p| self.lookup(p), path)
    }

    fn trees(&self) -> Vec<&Tree> {
        self.layers.iter().map(|l| l.files.tree()).collect()
    }

    /// `trees`, which are those of the layers, to look things up in; `None` when they are merged
    /// already, which is faster, or have to be.
    fn stack<'s, 'a>(&self, trees: &'s [&'a Tree]) -> Option<Stack<'s, 'a>> {
        if self.merged.get().is_some() {
            return None;
        }
        let is_tidy = self.is_tidy.get_or_init(|| Stack::new(trees).is_some());
        is_tidy.then(|| Stack::known(trees))
    }

    /// What the layers have at `path`; `None` where only the merged tree can tell.
    #[allow(
        clippy::option_option,
        reason = "not there is another answer than not known"
    )]
    fn find(&self, path: &LayerPath) -> Option<Option<Found<'_>>> {
        let trees = self.trees();
        let stack = self.stack(&trees)?;
        let found = stack.find(path.as_bytes());
        if let Some((layer, Kind::Hardlink { target })) =
            found.as_ref().and_then(|f| Some((f.layer?, &f.entry.kind)))
            && !stack.shows(layer, target.as_bytes())
        {
            return None;
        }
        Some(found)
    }

    /// The selected files by the layer that has them, in order; and those that are links in their
    /// layers, whose files are hidden.
    fn by_layer(&self, select: &dyn Fn(&Entry) -> bool) -> (Vec<Vec<&Entry>>, Vec<Cow<'_, Entry>>) {
        let trees = self.trees();
        let mut wanted = vec![Vec::new(); trees.len()];
        let mut single = Vec::new();
        let is_wanted = |e: &Entry| e.file().is_some() && select(e);
        if let Some(stack) = self.stack(&trees) {
            for found in Merge::new(stack, &[]).filter(|f| is_wanted(&f.entry)) {
                match (found.layer, found.entry) {
                    (Some(i), Cow::Borrowed(entry)) => wanted[i].push(entry),
                    (_, entry) => single.push(entry),
                }
            }
            return (wanted, single);
        }
        for entry in self.tree().iter().filter(|e| is_wanted(e)) {
            let owner = trees.iter().rposition(|t| t.get(&entry.path).is_some());
            let has_file = |i: &usize| {
                trees[*i]
                    .get(&entry.path)
                    .is_some_and(|e| e.file().is_some())
            };
            match owner.filter(has_file) {
                Some(i) => wanted[i].push(entry),
                None => single.push(Cow::Borrowed(entry)),
            }
        }
        (wanted, single)
    }

    fn open_merged(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        let Some((entry, _)) = self.tree().file(path) else {
            return Err(not_a_file(path, self.tree().get(path).map(|e| &e.kind)));
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
}

impl Files for Root {
    fn tree(&self) -> &Tree {
        if let [only] = &self.layers[..]
            && *self.is_whole.get_or_init(|| is_whole(only.files.tree()))
        {
            return only.files.tree();
        }
        self.merged.get_or_init(|| flatten(&self.trees()))
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        match self.find(path) {
            None => self.open_merged(path),
            Some(Some(Found {
                layer: Some(layer),
                entry,
            })) if !entry.is_dir() => self.layers[layer].files.open(path),
            Some(found) => Err(not_a_file(path, found.as_ref().map(|f| &f.entry.kind))),
        }
    }

    fn opening(&self) -> Opening<'_> {
        let mut layers: Vec<Option<Opening<'_>>> = self.layers.iter().map(|_| None).collect();
        Box::new(move |path| match self.find(path) {
            Some(Some(Found {
                layer: Some(layer),
                entry,
            })) if !entry.is_dir() => {
                let files = &self.layers[layer].files;
                layers[layer].get_or_insert_with(|| files.opening())(path)
            }
            _ => self.open(path),
        })
    }

    fn read(
        &self,
        select: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let (wanted, single) = self.by_layer(select);
        for (layer, wanted) in self.layers.iter().zip(&wanted) {
            if wanted.is_empty() {
                continue;
            }
            let find = |e: &Entry| wanted.binary_search_by(|w| w.path.cmp(&e.path)).ok();
            layer
                .files
                .read(&|e| find(e).is_some(), &mut |e, content| match find(e) {
                    Some(i) => each(wanted[i], content),
                    None => Ok(()),
                })?;
        }
        for entry in single {
            each(&entry, &mut *self.open(&entry.path)?)?;
        }
        Ok(())
    }
}

/// Whether nothing is to be done to show it: it is tidy, has no whiteouts and no opaque folders, and
/// has the root and all folders above its entries.
fn is_whole(tree: &Tree) -> bool {
    let is_plain = |e: &Entry| !matches!(e.kind, Kind::Whiteout | Kind::Dir { opaque: true });
    tree.get(&LayerPath::root()).is_some()
        && tree.is_tidy()
        && tree.iter().all(is_plain)
        && tree.implied().is_empty()
}

/// [`Root::resolve`] in any whole tree.
pub(crate) fn resolve(tree: &Tree, path: &LayerPath) -> Result<Resolved, Error> {
    resolve_by(&|p| tree.get(p).map(Cow::Borrowed), path)
}

/// [`Root::resolve`] by any way of looking up.
pub(crate) fn resolve_by<'a>(
    get: &dyn Fn(&LayerPath) -> Option<Cow<'a, Entry>>,
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
        let entry = entry.into_owned();
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
        way.push(entry);
    }
    Ok(Resolved {
        entry: get(&at).map(Cow::into_owned),
        path: at,
        way,
    })
}
