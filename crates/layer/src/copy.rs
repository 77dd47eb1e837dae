//! COPY, ADD and WORKDIR as a pure plan: which entries a layer gets on top of a root, and where
//! their content comes from. Nothing is mounted, opened or written.
//!
//! The rules are BuildKit's: a folder's contents are copied, not the folder; links are followed in
//! a source itself and on the way to the destination, not beneath them; a folder that is there
//! already keeps its own owner and mode when it is the destination, and gets the source's when it is
//! beneath it; the destination gets the source's time in either case; a folder never replaces a
//! file, nor a file a folder. Every folder above an entry is in the plan, with the metadata that it
//! has in the root, so that the layer stands alone.

mod destination;
mod mode;
mod unpacked;

use std::collections::BTreeMap;

use kiln_image::Digest;

use crate::{
    Entry, Error, ErrorKind, File, Files, Keep, Kind, LayerPath, Meta, Root, Time, Tree,
    root::{Resolved, resolve},
};
use destination::{Destination, Made};
pub use mode::Mode;

/// Says what of a source is taken, by its path and whether it is a folder.
pub type Taking<'a> = &'a dyn Fn(&LayerPath, bool) -> Keep;

/// What there is to copy from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// By number: see [`Source::input`].
    pub files: &'a [&'a dyn Files],
    /// What of a source is taken; all of it where there is none. Asked for the path beneath the folder
    /// that is copied, or of a file that is a source itself, its name; with [`Source::base`] for what is
    /// kept of the path. A folder to [look](Keep::Look) into is made where something in it is taken.
    pub keep: Option<Taking<'a>>,
}

/// A file or a folder to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// In which of the inputs.
    pub input: usize,
    /// Where: without wildcards; links are followed inside the input.
    pub path: LayerPath,
    /// A folder above it, the names beneath which are made at the destination too, its own included.
    pub base: Option<LayerPath>,
    /// What is copied gets this time; its own when there is none.
    pub time: Option<Time>,
    /// What is copied keeps its owners, unless [`Request::owner`] is there.
    pub keep_owner: bool,
    /// The input is an archive, all of which is unpacked at the destination: modes stay, and what is in
    /// the way of an entry is replaced.
    pub unpack: bool,
}

/// What is to be copied, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What to copy, in this order; wildcards have been expanded.
    pub sources: Vec<Source>,
    /// Where to: an absolute path, in which a trailing slash counts.
    pub destination: Vec<u8>,
    /// Where neither the destination's text nor what is there makes it a folder, of several files each
    /// takes the place of the one before; without this there may be only one.
    pub last_stays: bool,
    /// Who owns what is copied, and the folders that are made for it; 0:0 when there is none.
    pub owner: Option<(u32, u32)>,
    /// The mode of what is copied, other than symbolic links, and of the folders that are made for it.
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
    pub source: Option<Origin>,
}

/// A file of one of the inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which input; one more than there are is the root that was copied onto.
    pub input: usize,
    /// Where in it.
    pub path: LayerPath,
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
    /// Of a file that became a part of the layer, a digest of its content and its attributes.
    pub content: Option<Digest>,
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
pub fn plan(from: Inputs<'_>, request: &Request, onto: &Root) -> Result<Copied, Error> {
    let mode = request.mode.as_ref().map_or(0o755, Mode::of_made);
    let made = Made::new(request.owner, mode, request.made);
    let mut copy = Copy {
        from,
        request,
        to: Destination::new(onto, made),
        names: BTreeMap::new(),
        waiting: Vec::new(),
    };
    for source in &request.sources {
        copy.source(source)?;
    }
    Ok(copy.to.finish())
}

/// The changes that make a folder (WORKDIR), with the folders above it: none when it is there. Without an
/// `owner` they are root's. In one with setgid they have setgid too, and its group if there is no owner.
///
/// # Errors
///
/// As [`plan`].
pub fn make_folder(
    path: &[u8],
    owner: Option<(u32, u32)>,
    mode: u32,
    made: Time,
    onto: &Root,
) -> Result<Vec<Change>, Error> {
    let mut to = Destination::new(onto, Made::new(owner, mode, made));
    let path = to.resolve(&destination::clean(path)?)?;
    if to.is_dir(&path) {
        return Ok(Vec::new());
    }
    to.enter(&path)?;
    Ok(to.finish().changes)
}

struct Copy<'a, 'r> {
    from: Inputs<'a>,
    request: &'a Request,
    to: Destination<'r>,
    /// For each regular file that was copied, its first name at the destination.
    names: BTreeMap<LayerPath, LayerPath>,
    /// Folders that are made when something in them is: each lies in the one before it.
    waiting: Vec<Entry>,
}

impl<'a> Copy<'a, '_> {
    fn tree(&self, input: usize) -> Result<&'a Tree, Error> {
        match self.from.files.get(input) {
            Some(files) => Ok(files.tree()),
            None => Err(Error::invalid(format!("there is no input {input}"))),
        }
    }

    fn source(&mut self, source: &Source) -> Result<(), Error> {
        self.names.clear();
        let tree = self.tree(source.input)?;
        let found = resolve(tree, &source.path)?;
        if found.entry.is_none() && !is_folder(tree, &found) {
            return Err(Error::new(ErrorKind::NotFound, "no such file or folder").at(&source.path));
        }
        let text = &self.request.destination;
        let target = self.to.resolve(&destination::clean(text)?)?;
        if source.unpack {
            return self.unpacked(source, &target);
        }
        if let Some(base) = &source.base {
            return self.with_parents(source, base, &found, &target);
        }
        if is_folder(tree, &found) {
            self.to.enter(&target)?;
            self.contents(source, &found.path, &target, &LayerPath::root())?;
            // The same in every build, as its contents are.
            if let Some(entry) = found.entry.filter(|entry| !entry.path.is_root()) {
                self.to
                    .date(&target, source.time.unwrap_or(entry.meta.mtime));
            }
            return Ok(());
        }
        let name = source.path.name().unwrap_or_default();
        let target = match destination::says_folder(text) || self.to.is_dir(&target) {
            true => {
                self.to.enter(&target)?;
                target.join(name)?
            }
            // What is copied first would be lost.
            false if self.request.sources.len() > 1 && !self.request.last_stays => {
                let what = "several files would be copied to one name";
                return Err(Error::new(ErrorKind::Conflict, what)
                    .at(&target)
                    .hint("end the destination in a slash to copy into a folder"));
            }
            false => target,
        };
        if self.keep(&LayerPath::parse(name)?, false) != Keep::Yes {
            return Ok(());
        }
        self.to.enter(&target.parent().unwrap_or_default())?;
        match found.entry {
            Some(entry) => self.leaf(source, &entry, target),
            None => Ok(()),
        }
    }

    /// Copies a source under its own name, with the folders that lead to it from `base` on.
    fn with_parents(
        &mut self,
        source: &Source,
        base: &LayerPath,
        found: &Resolved,
        target: &LayerPath,
    ) -> Result<(), Error> {
        let tree = self.tree(source.input)?;
        let kept = source.path.strip(base).unwrap_or_default();
        self.to.enter(target)?;
        for above in kept.ancestors().filter(|path| !path.is_root()) {
            let folder = resolve(tree, &base.append(&above)?)?;
            self.folder(
                source,
                folder.entry.as_ref(),
                &target.append(&above)?,
                &above,
            )?;
        }
        let at = target.append(&kept)?;
        if is_folder(tree, found) {
            if !kept.is_root() {
                self.folder(source, found.entry.as_ref(), &at, &kept)?;
            }
            return self.contents(source, &found.path, &at, &kept);
        }
        match &found.entry {
            Some(entry) if self.keep(&kept, false) == Keep::Yes => self.leaf(source, entry, at),
            _ => Ok(()),
        }
    }

    /// Copies what is in the folder `folder` into the folder `target`; `kept` is what goes before the
    /// paths in it where it is asked whether they are taken.
    fn contents(
        &mut self,
        source: &Source,
        folder: &LayerPath,
        target: &LayerPath,
        kept: &LayerPath,
    ) -> Result<(), Error> {
        for entry in self.tree(source.input)?.within(folder) {
            let Some(inner) = entry.path.strip(folder).filter(|p| !p.is_root()) else {
                continue;
            };
            let at = target.append(&inner)?;
            match &entry.kind {
                Kind::Whiteout => {}
                Kind::Dir { .. } => self.folder(source, Some(entry), &at, &kept.append(&inner)?)?,
                _ if self.from.keep.is_none() => self.leaf(source, entry, at)?,
                _ if self.keep(&kept.append(&inner)?, false) == Keep::Yes => {
                    self.leaf(source, entry, at)?;
                }
                _ => {}
            }
        }
        self.waiting.clear();
        Ok(())
    }

    fn keep(&self, path: &LayerPath, is_folder: bool) -> Keep {
        self.from
            .keep
            .map_or(Keep::Yes, |keep| keep(path, is_folder))
    }

    /// Puts a folder of the source, which may have no entry of its own.
    fn folder(
        &mut self,
        source: &Source,
        entry: Option<&Entry>,
        at: &LayerPath,
        asked: &LayerPath,
    ) -> Result<(), Error> {
        let folder = match entry {
            Some(entry) => Entry::folder(at.clone(), self.meta(source, entry)),
            None => Entry::folder(at.clone(), self.to.made()),
        };
        match self.keep(asked, true) {
            Keep::No => Ok(()),
            Keep::Look => {
                self.waiting.retain(|above| at.starts_with(&above.path));
                self.waiting.push(folder);
                Ok(())
            }
            Keep::Yes => {
                self.make_waiting(at)?;
                self.to.folder(folder)
            }
        }
    }

    /// Makes the folders that lead to `path` and were waiting for something in them.
    fn make_waiting(&mut self, path: &LayerPath) -> Result<(), Error> {
        for folder in std::mem::take(&mut self.waiting) {
            if path.starts_with(&folder.path) {
                self.to.folder(folder)?;
            }
        }
        Ok(())
    }

    fn meta(&self, source: &Source, entry: &Entry) -> Meta {
        let mut meta = entry.meta.clone();
        let own = source.keep_owner.then_some((meta.uid, meta.gid));
        (meta.uid, meta.gid) = self.request.owner.or(own).unwrap_or((0, 0));
        meta.mtime = source.time.unwrap_or(meta.mtime);
        match (&self.request.mode, &entry.kind) {
            // Whatever an archive says: it has none.
            (_, Kind::Symlink { .. }) => meta.mode = 0o777,
            (None, _) => {}
            (Some(_), _) if source.unpack => {}
            (Some(mode), _) => meta.mode = mode.of(meta.mode, entry.is_dir()),
        }
        meta
    }

    /// Everything but a folder. A file of which another name was copied from the same source
    /// becomes a hard link to that.
    fn leaf(&mut self, source: &Source, entry: &Entry, path: LayerPath) -> Result<(), Error> {
        self.make_waiting(&path)?;
        let meta = self.meta(source, entry);
        let tree = self.tree(source.input)?;
        let Some((file_entry, file)) = tree.file(&entry.path) else {
            if matches!(entry.kind, Kind::Hardlink { .. }) {
                let what = "a hard link to a file that is not there";
                return Err(Error::new(ErrorKind::NotFound, what).at(&entry.path));
            }
            let kind = entry.kind.clone();
            return self.to.leaf(Entry { path, meta, kind }, None);
        };
        let content = file_entry.path.clone();
        let origin = Origin {
            input: source.input,
            path: content.clone(),
        };
        let kind = match self.names.get(&content) {
            // Unless something else has taken its place since.
            Some(first) if *first != path && self.to.is_from(first, &origin) => Kind::Hardlink {
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
        if !matches!(kind, Kind::Hardlink { .. }) {
            self.names.insert(content, path.clone());
        }
        self.to.leaf(Entry { path, meta, kind }, Some(origin))
    }
}

fn is_folder(tree: &Tree, found: &Resolved) -> bool {
    match &found.entry {
        Some(entry) => entry.is_dir(),
        // A folder that has no entry of its own, as in some archives; or nothing.
        None => found.path.is_root() || tree.within(&found.path).next().is_some(),
    }
}
