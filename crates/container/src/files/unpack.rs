//! A tar onto a disk, as `docker cp` does it: into a folder that is there, over files that are
//! there, and never a file over a folder nor a folder over a file.
//!
//! Refuses names that begin with `.wh.`, which in a layer mean a removal.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kiln_layer::{
    Directory, Entry, ErrorKind as LayerKind, Kind, LayerPath, Target, Tree, Whiteouts,
};

use serde::{Deserialize, Serialize};

use super::{failed, spoiled};
use crate::{Error, ErrorKind};

/// What a copy is to be put at, links followed: what they lead to is replaced, not they.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// Without a link at its end.
    pub(crate) path: String,
    /// Whether something is there, and whether that is a folder.
    pub(crate) there: Option<bool>,
}

impl Goal {
    pub(crate) fn of(path: &str) -> Self {
        let there = fs::metadata(path).ok().map(|there| there.is_dir());
        let mut at = PathBuf::from(path);
        if there != Some(true) {
            for _ in 0..LINKS {
                let Ok(target) = fs::read_link(&at) else {
                    break;
                };
                at = at.parent().unwrap_or(Path::new("/")).join(target);
            }
        }
        Self {
            // What is not text is not followed.
            path: at.to_str().unwrap_or(path).to_owned(),
            there,
        }
    }
}

/// How many links one path may lead through (Linux).
const LINKS: usize = 40;

/// Where a tar goes.
pub(crate) struct Unpack<'a> {
    /// A folder; links in the path to it are followed.
    pub(crate) folder: &'a Path,
    /// Links that are there already may lead on to other folders. Only for who stands in a root of
    /// its own, which nothing leads out of.
    pub(crate) follow: bool,
    /// Whose everything is; whose the tar says where `None`.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Unpacks `tar`, which is not trusted; how long it was.
pub(crate) fn unpack(tar: impl Read, to: &Unpack<'_>) -> Result<u64, Error> {
    let folder = fs::canonicalize(to.folder).map_err(|e| failed("open", to.folder, &e))?;
    if !folder.is_dir() {
        let what = format!(
            "`{}`: extraction point is not a directory",
            to.folder.display()
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    let (root, base) = match to.follow {
        true => {
            let base = LayerPath::parse(folder.as_os_str().as_bytes()).map_err(spoiled)?;
            (PathBuf::from("/"), base)
        }
        false => (folder, LayerPath::root()),
    };
    let mut target = Onto {
        inner: Directory::new(&root, Whiteouts::Apply).map_err(spoiled)?,
        root,
        base,
        follow: to.follow,
        owner: to.owner,
        known: HashMap::new(),
    };
    let applied = kiln_layer::apply(tar, &mut target).map_err(|e| match e.kind() {
        LayerKind::Io => spoiled(e),
        kind => {
            let kind = match kind {
                LayerKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Invalid,
            };
            Error::new(kind, e.to_string())
        }
    })?;
    match target.inner.refused().first() {
        None => Ok(applied.size),
        Some(first) => {
            let what = format!(
                "`/{}`: this user may not set its {}",
                first.path, first.what
            );
            let hint = match (first.what.starts_with("owner"), to.follow) {
                (true, true) => "no subordinate id of this user stands for it: see `kiln doctor`",
                (true, false) => "only root can give files to others: leave `--archive` out",
                (false, _) => "the rest was copied; only root can do this",
            };
            Err(Error::new(ErrorKind::Unsupported, what).hint(hint))
        }
    }
}

/// A folder, as far as [`Directory`] needs help to be one that `cp` copies to.
struct Onto {
    inner: Directory,
    /// What `inner` stands in.
    root: PathBuf,
    /// The folder that the tar goes to, from there.
    base: LayerPath,
    follow: bool,
    owner: Option<(u32, u32)>,
    /// Folders of the tar whose place is known.
    known: HashMap<LayerPath, LayerPath>,
}

impl Onto {
    /// Where the entry `path` of the tar goes.
    fn place(&mut self, path: &LayerPath) -> Result<LayerPath, kiln_layer::Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Ok(self.base.clone());
        };
        self.folder(&parent)?.join(name)
    }

    fn folder(&mut self, path: &LayerPath) -> Result<LayerPath, kiln_layer::Error> {
        if !self.follow || path.is_root() {
            return self.base.append(path);
        }
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let written = self.on_disk(&self.base.append(path)?);
        let place = match fs::canonicalize(&written) {
            Ok(real) => LayerPath::parse(real.as_os_str().as_bytes())?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.place(path)?,
            Err(e) => return Err(kiln_layer::Error::from(e).at(path)),
        };
        self.known.insert(path.clone(), place.clone());
        Ok(place)
    }

    fn on_disk(&self, place: &LayerPath) -> PathBuf {
        self.root.join(OsStr::from_bytes(place.as_bytes()))
    }

    /// The entry as it is to be, unless something of another kind is in its place.
    fn entry(&mut self, entry: &Entry) -> Result<Entry, kiln_layer::Error> {
        if entry.is_whiteout() {
            return Err(removal(&entry.path));
        }
        let mut new = entry.clone();
        new.path = self.place(&entry.path)?;
        if let Kind::Hardlink { target } = &entry.kind {
            let target = self.place(target)?;
            new.kind = Kind::Hardlink { target };
        }
        if let Some((uid, gid)) = self.owner {
            (new.meta.uid, new.meta.gid) = (uid, gid);
        }
        let Ok(there) = fs::symlink_metadata(self.on_disk(&new.path)) else {
            return Ok(new);
        };
        let what = match (there.is_dir(), entry.is_dir()) {
            (true, false) => format!(
                "cannot overwrite directory \"/{}\" with non-directory \"{}\"",
                new.path, entry.path
            ),
            (false, true) => format!(
                "cannot overwrite non-directory \"/{}\" with directory \"{}\"",
                new.path, entry.path
            ),
            _ => return Ok(new),
        };
        Err(kiln_layer::Error::new(LayerKind::Conflict, what))
    }
}

fn removal(path: &LayerPath) -> kiln_layer::Error {
    let what = "the name begins with `.wh.`, which in a layer means a removal";
    kiln_layer::Error::new(LayerKind::Unsupported, what).at(path)
}

impl Target for Onto {
    fn put(&mut self, entry: &Entry) -> Result<(), kiln_layer::Error> {
        if entry.path.is_root() {
            // The folder is there, and stays as it is.
            return Ok(());
        }
        let entry = self.entry(entry)?;
        self.inner.put(&entry)
    }

    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), kiln_layer::Error> {
        let entry = self.entry(entry)?;
        self.inner.file(&entry, content)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<(), kiln_layer::Error> {
        let place = self.place(path)?;
        self.known.retain(|folder, _| !folder.starts_with(path));
        self.inner.remove(&place)
    }

    fn clear(&mut self, path: &LayerPath, _: &Tree) -> Result<(), kiln_layer::Error> {
        Err(removal(path))
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), kiln_layer::Error> {
        let mut placed = Tree::new();
        for entry in tree.iter().filter(|e| e.is_dir() && !e.path.is_root()) {
            let mut entry = entry.clone();
            entry.path = self.place(&entry.path)?;
            if let Some((uid, gid)) = self.owner {
                (entry.meta.uid, entry.meta.gid) = (uid, gid);
            }
            placed.insert(entry);
        }
        self.inner.finish(&placed)
    }
}
