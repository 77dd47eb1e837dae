//! A root that is ready to be mounted, and what has to be put on top of the image's own layers for
//! that: mount points that it lacks, and folders that foreign layers use without naming them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_layer::{Entry, File, Kind, LayerPath, Meta, Root, Time, Tree};
use kiln_sandbox::{PointKind, RootSpec, mount_points};

use crate::{Bodies, Error, network_files};

/// Layers and an empty upper directory, to be mounted by a sandbox.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) root: Arc<Root>,
    pub(crate) stubs: Tree,
    pub(crate) lowers: Vec<PathBuf>,
    /// The folder that becomes the body: it has `upper` in it.
    pub(crate) layer: PathBuf,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
}

impl Prepared {
    /// The image's layers, to look things up in. What is in the upper directory is not seen.
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Whether a layer of the caller's own is on top, with what the image lacks; the kernel also
    /// wants one where the image has no layer at all.
    pub(crate) fn has_stubs(&self) -> bool {
        !self.stubs.is_empty() || self.root.layers().is_empty()
    }

    /// The directory that receives the changes.
    pub fn upper(&self) -> &Path {
        &self.upper
    }

    /// What a sandbox mounts. `volatile`: nothing is synced, which is right for whoever commits the
    /// result, and syncs once for all; wrong for what is to survive a failure of the machine.
    pub fn root_spec(&self, volatile: bool) -> RootSpec {
        RootSpec::Overlay {
            lowers: self.lowers.clone(),
            upper: self.upper.clone(),
            work: self.work.clone(),
            volatile,
        }
    }

    /// Makes the folder `path` (absolute, inside the root) in the upper directory, with the folders
    /// above it, where the image has none: 0755, of user 0. Before the root is mounted, and at most
    /// once. Whether it was missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Layer`](crate::ErrorKind::Layer) when something that is not a folder is in the way.
    pub fn make_folder(&self, path: &str, bodies: &dyn Bodies) -> Result<bool, Error> {
        let resolved = self.root.resolve(&LayerPath::parse(path)?)?;
        match &resolved.entry {
            Some(entry) if entry.is_dir() => return Ok(false),
            Some(entry) => {
                let what = format!("is a {}, not a folder", entry.kind.name());
                let error = kiln_layer::Error::new(kiln_layer::ErrorKind::Conflict, what);
                return Err(error.at(&resolved.path).into());
            }
            None => {}
        }
        let mut tree = Tree::new();
        above(&self.root, &resolved.path, Time::default(), &mut tree);
        tree.insert(Entry::folder(resolved.path, Meta::with_mode(0o755)));
        bodies.make(&tree, &self.upper)?;
        Ok(true)
    }
}

/// Something that must be in a root so that it can be mounted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where: absolute, inside the root.
    pub path: String,
    /// What is mounted on it.
    pub kind: PointKind,
}

impl Point {
    /// What a sandbox mounts on, whatever it is asked for.
    pub fn usual() -> Vec<Self> {
        let own = mount_points().iter().map(|point| (point.path, point.kind));
        let files = network_files::TARGETS.map(|path| (path, PointKind::File));
        let point = |(path, kind): (&str, PointKind)| Self {
            path: path.to_owned(),
            kind,
        };
        own.chain(files).map(point).collect()
    }
}

/// What the image lacks of `points`; what has to be made for it is of the time `made`.
pub(crate) fn stubs(root: &Root, points: &[Point], made: Time) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    for point in points {
        // What is in the way, and links that lead nowhere, are for the sandbox to tell.
        let Ok(resolved) = root.resolve(&LayerPath::parse(&point.path)?) else {
            continue;
        };
        if resolved.entry.is_some() || tree.get(&resolved.path).is_some() {
            continue;
        }
        above(root, &resolved.path, made, &mut tree);
        let meta = |mode| Meta {
            mtime: made,
            ..Meta::with_mode(mode)
        };
        tree.insert(match point.kind {
            PointKind::Directory => Entry::folder(resolved.path, meta(0o755)),
            PointKind::File => Entry {
                path: resolved.path,
                meta: meta(0o644),
                kind: Kind::File(File::unread(0)),
            },
        });
    }
    Ok(tree)
}

/// Folders that a layer uses without naming them look as the layers below have them: on the disk
/// they do not, because the same body stands on any layers.
pub(crate) fn patches(root: &Root, implied: &[LayerPath], tree: &mut Tree) {
    for path in implied {
        let Some(entry) = root.lookup(path).filter(|entry| entry.is_dir()) else {
            continue;
        };
        // As an unpacked body has it already.
        if entry.meta != Meta::with_mode(0o755) {
            above(root, path, Time::default(), tree);
            tree.insert(entry.into_owned());
        }
    }
}

/// The folders above `path`, as the root has them; new ones where it has none.
fn above(root: &Root, path: &LayerPath, made: Time, tree: &mut Tree) {
    for folder in path.ancestors() {
        let known = root.lookup(&folder).filter(|entry| entry.is_dir());
        let meta = Meta {
            mtime: made,
            ..Meta::with_mode(0o755)
        };
        let made = || Entry::folder(folder.clone(), meta);
        tree.insert(known.map_or_else(made, Cow::into_owned));
    }
}
