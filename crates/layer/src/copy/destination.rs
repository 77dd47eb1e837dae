//! The root that is copied onto, with the changes made so far on top.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{Change, Copied, Met, Origin};
use crate::{Entry, Error, ErrorKind, Kind, LayerPath, Meta, Root, links::LinkedTree, root};

pub(super) struct Destination<'r> {
    onto: &'r Root,
    changes: LinkedTree,
    /// Where the content of each changed file comes from, hard links included.
    sources: BTreeMap<LayerPath, Origin>,
    /// The metadata of folders that are made.
    made: Meta,
    met: RefCell<BTreeSet<Met>>,
    /// Paths at which what was there counts no more.
    replaced: BTreeSet<LayerPath>,
}

impl<'r> Destination<'r> {
    pub(super) fn new(onto: &'r Root, made: Meta) -> Self {
        Self {
            onto,
            changes: LinkedTree::default(),
            sources: BTreeMap::new(),
            made,
            met: RefCell::default(),
            replaced: BTreeSet::new(),
        }
    }

    /// The metadata of folders that are made.
    pub(super) fn made(&self) -> &Meta {
        &self.made
    }

    /// What is at `path` now.
    pub(super) fn get(&self, path: &LayerPath) -> Option<Cow<'_, Entry>> {
        let changed = self.changes.tree().get(path).map(Cow::Borrowed);
        changed.or_else(|| self.below(path).filter(|_| !self.replaced.contains(path)))
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
        self.enter_with(path, &self.made.clone())
    }

    /// [`enter`](Self::enter) with other metadata for what is missing.
    pub(super) fn enter_with(&mut self, path: &LayerPath, made: &Meta) -> Result<(), Error> {
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
                None => Entry::folder(folder, made.clone()),
            };
            self.changes.put(entry);
        }
        Ok(())
    }

    /// Puts a folder of a source, whose metadata counts.
    pub(super) fn folder(&mut self, folder: Entry) -> Result<(), Error> {
        self.parents(&folder.path)?;
        if let Some(entry) = self.get(&folder.path).filter(|e| !e.is_dir()) {
            return Err(not_a_folder(&entry));
        }
        self.changes.put(folder);
        Ok(())
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

    pub(super) fn finish(self) -> Copied {
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
