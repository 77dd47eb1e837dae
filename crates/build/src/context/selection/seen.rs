//! What a COPY sees of a tree, as a digest: its content key, and that of the files of a context. Knows
//! no disk.

use std::collections::{HashMap, HashSet};

use kiln_graph::Select;
use kiln_image::{Digest, HashingWriter};
use kiln_layer::{Entry, Keep, Kind, LayerPath, Root, Tree};

use super::{Exclude, Found, expand, is_pattern};
use crate::{Error, ErrorKind};

/// What a COPY of what is selected sees of a tree: names, kinds, modes, contents, which names are one
/// file; owners where they are kept; never times. `None` when a file among it is unread.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) names the literal source that is not there.
pub(crate) fn digest(root: &Root, select: &Select, owners: bool) -> Result<Option<Digest>, Error> {
    let tree = whole(root);
    let exclude = Exclude::new(&select.exclude)?;
    let mut seen = Seen {
        root,
        tree,
        linked: linked(tree),
        exclude: Some(exclude).filter(|exclude| !exclude.is_empty()),
        sum: Sum::new(owners),
    };
    // No pattern is all there is.
    let everything = [".".to_owned()];
    let patterns = match select.patterns.is_empty() {
        true => &everything[..],
        false => &select.patterns,
    };
    for source in patterns {
        seen.sum.text(source.as_bytes());
        for found in expand(root, source, select.deep)? {
            match seen.source(&found) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(Missing) => {
                    let what = match is_pattern(source) {
                        true => format!("`{}`, which `{source}` means, leads nowhere", found.path),
                        false => format!("`{source}` is not there"),
                    };
                    return Err(Error::new(ErrorKind::NotFound, what));
                }
            }
        }
    }
    Ok(Some(seen.sum.finish()))
}

struct Seen<'a> {
    root: &'a Root,
    tree: &'a Tree,
    linked: HashSet<&'a LayerPath>,
    exclude: Option<Exclude>,
    sum: Sum,
}

struct Missing;

impl Seen<'_> {
    /// Adds a source and what is in it; tells whether all of that has been read.
    fn source(&mut self, source: &Found) -> Result<bool, Missing> {
        let Some(found) = real(self.root, self.tree, &source.path) else {
            return Err(Missing);
        };
        // By what it is asked whether it is taken, and where its name is kept.
        let name = match &source.base {
            None => source.path.name().unwrap_or_default(),
            Some(base) => self.folders_above(&source.path, base),
        };
        self.sum.text(name);
        let above = found.as_bytes().len();
        // A COPY makes links of the names that it finds in one source.
        let mut firsts: HashMap<&LayerPath, &[u8]> = HashMap::new();
        for entry in self.tree.within(&found) {
            let inner = &entry.path.as_bytes()[above..];
            let inner = inner.strip_prefix(b"/").unwrap_or(inner);
            let kept = if source.base.is_some() { name } else { b"" };
            if !self.is_taken(entry, name, kept, inner) {
                continue;
            }
            let (own, file) = match &entry.kind {
                Kind::Hardlink { target } => (target, self.tree.get(target).and_then(Entry::file)),
                _ => (&entry.path, entry.file()),
            };
            if file.is_some_and(kiln_layer::File::is_unread) {
                return Ok(false);
            }
            self.sum.entry(inner, entry, self.tree);
            if self.linked.contains(own) {
                let first = *firsts.entry(own).or_insert(inner);
                if first != inner {
                    // No name has this in it.
                    self.sum.text(b"\0");
                    self.sum.text(first);
                }
            }
        }
        Ok(true)
    }

    /// Adds the folders between `base` and `path`; what is kept of `path`.
    fn folders_above<'p>(&mut self, path: &'p LayerPath, base: &LayerPath) -> &'p [u8] {
        for above in path
            .ancestors()
            .filter(|above| above.depth() > base.depth())
        {
            let folder = real(self.root, self.tree, &above).and_then(|path| self.tree.get(&path));
            if let Some(folder) = folder {
                self.sum.entry(b"", folder, self.tree);
            }
        }
        let kept = &path.as_bytes()[base.as_bytes().len()..];
        kept.strip_prefix(b"/").unwrap_or(kept)
    }

    fn is_taken(&self, entry: &Entry, name: &[u8], kept: &[u8], inner: &[u8]) -> bool {
        let Some(exclude) = &self.exclude else {
            return true;
        };
        let asked = match inner {
            // A folder whose contents are copied is not asked for.
            b"" if kept.is_empty() && entry.is_dir() => return true,
            b"" => name.to_vec(),
            inner if kept.is_empty() => inner.to_vec(),
            inner => [kept, b"/", inner].concat(),
        };
        LayerPath::parse(asked).is_ok_and(|asked| exclude.keep(&asked, entry.is_dir()) != Keep::No)
    }
}

/// The files that have several names, by the one that the others name.
fn linked(tree: &Tree) -> HashSet<&LayerPath> {
    let mut all = HashSet::new();
    for entry in tree.iter() {
        if let Kind::Hardlink { target } = &entry.kind {
            all.insert(target);
        }
    }
    all
}

/// All that a root shows. That of one layer which removes nothing, as a context is, is its tree.
fn whole(root: &Root) -> &Tree {
    if let [layer] = root.layers() {
        let tree = layer.files.tree();
        let removes = |e: &Entry| matches!(e.kind, Kind::Whiteout | Kind::Dir { opaque: true });
        if !tree.iter().any(removes) {
            return tree;
        }
    }
    kiln_layer::Files::tree(root)
}

/// Where what is at `path` really is, links on the way and its own followed; `None` where nothing is.
fn real(root: &Root, tree: &Tree, path: &LayerPath) -> Option<LayerPath> {
    let is_plain = |p: &LayerPath| {
        let entry = tree.get(p);
        p.is_root() || entry.is_some_and(|e| !matches!(e.kind, Kind::Symlink { .. }))
    };
    if is_plain(path) && path.ancestors().all(|p| is_plain(&p)) {
        return Some(path.clone());
    }
    let found = root.resolve(path).ok()?;
    (path.is_root() || found.entry.is_some()).then_some(found.path)
}

struct Sum {
    hash: HashingWriter<std::io::Sink>,
    /// What is still to be hashed: many small pieces are slow.
    pending: Vec<u8>,
    owners: bool,
}

impl Sum {
    const MANY: usize = 32 << 10;

    fn new(owners: bool) -> Self {
        Self {
            hash: HashingWriter::new(std::io::sink()),
            pending: Vec::with_capacity(Self::MANY + 4096),
            owners,
        }
    }

    fn flush(&mut self) {
        let pending = &self.pending;
        std::io::Write::write_all(&mut self.hash, pending).expect("a sink takes everything");
        self.pending.clear();
    }

    fn finish(mut self) -> Digest {
        self.flush();
        self.hash.finish().1
    }

    /// Length first, so that no two sequences of texts give the same bytes.
    fn text(&mut self, bytes: &[u8]) {
        self.pending
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(bytes);
        if self.pending.len() > Self::MANY {
            self.flush();
        }
    }

    fn entry(&mut self, name: &[u8], entry: &Entry, tree: &Tree) {
        self.text(name);
        self.text(&entry.meta.mode.to_le_bytes());
        if self.owners {
            self.text(&entry.meta.uid.to_le_bytes());
            self.text(&entry.meta.gid.to_le_bytes());
        }
        for (key, value) in &entry.meta.xattrs {
            self.text(key);
            self.text(value);
        }
        let device = |major: u32, minor: u32| {
            let mut both = [0; 8];
            both[..4].copy_from_slice(&major.to_le_bytes());
            both[4..].copy_from_slice(&minor.to_le_bytes());
            both
        };
        let numbers;
        let (kind, content): (&str, &[u8]) = match &entry.kind {
            Kind::File(file) => ("file", file.digest.bytes()),
            Kind::Hardlink { target } => match tree.get(target).and_then(Entry::file) {
                Some(file) => ("file", file.digest.bytes()),
                None => ("link", target.as_bytes()),
            },
            Kind::Symlink { target } => ("symlink", target),
            Kind::Char { major, minor } | Kind::Block { major, minor } => {
                numbers = device(*major, *minor);
                let is_char = matches!(entry.kind, Kind::Char { .. });
                (if is_char { "char" } else { "block" }, &numbers)
            }
            other => (other.name(), &[]),
        };
        self.text(kind.as_bytes());
        self.text(content);
    }
}
