//! Lays the layers on top of each other, name by name, and remembers which content lost its last
//! name to whom. The rules are those of [`flatten`](crate::flatten).

use std::collections::{BTreeMap, HashMap};

use kiln_image::Digest;

use super::{Content, Differs, Gone, How};
use crate::{Entry, Kind, LayerPath, Tree};

/// The contents of `layers` (the bottom first), by layer, then by path.
pub(super) fn contents<'a>(layers: &[&'a Tree]) -> Vec<Content<'a>> {
    let mut replay = Replay::default();
    for (layer, tree) in layers.iter().enumerate() {
        replay.layer(layer, tree);
    }
    let mut contents = replay.contents;
    find_moved(&mut contents);
    contents
}

#[derive(Default)]
struct Replay<'a> {
    contents: Vec<Content<'a>>,
    /// For each content, how many names it has now.
    held: Vec<usize>,
    /// The names of contents as a process on the layers so far sees them.
    names: BTreeMap<LayerPath, usize>,
}

impl<'a> Replay<'a> {
    fn layer(&mut self, layer: usize, tree: &'a Tree) {
        let first = self.contents.len();
        let files = tree.iter().filter_map(|e| Some((e, e.file()?)));
        self.contents.extend(files.map(|(entry, file)| Content {
            layer,
            entry,
            file,
            gone: None,
        }));
        self.held.resize(self.contents.len(), 0);
        let mut now = Now { layer, tree, first };
        let is_link = |e: &&Entry| matches!(e.kind, Kind::Hardlink { .. });
        let mut open = None;
        for entry in tree.iter().filter(|e| !is_link(e)) {
            self.clear_way(&mut now, entry, &mut open);
            self.entry(&now, entry);
        }
        // Links after files, as they may reach to one that comes later.
        for entry in tree.iter().filter(is_link) {
            self.clear_way(&mut now, entry, &mut open);
            let content = self.linked(&now, entry);
            self.remove(&now, &entry.path, entry);
            if let Some(content) = content {
                self.name(&entry.path, content);
            }
        }
    }

    fn entry(&mut self, now: &Now<'a>, entry: &'a Entry) {
        match &entry.kind {
            Kind::Dir { opaque: false } => self.take(now, &entry.path, &entry.path),
            Kind::Dir { opaque: true } => self.remove(now, &entry.path, entry),
            Kind::File(_) => {
                self.remove(now, &entry.path, entry);
                if let Some(content) = self.content(now, &entry.path) {
                    self.name(&entry.path, content);
                }
            }
            _ => self.remove(now, &entry.path, entry),
        }
    }

    /// A file of a lower layer cannot stay where a folder is needed, though a foreign layer may not
    /// name that folder. `open`: a folder that is known to have a free way.
    fn clear_way(&mut self, now: &mut Now<'a>, entry: &'a Entry, open: &mut Option<LayerPath>) {
        if entry.is_whiteout() {
            return;
        }
        let Some(parent) = entry.path.parent().filter(|p| open.as_ref() != Some(p)) else {
            return;
        };
        for folder in parent.ancestors().chain([parent.clone()]) {
            self.take(now, &folder, &entry.path);
        }
        *open = Some(parent);
    }

    /// Which content a hard link is a name of: one of this layer, or what is below at its target.
    fn linked(&self, now: &Now<'a>, entry: &Entry) -> Option<usize> {
        if let Some((file, _)) = now.tree.file(&entry.path) {
            return self.content(now, &file.path);
        }
        match &entry.kind {
            Kind::Hardlink { target } => self.names.get(target).copied(),
            _ => None,
        }
    }

    /// The content that this layer has at `path`.
    fn content(&self, now: &Now<'a>, path: &LayerPath) -> Option<usize> {
        let own = &self.contents[now.first..];
        let found = own.binary_search_by(|c| c.entry.path.cmp(path)).ok()?;
        Some(now.first + found)
    }

    fn name(&mut self, path: &LayerPath, content: usize) {
        self.held[content] += 1;
        self.contents[content].gone = None;
        self.names.insert(path.clone(), content);
    }

    /// Takes away all names at and beneath `path`, because of `entry`.
    fn remove(&mut self, now: &Now<'a>, path: &LayerPath, entry: &'a Entry) {
        let inside = self.names.range(path..).map(|(name, _)| name);
        let inside = inside.take_while(|name| name.starts_with(path));
        let gone: Vec<LayerPath> = inside.cloned().collect();
        for name in gone {
            self.take(now, &name, &entry.path);
        }
    }

    /// Takes away one name, because of what this layer has at `at`.
    fn take(&mut self, now: &Now<'a>, name: &LayerPath, at: &'a LayerPath) {
        let Some(content) = self.names.remove(name) else {
            return;
        };
        self.held[content] -= 1;
        if self.held[content] == 0 {
            let gone = now.fate(&self.contents[content], name, at);
            self.contents[content].gone = Some(gone);
        }
    }
}

/// The layer that is being laid on the others.
struct Now<'a> {
    layer: usize,
    tree: &'a Tree,
    /// The first of its contents.
    first: usize,
}

impl<'a> Now<'a> {
    /// Why `content` is no longer seen: its name `name` was the last.
    fn fate(&self, content: &Content<'a>, name: &LayerPath, at: &'a LayerPath) -> Gone<'a> {
        let by = self.layer;
        let Some(entry) = self.tree.get(name).filter(|e| !e.is_whiteout()) else {
            let how = How::Deleted;
            return Gone { by, at, how };
        };
        let is_same = self.tree.file(name).is_some_and(|(_, new)| {
            let old = content.file;
            !old.is_unread() && (old.size, old.digest) == (new.size, new.digest)
        });
        let how = match is_same {
            true => How::Repeated(Differs::between(&content.entry.meta, &entry.meta)),
            false => How::Changed,
        };
        let at = &entry.path;
        Gone { by, at, how }
    }
}

/// Finds what was not removed but moved: the layer that removed it has it somewhere else.
fn find_moved(contents: &mut [Content<'_>]) {
    let mut places: HashMap<(usize, Digest), &LayerPath> = HashMap::new();
    for content in contents.iter().filter(|c| c.is_told_apart()) {
        let key = (content.layer, content.file.digest);
        places.entry(key).or_insert(&content.entry.path);
    }
    for content in contents.iter_mut().filter(|c| c.is_told_apart()) {
        if let Some(gone) = &mut content.gone
            && gone.how == How::Deleted
            && let Some(at) = places.get(&(gone.by, content.file.digest))
        {
            *gone = Gone {
                at,
                how: How::Moved,
                ..*gone
            };
        }
    }
}
