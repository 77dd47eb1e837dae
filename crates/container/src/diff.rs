//! `diff`: what a container changed in its image.

use std::collections::BTreeMap;
use std::fmt;

use kiln_layer::{LayerPath, Root, Times, Tree};

use crate::Error;
use crate::containers::Container;
use crate::root::changed;

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is in the container alone.
    Added,
    /// It is in both, and not the same; or it is a folder in which something was changed.
    Changed,
    /// It is in the image alone.
    Deleted,
}

impl fmt::Display for Change {
    /// docker's letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        })
    }
}

impl Container {
    /// What was changed, in the order of the paths, which begin with a slash. What is mounted in it is
    /// not its own; the folders that mounts stand on are. While the container runs, what it writes
    /// meanwhile may be among it or not.
    ///
    /// # Errors
    ///
    /// As [`Roots::changes`](kiln_rootfs::Roots::changes).
    pub fn diff(&self) -> Result<Vec<(Change, String)>, Error> {
        let Some(prepared) = changed(self)? else {
            return Ok(Vec::new());
        };
        let layers = &self.details.layers;
        let found = self.roots.changes(&prepared, layers, Times::Keep, false);
        let (_, tree) = self.or_missing(found)?;
        Ok(between(&tree, prepared.root()))
    }
}

fn between(changes: &Tree, image: &Root) -> Vec<(Change, String)> {
    let mut all: BTreeMap<LayerPath, Change> = BTreeMap::new();
    for entry in changes.iter().filter(|entry| !entry.path.is_root()) {
        let below = image.lookup(&entry.path);
        let change = match below {
            _ if entry.is_whiteout() => Change::Deleted,
            None => Change::Added,
            Some(_) => Change::Changed,
        };
        all.insert(entry.path.clone(), change);
        for folder in entry.path.ancestors().filter(|path| !path.is_root()) {
            all.entry(folder).or_insert(Change::Changed);
        }
    }
    let text = |path: &LayerPath| format!("/{}", String::from_utf8_lossy(path.as_bytes()));
    all.iter()
        .map(|(path, change)| (*change, text(path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use kiln_image::Digest;
    use kiln_layer::Files as _;
    use kiln_layer::{Entry, InMemory, Meta, RootLayer};

    use super::*;

    #[test]
    fn as_docker_shows_it() {
        let path = |text: &str| LayerPath::parse(text).unwrap();
        let meta = || Meta::with_mode(0o644);
        let mut image = InMemory::new();
        for folder in ["etc", "etc/deep", "var"] {
            image.entry(Entry::folder(path(folder), Meta::with_mode(0o755)));
        }
        for file in ["etc/a", "etc/b", "etc/deep/c"] {
            image.file(path(file), meta(), "");
        }
        let root = Root::new(vec![RootLayer {
            diff_id: Digest::sha256(b""),
            files: std::sync::Arc::new(image),
        }]);
        let mut changes = InMemory::new();
        changes.entry(Entry::folder(path(""), Meta::with_mode(0o755)));
        changes.file(path("etc/a"), meta(), "changed");
        changes.entry(Entry::whiteout(path("etc/b")));
        changes.file(path("etc/deep/new"), meta(), "new");
        changes.entry(Entry::folder(path("etc.d"), Meta::with_mode(0o755)));
        changes.file(path("etc.d/x"), meta(), "");
        let shown: Vec<String> = between(changes.tree(), &root)
            .iter()
            .map(|(change, path)| format!("{change} {path}"))
            .collect();
        assert_eq!(
            shown,
            [
                "C /etc",
                "C /etc/a",
                "D /etc/b",
                "C /etc/deep",
                "A /etc/deep/new",
                "A /etc.d",
                "A /etc.d/x",
            ]
        );
    }
}
