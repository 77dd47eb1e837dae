//! COPY, ADD and WORKDIR as a pure plan: which entries a layer gets on top of a root, and where
//! their content comes from. Nothing is mounted, opened or written.
//!
//! The rules are BuildKit's: a folder's contents are copied, not the folder; links are followed in
//! a source itself and on the way to the destination, not beneath them; a folder that is there
//! already keeps its own metadata when it is the destination, and gets the source's when it is
//! beneath it; a folder never replaces a file, nor a file a folder. Every folder above an entry is
//! in the plan, with the metadata that it has in the root, so that the layer stands alone.

mod destination;
mod mode;

use std::collections::BTreeMap;

use crate::{
    Entry, Error, ErrorKind, File, Files, Kind, LayerPath, Meta, Root, Time, root::resolve,
};
use destination::Destination;
pub use mode::Mode;

/// What is to be copied, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What to copy, in this order; wildcards have been expanded.
    pub sources: Vec<LayerPath>,
    /// Where to: an absolute path, in which a trailing slash counts.
    pub destination: Vec<u8>,
    /// Several sources, or a wildcard: the destination must be a folder.
    pub many: bool,
    /// Who owns what is copied, and the folders that are made for it; 0:0 when there is none.
    pub owner: Option<(u32, u32)>,
    /// What is copied keeps its owners, unless `owner` is there.
    pub keep_owner: bool,
    /// The mode of what is copied, other than symbolic links.
    pub mode: Option<Mode>,
    /// The time of the folders that are made.
    pub made: Time,
}

/// One entry of the layer that a copy becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As it will be in the layer.
    pub entry: Entry,
    /// Where the content of a regular file comes from.
    pub source: Option<LayerPath>,
}

/// Something that a plan met in the root: with these and the sources unchanged (and nothing else
/// met), the plan is the same, but for the times and attributes of the folders above.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Met {
    /// Where.
    pub path: LayerPath,
    /// What was there, as [`Kind::name`] says it.
    pub kind: &'static str,
    /// Its mode, for all but symbolic links.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// Where a symbolic link leads.
    pub link: Option<Vec<u8>>,
}

/// A copy, planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The changes, in the order of their paths.
    pub changes: Vec<Change>,
    /// What was met at the destination and on the way to it: each entry, resolved; a part of the key
    /// of the result. In the order of their paths.
    pub met: Vec<Met>,
}

/// Plans a copy.
///
/// # Errors
///
/// [`NotFound`](ErrorKind::NotFound) with a source that is not there,
/// [`Conflict`](ErrorKind::Conflict) with the path where a folder and something else meet,
/// [`Loop`](ErrorKind::Loop) and [`Refused`](ErrorKind::Refused) as [`Root::resolve`].
pub fn plan(from: &dyn Files, request: &Request, onto: &Root) -> Result<Copied, Error> {
    Ok(carry_out(from, request, onto)?.finish())
}

/// The changes that make a folder (WORKDIR), with the folders above it: none when it is there.
///
/// # Errors
///
/// As [`plan`].
pub fn make_folder(
    path: &[u8],
    owner: (u32, u32),
    mode: u32,
    made: Time,
    onto: &Root,
) -> Result<Vec<Change>, Error> {
    let mut to = Destination::new(onto, folder(owner, mode, made));
    let path = to.resolve(&destination::clean(path)?)?;
    if to.is_dir(&path) {
        return Ok(Vec::new());
    }
    to.enter(&path)?;
    Ok(to.finish().changes)
}

fn folder(owner: (u32, u32), mode: u32, made: Time) -> Meta {
    Meta {
        uid: owner.0,
        gid: owner.1,
        mtime: made,
        ..Meta::with_mode(mode)
    }
}

fn carry_out<'a>(
    from: &dyn Files,
    request: &Request,
    onto: &'a Root,
) -> Result<Destination<'a>, Error> {
    let owner = request.owner.unwrap_or((0, 0));
    let made = folder(owner, 0o755, request.made);
    let mut copy = Copy {
        from,
        request,
        to: Destination::new(onto, made),
        names: BTreeMap::new(),
    };
    for source in &request.sources {
        copy.source(source)?;
    }
    Ok(copy.to)
}

struct Copy<'a, 'r> {
    from: &'a dyn Files,
    request: &'a Request,
    to: Destination<'r>,
    /// For each regular file that was copied, its first name at the destination.
    names: BTreeMap<LayerPath, LayerPath>,
}

impl Copy<'_, '_> {
    fn source(&mut self, source: &LayerPath) -> Result<(), Error> {
        self.names.clear();
        let tree = self.from.tree();
        let found = resolve(tree, source)?;
        let text = &self.request.destination;
        let destination = destination::clean(text)?;
        let is_folder = match &found.entry {
            Some(entry) => entry.is_dir(),
            // A folder that has no entry of its own, as in some archives; or nothing.
            None => found.path.is_root() || tree.within(&found.path).next().is_some(),
        };
        if found.entry.is_none() && !is_folder {
            return Err(Error::new(ErrorKind::NotFound, "no such file or folder").at(source));
        }
        let target = self.to.resolve(&destination)?;
        if is_folder {
            return self.contents(&found.path, &target);
        }
        let into = self.request.many || destination::says_folder(text);
        let is_there = self.to.is_dir(&target);
        let target = match source.name() {
            Some(name) if into || is_there => target.join(name)?,
            _ => target,
        };
        self.to.enter(&target.parent().unwrap_or_default())?;
        match found.entry {
            Some(entry) => self.leaf(&entry, target),
            None => Ok(()),
        }
    }

    /// Copies what is in the folder `source` into the folder `target`.
    fn contents(&mut self, source: &LayerPath, target: &LayerPath) -> Result<(), Error> {
        self.to.enter(target)?;
        for entry in self.from.tree().within(source) {
            let Some(inner) = entry.path.strip(source).filter(|p| !p.is_root()) else {
                continue;
            };
            let at = target.append(&inner)?;
            match &entry.kind {
                Kind::Whiteout => {}
                Kind::Dir { .. } => self.to.folder(at, self.meta(entry))?,
                _ => self.leaf(entry, at)?,
            }
        }
        Ok(())
    }

    fn meta(&self, entry: &Entry) -> Meta {
        let mut meta = entry.meta.clone();
        let own = self.request.keep_owner.then_some((meta.uid, meta.gid));
        (meta.uid, meta.gid) = self.request.owner.or(own).unwrap_or((0, 0));
        match (&self.request.mode, &entry.kind) {
            (None, _) | (_, Kind::Symlink { .. }) => {}
            (Some(mode), _) => meta.mode = mode.of(meta.mode, entry.is_dir()),
        }
        meta
    }

    /// Everything but a folder. A file of which another name was copied from the same source
    /// becomes a hard link to that.
    fn leaf(&mut self, entry: &Entry, path: LayerPath) -> Result<(), Error> {
        let meta = self.meta(entry);
        let tree = self.from.tree();
        let Some((file_entry, file)) = tree.file(&entry.path) else {
            if matches!(entry.kind, Kind::Hardlink { .. }) {
                let what = "a hard link to a file that is not there";
                return Err(Error::new(ErrorKind::NotFound, what).at(&entry.path));
            }
            let kind = entry.kind.clone();
            return self.to.leaf(Entry { path, meta, kind }, None);
        };
        let source = file_entry.path.clone();
        let kind = match self.names.get(&source) {
            Some(first) if *first != path => Kind::Hardlink {
                target: first.clone(),
            },
            _ => Kind::File(File {
                offset: 0,
                inline: crate::pack::kept_inline(&path, file.size)
                    .then(|| file.inline.clone())
                    .flatten(),
                ..file.clone()
            }),
        };
        self.names.entry(source.clone()).or_insert(path.clone());
        self.to.leaf(Entry { path, meta, kind }, Some(source))
    }
}
