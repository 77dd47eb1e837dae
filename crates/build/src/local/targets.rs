//! Where the targets of a step's mounts really are: links are followed as the process will see them,
//! also those in what is mounted before. Refuses to look into what only the sandbox sees: there nothing
//! is a link to this module, and the sandbox follows it by itself.

use std::{
    collections::VecDeque,
    path::{Component, Path},
    sync::Arc,
};

use kiln_layer::{Kind, LayerPath, Root};

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// What a path leads through: the root, and what is mounted in it so far.
pub(super) struct Seen<'a> {
    root: &'a Root,
    above: Vec<Covered>,
}

/// A path that something is mounted on.
struct Covered {
    at: LayerPath,
    /// What is there instead, and which path of that; nothing where it is not known.
    by: Option<(Arc<Root>, LayerPath)>,
}

/// Where a target is.
pub(super) struct Target {
    /// All links followed.
    pub(super) path: LayerPath,
    /// Whether that is in the root itself, and not in what is mounted upon it.
    pub(super) in_root: bool,
}

impl<'a> Seen<'a> {
    pub(super) fn new(root: &'a Root) -> Self {
        Self {
            root,
            above: Vec::new(),
        }
    }

    /// From here on `by` is seen at `target`, whose links have been followed.
    pub(super) fn cover(&mut self, target: &Target, by: Option<(Arc<Root>, LayerPath)>) {
        let at = target.path.clone();
        self.above.push(Covered { at, by });
    }

    /// Where `target` (absolute) is; `None` for what is no path, or for links that never end.
    pub(super) fn find(&self, target: &str) -> Option<Target> {
        let mut rest: VecDeque<Vec<u8>> = names(target.as_bytes()).collect();
        let (mut path, mut links) = (LayerPath::root(), 0);
        while let Some(name) = rest.pop_front() {
            if name == b".." {
                path = path.parent().unwrap_or_default();
                continue;
            }
            let next = path.join(&name).ok()?;
            let Some(to) = self.link(&next) else {
                path = next;
                continue;
            };
            links += 1;
            if links > LINKS {
                return None;
            }
            if to.starts_with(b"/") {
                path = LayerPath::root();
            }
            for name in names(&to).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(name);
            }
        }
        let in_root = self.over(&path).is_none();
        Some(Target { path, in_root })
    }

    /// What is mounted over `path`, last of all.
    fn over(&self, path: &LayerPath) -> Option<&Covered> {
        let over = |covered: &&Covered| path.starts_with(&covered.at);
        self.above.iter().rev().find(over)
    }

    /// Where the link at `path` leads to, if there is one.
    fn link(&self, path: &LayerPath) -> Option<Vec<u8>> {
        let (root, inner) = match self.over(path) {
            None => (self.root, path.clone()),
            Some(covered) => {
                let (root, source) = covered.by.as_ref()?;
                (&**root, source.append(&path.strip(&covered.at)?).ok()?)
            }
        };
        match root.lookup(&inner)?.into_owned().kind {
            Kind::Symlink { target } => Some(target),
            _ => None,
        }
    }
}

/// The parts of a path that lead anywhere.
fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let parts = path.split(|byte| *byte == b'/');
    parts
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

/// How deep a target is said to lie: what lies in another mount comes after it.
pub(super) fn depth(target: &Path) -> usize {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_));
    target.components().filter(named).count()
}

#[cfg(test)]
mod tests {
    use kiln_layer::{Entry, InMemory, Meta, RootLayer};

    use super::*;

    fn root(links: &[(&str, &str)]) -> Root {
        let mut files = InMemory::new();
        for (path, target) in links {
            let kind = Kind::Symlink {
                target: target.as_bytes().to_vec(),
            };
            files.entry(Entry {
                path: path.parse().unwrap(),
                meta: Meta::with_mode(0o777),
                kind,
            });
        }
        Root::new(vec![RootLayer {
            diff_id: kiln_image::Digest::sha256(b""),
            files: Arc::new(files),
        }])
    }

    #[test]
    fn links_are_followed_through_what_is_mounted() {
        let image = root(&[
            ("data", "m/in"),
            ("m/old", "/x"),
            ("loop", "/loop"),
            ("up", "../.."),
        ]);
        let shown = Arc::new(root(&[
            ("s/abs", "/away/x"),
            ("s/rel", "../t"),
            ("s/p", "/proc"),
        ]));
        let mut seen = Seen::new(&image);
        let at = |seen: &Seen<'_>, target: &str| {
            let found = seen.find(target)?;
            Some((format!("/{}", found.path), found.in_root))
        };
        let is = |path: &str, in_root| Some((path.to_owned(), in_root));
        assert_eq!(at(&seen, "/data/c"), is("/m/in/c", true));
        assert_eq!(at(&seen, "/m/old/c"), is("/x/c", true));
        assert_eq!(at(&seen, "/up/./a/../b"), is("/b", true));
        assert_eq!(at(&seen, "/loop/x"), None);
        let target = seen.find("/m").unwrap();
        seen.cover(&target, Some((Arc::clone(&shown), "s".parse().unwrap())));
        for (target, found) in [
            ("/m/abs/y", is("/away/x/y", true)),
            // The link leads from where it is seen.
            ("/m/rel", is("/t", true)),
            ("/m/p/sys", is("/proc/sys", true)),
            ("/m/new", is("/m/new", false)),
            // What was there is not seen any more.
            ("/m/old/c", is("/m/old/c", false)),
            ("/data", is("/m/in", false)),
            ("/mm", is("/mm", true)),
        ] {
            assert_eq!(at(&seen, target), found, "{target}");
        }
        let target = seen.find("/m/abs").unwrap();
        seen.cover(&target, None);
        assert_eq!(at(&seen, "/away/x/z"), is("/away/x/z", false));
    }
}
