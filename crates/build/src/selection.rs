//! Which paths a COPY's patterns mean: while a folder is scanned, and in a tree that was. Patterns
//! match component by component; no `**`. Knows no disk.

use std::collections::{HashMap, HashSet};

use kiln_image::{Digest, HashingWriter};
use kiln_layer::{Entry, Kind, LayerPath, Root, Tree};
use kiln_parser::glob;

use crate::{Error, ErrorKind};

/// Patterns, ready to match.
#[derive(Debug)]
pub(crate) struct Selection {
    patterns: Vec<Vec<Part>>,
}

#[derive(Debug)]
enum Part {
    Literal(Vec<u8>),
    Magic(glob::Pattern),
}

/// How a path stands to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is selected, and so is what is in it.
    Selected,
    /// Something in it may be.
    Above,
    /// Neither.
    Outside,
}

impl Selection {
    /// From patterns as in COPY. None selects everything.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Error> {
        let parse = |p: &String| split(p).map(|part| Part::new(part, p)).collect();
        let patterns: Vec<Vec<Part>> = patterns.iter().map(parse).collect::<Result<_, _>>()?;
        match patterns.is_empty() {
            true => Ok(Self {
                patterns: vec![Vec::new()],
            }),
            false => Ok(Self { patterns }),
        }
    }

    /// Whether all paths are selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.patterns.iter().any(Vec::is_empty)
    }

    /// How `path` stands to it.
    pub(crate) fn fit(&self, path: &LayerPath) -> Fit {
        let mut best = Fit::Outside;
        for pattern in &self.patterns {
            match fit(pattern, path) {
                Fit::Selected => return Fit::Selected,
                Fit::Above => best = Fit::Above,
                Fit::Outside => {}
            }
        }
        best
    }
}

impl Part {
    fn new(part: &str, pattern: &str) -> Result<Self, Error> {
        if !glob::has_magic(part) {
            return Ok(Part::Literal(part.as_bytes().to_vec()));
        }
        glob::Pattern::new(part).map(Part::Magic).map_err(|e| {
            Error::new(ErrorKind::Input, format!("pattern `{pattern}`")).because(e.to_string())
        })
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Part::Literal(literal) => literal == name,
            Part::Magic(pattern) => pattern.matches(&String::from_utf8_lossy(name)),
        }
    }
}

/// The components of a pattern; `..` stays at the root.
fn split(pattern: &str) -> impl Iterator<Item = &str> {
    pattern
        .split('/')
        .filter(|c| !c.is_empty() && *c != "." && *c != "..")
}

fn fit(pattern: &[Part], path: &LayerPath) -> Fit {
    let mut parts = pattern.iter();
    for name in path.components() {
        match parts.next() {
            None => return Fit::Selected,
            Some(part) if part.matches(name) => {}
            Some(_) => return Fit::Outside,
        }
    }
    match parts.next() {
        None => Fit::Selected,
        Some(_) => Fit::Above,
    }
}

/// Whether a pattern has a wildcard.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    split(pattern).any(glob::has_magic)
}

/// The paths of `files` that one source of a COPY means: itself where it has no wildcard, else all
/// that match, in order. A literal is not looked up.
pub(crate) fn expand(tree: &Tree, source: &str) -> Result<Vec<LayerPath>, Error> {
    if !is_pattern(source) {
        let clean: Vec<&str> = split(source).collect();
        let path = LayerPath::parse(clean.join("/")).map_err(|e| {
            Error::new(ErrorKind::Input, format!("path `{source}`")).because(e.to_string())
        })?;
        return Ok(vec![path]);
    }
    let pattern: Vec<Part> = split(source)
        .map(|part| Part::new(part, source))
        .collect::<Result<_, _>>()?;
    let depth = pattern.len();
    let hit =
        |e: &&Entry| e.path.depth() == depth && matches!(fit(&pattern, &e.path), Fit::Selected);
    // Nothing matches outside of the folders that are written out.
    let mut above = LayerPath::root();
    for part in &pattern {
        match part {
            Part::Literal(name) => above = above.join(name)?,
            Part::Magic(_) => break,
        }
    }
    let inside = tree.within(&above);
    Ok(inside.filter(hit).map(|e| e.path.clone()).collect())
}

/// What a COPY of `sources` sees of a tree: names, kinds, modes, contents, which names are one file;
/// owners where they are kept; never times. `None` when a file among it is unread.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) names the literal source that is not there.
pub(crate) fn digest(
    root: &Root,
    sources: &[String],
    owners: bool,
) -> Result<Option<Digest>, Error> {
    let tree = whole(root);
    let mut sum = Sum::new(owners);
    let linked = linked(tree);
    for source in sources {
        sum.text(source.as_bytes());
        for path in expand(tree, source)? {
            let Some(found) = real(root, tree, &path) else {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("`{source}` is not there"),
                ));
            };
            sum.text(path.name().unwrap_or_default());
            let above = found.as_bytes().len();
            // A COPY makes links of the names that it finds in one source.
            let mut firsts: HashMap<&LayerPath, &[u8]> = HashMap::new();
            for entry in tree.within(&found) {
                let (own, file) = match &entry.kind {
                    Kind::Hardlink { target } => (target, tree.get(target).and_then(Entry::file)),
                    _ => (&entry.path, entry.file()),
                };
                if file.is_some_and(kiln_layer::File::is_unread) {
                    return Ok(None);
                }
                let inner = &entry.path.as_bytes()[above..];
                let inner = inner.strip_prefix(b"/").unwrap_or(inner);
                sum.entry(inner, entry, tree);
                if linked.contains(own) {
                    let first = *firsts.entry(own).or_insert(inner);
                    if first != inner {
                        // No name has this in it.
                        sum.text(b"\0");
                        sum.text(first);
                    }
                }
            }
        }
    }
    Ok(Some(sum.finish()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits() {
        let fit = |patterns: &[&str], path: &str| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            Selection::new(&patterns)
                .unwrap()
                .fit(&path.parse().unwrap())
        };
        for (patterns, path, want) in [
            (&[][..], "any/thing", Fit::Selected),
            (&["."][..], "any", Fit::Selected),
            (&["src"][..], "src/main.rs", Fit::Selected),
            (&["src/a"][..], "src", Fit::Above),
            (&["src/a"][..], "src/b", Fit::Outside),
            (&["*.txt"][..], "a.txt", Fit::Selected),
            (&["*.txt"][..], "a.rs", Fit::Outside),
            (&["*/x"][..], "a", Fit::Above),
            (&["../a"][..], "a", Fit::Selected),
            (&["a", "b*/c"][..], "bb/c/d", Fit::Selected),
        ] {
            assert_eq!(fit(patterns, path), want, "{patterns:?} {path}");
        }
    }

    fn root(files: &[(&str, u32, &str)]) -> Root {
        let mut memory = kiln_layer::InMemory::new();
        for (path, mode, text) in files {
            let mut meta = kiln_layer::Meta::with_mode(*mode);
            meta.uid = u32::try_from(text.len()).unwrap();
            memory.file(path.parse().unwrap(), meta, text);
        }
        crate::context::as_root(std::sync::Arc::new(memory))
    }

    #[test]
    fn wildcards_are_expanded_in_order_and_literals_as_they_are() {
        let root = root(&[("b.txt", 0, ""), ("a.txt", 0, ""), ("sub/c.txt", 0, "")]);
        let expanded = |source: &str| {
            let found = expand(kiln_layer::Files::tree(&root), source).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(expanded("*.txt"), ["a.txt", "b.txt"]);
        assert_eq!(expanded("./sub//x"), ["sub/x"]);
        assert!(expanded("*.rs").is_empty());
    }

    #[test]
    fn the_digest_is_of_what_a_copy_takes() {
        let of = |files: &[(&str, u32, &str)], sources: &[&str], owners| {
            let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
            digest(&root(files), &sources, owners).unwrap().unwrap()
        };
        let files = [("a", 0o644, "1"), ("b", 0o644, "22")];
        let same = of(&files, &["a"], false);
        assert_eq!(same, of(&files[..1], &["a"], false), "nobody takes `b`");
        assert_ne!(same, of(&files, &["a", "b"], false), "another file");
        assert_ne!(same, of(&files, &["b"], false), "another name");
        assert_ne!(
            same,
            of(&[("a", 0o755, "1")], &["a"], false),
            "another mode"
        );
        assert_ne!(
            same,
            of(&[("a", 0o644, "2")], &["a"], false),
            "other content"
        );
        assert_ne!(
            same,
            of(&files, &["a"], true),
            "owners count where they are kept"
        );
        let missing = digest(&root(&files), &["c".to_owned()], false).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn which_names_are_one_file_counts_where_both_are_taken() {
        let link = |path: &str, target: &str| Entry {
            path: path.parse().unwrap(),
            meta: kiln_layer::Meta::with_mode(0o644),
            kind: Kind::Hardlink {
                target: target.parse().unwrap(),
            },
        };
        let of = |links: &[(&str, &str)], sources: &[&str]| {
            let mut memory = kiln_layer::InMemory::new();
            for path in ["d/a", "d/b", "d/c", "e/a", "e/b"] {
                match links.iter().find(|(name, _)| *name == path) {
                    Some((name, target)) => memory.entry(link(name, target)),
                    None => {
                        let meta = kiln_layer::Meta::with_mode(0o644);
                        memory.file(path.parse().unwrap(), meta, "x");
                    }
                }
            }
            let root = crate::context::as_root(std::sync::Arc::new(memory));
            let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
            digest(&root, &sources, false).unwrap().unwrap()
        };
        let apart = of(&[], &["d"]);
        let one = of(&[("d/b", "d/a")], &["d"]);
        assert_ne!(apart, one, "two names of one file");
        assert_ne!(one, of(&[("d/c", "d/a")], &["d"]), "other names");
        assert_ne!(one, of(&[("d/b", "d/a"), ("d/c", "d/a")], &["d"]), "three");
        let beyond = of(&[("e/a", "d/a"), ("e/b", "d/a")], &["e"]);
        assert_ne!(beyond, of(&[], &["e"]), "names of a file that is not taken");
        assert_eq!(beyond, of(&[("e/b", "e/a")], &["e"]), "wherever it is");
        let alone = of(&[("e/a", "d/a")], &["e"]);
        assert_eq!(
            of(&[("d/b", "d/a")], &["d/a", "d/b"]),
            of(&[], &["d/a", "d/b"]),
            "sources are copied for themselves"
        );
        assert_eq!(alone, of(&[], &["e"]), "one of two names");
    }
}
