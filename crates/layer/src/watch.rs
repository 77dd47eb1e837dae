//! Looks whether a layer contains what it must not, while it is written: one pass, and none where
//! there is nothing to look for. Refuses to understand contents: what is compressed or encoded in a
//! file is not found.

use std::io::{self, Write};

use aho_corasick::AhoCorasick;

use crate::{Entry, Kind, LayerPath, Tree};

/// Byte sequences to look for.
#[derive(Clone, Default)]
pub struct Watch {
    needles: Vec<Vec<u8>>,
    search: Option<AhoCorasick>,
}

/// Where something was found that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The entry that contains it, or whose name or attributes do.
    pub path: LayerPath,
    /// Which of the needles it is.
    pub needle: usize,
}

impl Watch {
    /// Looks for any of `needles`; empty ones are nowhere.
    pub fn new(needles: Vec<Vec<u8>>) -> Self {
        let search = match needles.iter().all(Vec::is_empty) {
            true => None,
            // With the sizes that needles have it cannot fail; then nothing would be found.
            false => AhoCorasick::new(&needles).ok(),
        };
        Self { needles, search }
    }

    /// What is looked for.
    pub fn needles(&self) -> &[Vec<u8>] {
        &self.needles
    }

    /// Which needle is in `bytes`, and where it begins.
    pub fn find(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let found = self.search.as_ref()?.find_iter(bytes);
        let mut found = found.filter(|found| !found.is_empty());
        found.next().map(|m| (m.pattern().as_usize(), m.start()))
    }

    /// A writer that passes a layer's tar on to `out` and looks at it.
    pub fn over<W: Write>(&self, out: W) -> Watched<'_, W> {
        let longest = self.needles.iter().map(Vec::len).max().unwrap_or_default();
        Watched {
            watch: self,
            out,
            end: Vec::new(),
            kept: longest.saturating_sub(1),
            written: 0,
            found: Vec::new(),
        }
    }

    /// The first entry whose name, target or attributes contain a needle.
    fn beside(&self, tree: &Tree) -> Option<Sighting> {
        self.search.as_ref()?;
        let in_entry = |entry: &Entry| {
            let name = self.find(entry.path.as_bytes());
            let target = || match &entry.kind {
                Kind::Symlink { target } => self.find(target),
                _ => None,
            };
            let attribute = || {
                entry
                    .meta
                    .xattrs
                    .values()
                    .find_map(|value| self.find(value))
            };
            let (needle, _) = name.or_else(target).or_else(attribute)?;
            let path = entry.path.clone();
            Some(Sighting { path, needle })
        };
        tree.iter().find_map(in_entry)
    }
}

impl std::fmt::Debug for Watch {
    /// What is looked for is not for everybody's eyes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({} needles)", self.needles.len())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for needle in &mut self.needles {
            needle.fill(0);
            std::hint::black_box(&*needle);
        }
    }
}

/// A writer that looks at what goes through it. See [`Watch::over`].
pub struct Watched<'a, W> {
    watch: &'a Watch,
    out: W,
    /// The end of what was written, where a needle may have begun.
    end: Vec<u8>,
    kept: usize,
    written: u64,
    /// Where which needle begins.
    found: Vec<(u64, usize)>,
}

/// Of how many findings the places are kept: some are in headers, and told by the tree.
const KEPT: usize = 64;

impl<W> Watched<'_, W> {
    /// Where a needle is in the layer that was written, whose tree this is.
    pub fn sighting(&self, tree: &Tree) -> Option<Sighting> {
        let in_file = |(at, needle): &(u64, usize)| {
            let has = |entry: &&Entry| {
                entry.file().is_some_and(|file| {
                    let begin = file.position();
                    (begin..begin.saturating_add(file.size)).contains(at)
                })
            };
            let path = tree.iter().find(has)?.path.clone();
            let needle = *needle;
            Some(Sighting { path, needle })
        };
        let found = self.found.iter().find_map(in_file);
        found.or_else(|| self.watch.beside(tree))
    }

    fn look(&mut self, bytes: &[u8]) {
        if self.found.len() >= KEPT {
            return;
        }
        // What began in the bytes before and ends in these; then what is in these alone.
        let old = self.end.len();
        self.end
            .extend_from_slice(&bytes[..bytes.len().min(self.kept)]);
        let (begin, across) = (self.written - old as u64, &self.end);
        self.found.extend(
            self.watch
                .find(across)
                .map(|(needle, at)| (begin + at as u64, needle)),
        );
        let mut from = 0;
        while self.found.len() < KEPT
            && let Some((needle, at)) = self.watch.find(&bytes[from..])
        {
            self.found.push((self.written + (from + at) as u64, needle));
            from += at + 1;
        }
        match bytes.len() >= self.kept {
            true => {
                self.end.clear();
                self.end
                    .extend_from_slice(&bytes[bytes.len() - self.kept..]);
            }
            false => {
                let surplus = self.end.len().saturating_sub(self.kept);
                self.end.drain(..surplus);
            }
        }
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        if self.watch.search.is_some() {
            self.look(&bytes[..n]);
        }
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InMemory, Meta, Times, pack};

    fn sighting(files: &[(&str, &str)], needles: &[&str], piece: usize) -> Option<(String, usize)> {
        let mut tree = InMemory::new();
        for (path, text) in files {
            let path = LayerPath::parse(path).unwrap();
            tree.file(path, Meta::with_mode(0o644), text);
        }
        let (tar, packed) = pack(&tree, Vec::new(), Times::Keep).unwrap();
        let watch = Watch::new(needles.iter().map(|n| n.as_bytes().to_vec()).collect());
        let mut watched = watch.over(io::sink());
        for piece in tar.chunks(piece) {
            watched.write_all(piece).unwrap();
        }
        let found = watched.sighting(&packed.tree)?;
        Some((found.path.to_string(), found.needle))
    }

    #[test]
    fn needles_are_found_however_the_tar_is_cut() {
        let long = format!("{}secret-two{}", "x".repeat(3000), "y".repeat(3000));
        let files = [("a", "nothing"), ("b", &long), ("c", "end secret-one")];
        let needles = ["secret-one", "secret-two"];
        for piece in [1, 3, 7, 9, 10, 11, 512, 513, 100_000] {
            assert_eq!(
                sighting(&files, &needles, piece),
                Some(("b".to_owned(), 1)),
                "{piece}"
            );
            assert_eq!(
                sighting(&files, &needles[..1], piece),
                Some(("c".to_owned(), 0)),
                "{piece}"
            );
            assert_eq!(sighting(&files, &["secret-three"], piece), None, "{piece}");
        }
    }

    #[test]
    fn names_are_contents_as_well() {
        let files = [("d/token-12345678", "x")];
        let found = sighting(&files, &["token-12345678"], 512);
        assert_eq!(found, Some(("d/token-12345678".to_owned(), 0)));
    }

    #[test]
    fn nothing_to_look_for_is_nowhere() {
        assert_eq!(sighting(&[("a", "text")], &[], 512), None);
        assert_eq!(sighting(&[("a", "text")], &[""], 512), None);
    }
}
