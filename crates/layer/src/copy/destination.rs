//! The root that is copied onto, with the changes made so far on top.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use kiln_image::Digest;

use super::{Change, Copied, Met, Origin};
use crate::{
    Entry, Error, ErrorKind, File, Kind, LayerPath, Meta, Root, Time, links::LinkedTree, root,
};

const SETGID: u32 = 0o2000;

/// What folders get that are made.
#[derive(Clone, Copy)]
pub(super) struct Made {
    /// Who owns them; root where nobody was named.
    owner: Option<(u32, u32)>,
    mode: u32,
    time: Time,
    /// Whether one in a folder with setgid has that too, and its group where no owner was named: as a
    /// new folder has on a disk.
    inherits: bool,
}

impl Made {
    pub(super) fn new(owner: Option<(u32, u32)>, mode: u32, time: Time) -> Self {
        Self {
            owner,
            mode,
            time,
            inherits: true,
        }
    }

    /// The same wherever it is made.
    pub(super) fn as_it_is(self) -> Self {
        Self {
            inherits: false,
            ..self
        }
    }

    fn meta(&self) -> Meta {
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        Meta {
            uid,
            gid,
            mtime: self.time,
            ..Meta::with_mode(self.mode)
        }
    }

    /// What a folder gets that is made in `above`.
    fn within(&self, above: Option<&Meta>) -> Meta {
        let mut meta = self.meta();
        if let Some(above) = above.filter(|above| self.inherits && above.mode & SETGID != 0) {
            meta.mode |= SETGID;
            meta.gid = self.owner.map_or(above.gid, |(_, gid)| gid);
        }
        meta
    }
}

pub(super) struct Destination<'r> {
    onto: &'r Root,
    changes: LinkedTree,
    /// Where the content of each changed file comes from, hard links included.
    sources: BTreeMap<LayerPath, Origin>,
    made: Made,
    met: RefCell<BTreeSet<Met>>,
    /// Whether a file got other metadata under one of its names.
    describes: bool,
    /// Paths at which what was there counts no more.
    replaced: BTreeSet<LayerPath>,
}

impl<'r> Destination<'r> {
    pub(super) fn new(onto: &'r Root, made: Made) -> Self {
        Self {
            onto,
            changes: LinkedTree::default(),
            sources: BTreeMap::new(),
            made,
            met: RefCell::default(),
            replaced: BTreeSet::new(),
            describes: false,
        }
    }

    /// The metadata of folders that are made.
    pub(super) fn made(&self) -> Meta {
        self.made.meta()
    }

    /// What is at `path` now.
    pub(super) fn get(&self, path: &LayerPath) -> Option<Cow<'_, Entry>> {
        let changed = self.changes.tree().get(path).map(Cow::Borrowed);
        changed.or_else(|| self.below(path).filter(|_| !self.is_replaced(path)))
    }

    /// Whether what the root has at `path` counts no more.
    fn is_replaced(&self, path: &LayerPath) -> bool {
        let is_one = |path: &LayerPath| self.replaced.contains(path);
        !self.replaced.is_empty() && (is_one(path) || path.ancestors().any(|above| is_one(&above)))
    }

    /// Whether the file at `path` is that of `origin`.
    pub(super) fn is_from(&self, path: &LayerPath, origin: &Origin) -> bool {
        self.changes.tree().file(path).is_some() && self.sources.get(path) == Some(origin)
    }

    /// What is at `path`, if it has setgid. That it has not is not noted: nothing comes of it.
    fn with_setgid(&self, path: &LayerPath) -> Option<Cow<'_, Entry>> {
        let changed = self.changes.tree().get(path).map(Cow::Borrowed);
        let there = changed.or_else(|| self.onto.lookup(path));
        there.filter(|entry| entry.meta.mode & SETGID != 0)?;
        self.get(path)
    }

    /// Whether there is a folder at `path` now.
    pub(super) fn is_dir(&self, path: &LayerPath) -> bool {
        self.get(path).is_some_and(|e| e.is_dir())
    }

    /// What the root has at `path`, which is noted as met.
    fn below(&self, path: &LayerPath) -> Option<Cow<'r, Entry>> {
        let found = self.onto.lookup(path)?;
        let link = match &found.kind {
            Kind::Symlink { target } => Some(target.clone()),
            _ => None,
        };
        self.met.borrow_mut().insert(Met {
            path: path.clone(),
            kind: found.kind.name(),
            mode: if link.is_none() { found.meta.mode } else { 0 },
            owner: (found.meta.uid, found.meta.gid),
            link,
            content: None,
        });
        Some(found)
    }

    /// Follows `path` through symbolic links.
    pub(super) fn resolve(&self, path: &LayerPath) -> Result<LayerPath, Error> {
        Ok(root::resolve_by(&|p| self.get(p), path)?.path)
    }

    /// Follows `path` through symbolic links that lead where they would with `top` as the root; the
    /// result is of the whole root.
    pub(super) fn resolve_in(&self, top: &LayerPath, path: &LayerPath) -> Result<LayerPath, Error> {
        let get = |inner: &LayerPath| self.get(&top.append(inner).ok()?);
        top.append(&root::resolve_by(&get, path)?.path)
    }

    /// Makes way at `path` for a folder or something else: what is there goes, unless both are folders.
    pub(super) fn make_way(&mut self, path: &LayerPath, is_folder: bool) {
        let stays = |there: &Entry| there.is_dir() && is_folder;
        if self.changes.tree().get(path).is_some_and(|e| !stays(e)) {
            self.changes.remove_within(path);
        }
        if self.below(path).is_some_and(|e| !stays(&e)) {
            self.replaced.insert(path.clone());
        }
    }

    /// Puts the folder `path` and those above it into the changes, as they are; makes what is
    /// missing.
    pub(super) fn enter(&mut self, path: &LayerPath) -> Result<(), Error> {
        self.enter_with(path, self.made)
    }

    /// [`enter`](Self::enter) with other metadata for what is missing.
    pub(super) fn enter_with(&mut self, path: &LayerPath, made: Made) -> Result<(), Error> {
        if self.changes.tree().get(path).is_some_and(Entry::is_dir) {
            return Ok(()); // and so are those above it
        }
        let missing = path.ancestors().chain([path.clone()]).skip(1);
        for folder in missing {
            if folder.is_root() || self.changes.tree().get(&folder).is_some_and(Entry::is_dir) {
                continue;
            }
            let entry = match self.get(&folder) {
                Some(entry) if entry.is_dir() => entry.into_owned(),
                Some(entry) => return Err(not_a_folder(&entry)),
                None => {
                    let above = folder.parent().and_then(|above| self.with_setgid(&above));
                    let meta = made.within(above.as_deref().map(|above| &above.meta));
                    Entry::folder(folder, meta)
                }
            };
            self.put_folder(entry);
        }
        Ok(())
    }

    /// Gives a folder of the changes another time.
    pub(super) fn date(&mut self, path: &LayerPath, time: Time) {
        if let Some(folder) = self.changes.tree().get(path) {
            let meta = Meta {
                mtime: time,
                ..folder.meta.clone()
            };
            self.changes.describe(path, meta);
        }
    }

    /// Puts a folder of a source, whose metadata counts.
    pub(super) fn folder(&mut self, folder: Entry) -> Result<(), Error> {
        self.parents(&folder.path)?;
        if let Some(entry) = self.get(&folder.path).filter(|e| !e.is_dir()) {
            return Err(not_a_folder(&entry));
        }
        self.put_folder(folder);
        Ok(())
    }

    /// Of a folder that was replaced and is made again, nothing of before is to be seen.
    fn put_folder(&mut self, mut folder: Entry) {
        if self.replaced.contains(&folder.path)
            && self.below(&folder.path).is_some_and(|e| e.is_dir())
        {
            folder.kind = Kind::Dir { opaque: true };
        }
        self.changes.put(folder);
    }

    /// Makes `path` another name of what is at `file`, which gets `meta`. What only the root has is in
    /// the changes then, with the input of the number `root` as its source.
    pub(super) fn link(
        &mut self,
        path: LayerPath,
        file: &LayerPath,
        meta: Meta,
        root: usize,
    ) -> Result<(), Error> {
        let changed = self
            .changes
            .tree()
            .file(file)
            .map(|(first, _)| first.clone());
        let is_changed = changed.is_some();
        let there = changed.or_else(|| self.get(file).map(Cow::into_owned));
        let Some(there) = there else {
            let what = format!("a hard link to `{file}`, which is not there");
            return Err(Error::new(ErrorKind::NotFound, what).at(&path));
        };
        let meta = meta.put_on(&there);
        if there.is_dir() {
            let what = format!("a hard link to `{file}`, which is a folder");
            return Err(Error::new(ErrorKind::Conflict, what).at(&path));
        }
        let origin = match &there.kind {
            Kind::File(_) | Kind::Hardlink { .. } if is_changed => {
                self.changes.describe(&there.path, meta.clone());
                self.describes = true;
                self.sources.get(&there.path).cloned()
            }
            Kind::File(_) | Kind::Hardlink { .. } => {
                let origin = self.take(&there, meta.clone(), root)?;
                Some(origin)
            }
            // One more of its kind.
            kind => {
                let kind = kind.clone();
                let first = Entry {
                    path: there.path,
                    meta: meta.clone(),
                    kind: kind.clone(),
                };
                self.leaf(first, None)?;
                return self.leaf(Entry { path, meta, kind }, None);
            }
        };
        let kind = Kind::Hardlink { target: there.path };
        self.leaf(Entry { path, meta, kind }, origin)
    }

    /// Puts a file of the root into the changes.
    fn take(&mut self, there: &Entry, meta: Meta, root: usize) -> Result<Origin, Error> {
        let Some(file) = self.onto.file(&there.path) else {
            let what = "a hard link to a file that is not there";
            return Err(Error::new(ErrorKind::NotFound, what).at(&there.path));
        };
        self.met.borrow_mut().insert(Met {
            path: there.path.clone(),
            kind: "file",
            mode: there.meta.mode,
            owner: (there.meta.uid, there.meta.gid),
            link: None,
            content: Some(Digest::sha256(
                format!("{} {:?}", file.digest, there.meta.xattrs).as_bytes(),
            )),
        });
        let origin = Origin {
            input: root,
            path: there.path.clone(),
        };
        let entry = Entry {
            path: there.path.clone(),
            meta,
            kind: Kind::File(File {
                offset: 0,
                ..file.clone()
            }),
        };
        self.leaf(entry, Some(origin.clone()))?;
        Ok(origin)
    }

    /// Puts everything else.
    pub(super) fn leaf(&mut self, entry: Entry, source: Option<Origin>) -> Result<(), Error> {
        self.parents(&entry.path)?;
        if self.is_dir(&entry.path) || entry.path.is_root() {
            let what = format!(
                "is a folder, which a {} cannot replace",
                match entry.kind {
                    Kind::Hardlink { .. } => "file",
                    ref kind => kind.name(),
                }
            );
            return Err(Error::new(ErrorKind::Conflict, what)
                .at(&entry.path)
                .hint("end the destination in a slash to copy into a folder"));
        }
        self.changes.remove_within(&entry.path);
        if let Some(source) = source {
            self.sources.insert(entry.path.clone(), source);
        }
        self.changes.put(entry);
        Ok(())
    }

    /// A source's tree may lack the folders above an entry.
    fn parents(&mut self, path: &LayerPath) -> Result<(), Error> {
        match path.parent() {
            Some(parent) => self.enter(&parent),
            None => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Copied {
        if self.describes {
            self.changes.describe_links(&BTreeMap::new());
        }
        let sources = self.sources;
        let changes = self.changes.finish();
        let changes = changes
            .into_iter()
            .map(|entry| Change {
                source: entry.file().and_then(|_| sources.get(&entry.path).cloned()),
                entry,
            })
            .collect();
        Copied {
            changes,
            met: self.met.into_inner().into_iter().collect(),
        }
    }
}

fn not_a_folder(entry: &Entry) -> Error {
    let what = format!("is a {}, which a folder cannot replace", entry.kind.name());
    Error::new(ErrorKind::Conflict, what).at(&entry.path)
}

/// Whether the text of a destination says that it is a folder.
pub(super) fn says_folder(text: &[u8]) -> bool {
    text.ends_with(b"/") || text.ends_with(b"/.") || text == b"." || text.is_empty()
}

/// A destination as it was written, without `.` and `..`: these go by the text, before any link
/// is followed, and stop at the root.
pub(super) fn clean(text: &[u8]) -> Result<LayerPath, Error> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in text.split(|b| *b == b'/') {
        match name {
            b".." => drop(names.pop()),
            name => names.push(name),
        }
        if names.last().is_some_and(|n| matches!(*n, b"" | b".")) {
            names.pop();
        }
    }
    LayerPath::parse(names.join(&b'/'))
}
