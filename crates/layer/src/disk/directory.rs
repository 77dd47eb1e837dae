//! Unpacking into a directory, every path by directory handle. Follows no link, writes over
//! nothing that it has not put there (but where it is told to apply to what is there).

use std::{
    fmt, fs,
    io::Read,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode},
    fs::{linkat, mkdirat, openat, statat, symlinkat, utimensat},
    io::Errno,
};

use super::{
    Refusal, Whiteouts,
    at::{self, io},
    closed::Opened,
    content,
    crew::{self, Crew, create},
    delete,
    made::Made,
    meta, node,
    open::open_root,
    refusals::Refusals,
    same::{self, Met},
};
use crate::{Entry, Error, ErrorKind, Files, Kind, LayerPath, Meta, Target, Tree};

/// A directory into which layers are unpacked.
///
/// While entries come, folders belong to this process alone (0700); they get their own metadata at
/// the end, the deepest first.
pub struct Directory {
    root: OwnedFd,
    whiteouts: Whiteouts,
    lower: Option<Arc<dyn Files>>,
    /// The folder of the last entry: most often that of the next.
    last: Option<(LayerPath, Arc<OwnedFd>)>,
    /// Who makes the files.
    crew: Crew,
    /// Folders that were made without an entry of their own.
    made: Made,
    opened: Opened,
    refused: Refusals,
    buffer: Vec<u8>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Directory");
        shown.field("root", &self.root).finish_non_exhaustive()
    }
}

impl Directory {
    /// The directory at `path`, which is there; with [`Whiteouts::Overlay`] it is empty.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when it cannot be opened.
    pub fn new(path: &Path, whiteouts: Whiteouts) -> Result<Self, Error> {
        Ok(Self {
            root: open_root(path)?,
            whiteouts,
            lower: None,
            last: None,
            crew: Crew::default(),
            made: Made::default(),
            opened: Opened::default(),
            refused: Refusals::default(),
            buffer: vec![0; 128 << 10],
        })
    }

    /// The layers below, for archives that lean on them: a folder that the archive does not name
    /// gets their metadata, a hard link to a file of theirs becomes a copy.
    #[must_use]
    pub fn over(mut self, lower: Arc<dyn Files>) -> Self {
        self.lower = Some(lower);
        self
    }

    /// What could not be put on disk, known when all was.
    pub fn refused(&self) -> &[Refusal] {
        self.refused.all()
    }

    fn refuse(&mut self, path: &LayerPath, what: impl Into<String>) {
        self.refused.add(path, what.into(), None);
    }

    /// Calls `act` with the folder that `path` is in, which is made when it is missing, and the
    /// name in it.
    fn at<T>(
        &mut self,
        path: &LayerPath,
        act: impl FnOnce(&mut Self, BorrowedFd<'_>, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.crew.is_pending(path) {
            self.settle()?;
        }
        let folder = self.parent(path)?;
        act(self, folder.as_fd(), path.name().unwrap_or_default())
    }

    /// The folder that `path` is in.
    fn parent(&mut self, path: &LayerPath) -> Result<Arc<OwnedFd>, Error> {
        let parent = path
            .parent()
            .ok_or_else(|| Error::refused("the root cannot be replaced"))?;
        if let Some((known, fd)) = &self.last
            && *known == parent
        {
            return Ok(fd.clone());
        }
        let fd = Arc::new(self.folder(&parent)?);
        if self.whiteouts == Whiteouts::Apply {
            let opened = self.opened.open(fd.as_fd(), &parent);
            opened.map_err(|e| io("open the folder", e).at(&parent))?;
        }
        self.last = Some((parent, fd.clone()));
        Ok(fd)
    }

    /// Opens a folder; one that is missing is made.
    fn folder(&mut self, path: &LayerPath) -> Result<OwnedFd, Error> {
        match at::open(self.root.as_fd(), path, at::FOLDER) {
            Ok(fd) => return Ok(fd),
            Err(e) if at::is_missing(e) => {}
            Err(e) if at::is_not_a_folder(e) && self.whiteouts == Whiteouts::Apply => {}
            Err(e) => return Err(io("open the folder", e).at(path)),
        }
        let mut open = at::open(self.root.as_fd(), &LayerPath::root(), at::FOLDER)
            .map_err(|e| io("open the folder", e))?;
        let mut at_path = LayerPath::root();
        for name in path.components() {
            at_path = at_path.join(name)?;
            if self.make(open.as_fd(), name)? {
                self.made.insert(at_path.clone());
            }
            open = openat(&open, name, at::FOLDER, Mode::empty())
                .map_err(|e| io("open the folder", e).at(&at_path))?;
        }
        Ok(open)
    }

    /// Makes a folder unless there is one; whether it was made.
    fn make(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Error> {
        match mkdirat(folder, name, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            done => return done.map(|()| true).map_err(|e| io("make the folder", e)),
        }
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| io("look at the folder", e))?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(false);
        }
        self.replace(folder, name)?;
        mkdirat(folder, name, Mode::RWXU).map_err(|e| io("make the folder", e))?;
        Ok(true)
    }

    /// Deletes what is in the way of an entry, where the lower layers are in the same directory.
    fn replace(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Error> {
        if self.whiteouts == Whiteouts::Overlay {
            return Err(crew::in_its_place());
        }
        delete::delete(folder, name).map_err(|e| io("replace what is there", e))
    }

    /// Does `make`, again after what is in its way was deleted.
    fn fresh<T>(
        &self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T, Error> {
        let made = match make() {
            Err(Errno::EXIST) => {
                self.replace(folder, name)?;
                make()
            }
            made => made,
        };
        made.map_err(|e| io("make the entry", e))
    }

    fn write(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let mut file = fs::File::from(self.fresh(folder, name, || create(folder, name))?);
        content::write(content, &mut file, &mut self.buffer)?;
        self.set(file.as_fd(), &entry.path, &entry.meta)
    }

    fn set(&mut self, fd: BorrowedFd<'_>, path: &LayerPath, meta: &Meta) -> Result<(), Error> {
        let mut refused = |what, attribute: Option<&[u8]>| self.refused.add(path, what, attribute);
        meta::set(fd, meta, &mut refused).map_err(|e| io("set the metadata", e).at(path))
    }

    fn link(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        target: &LayerPath,
    ) -> Result<(), Error> {
        if self.crew.is_pending(target) {
            self.settle()?;
        }
        let parent = target.parent().unwrap_or_default();
        let from = at::open(self.root.as_fd(), &parent, at::FOLDER);
        let to = target.name().unwrap_or_default();
        let linked = from.and_then(|from| {
            let link = || linkat(&from, to, folder, name, AtFlags::empty());
            match link() {
                Err(Errno::EXIST) if self.replace(folder, name).is_ok() => link(),
                done => done,
            }
        });
        match linked {
            Err(e) if at::is_missing(e) || at::is_not_a_folder(e) => {}
            Err(e) => return Err(io("make the hard link", e)),
            Ok(()) => {
                self.refused.link(target, &entry.path);
                return Ok(());
            }
        }
        let lower = self.lower.clone();
        let Some(lower) = lower.filter(|l| l.tree().file(target).is_some()) else {
            let what = format!("a hard link to `{target}`, which is not in this layer");
            return Err(Error::new(ErrorKind::Unsupported, what));
        };
        let mut content = lower.open(target)?;
        self.write(folder, name, entry, &mut *content)
    }

    /// A device, pipe or whiteout.
    fn node(&mut self, folder: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<(), Error> {
        let made = self.fresh(folder, name, || node::make(folder, name, &entry.kind));
        match made {
            Err(e) if !entry.is_whiteout() && node::is_refusal(&e) => {
                self.refuse(&entry.path, entry.kind.name());
                return Ok(());
            }
            made => made?,
        }
        if entry.is_whiteout() {
            return Ok(());
        }
        self.set_by_name(folder, name, entry)?;
        // It was made just now, and is not a link.
        let mode = Mode::from_raw_mode(entry.meta.mode as _);
        rustix::fs::chmodat(folder, name, mode, AtFlags::empty())
            .map_err(|e| io("set the mode", e))?;
        self.set_time(folder, name, entry)
    }

    /// The owner of what cannot be opened.
    fn set_by_name(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), Error> {
        let meta = &entry.meta;
        if !meta::own_by_name(folder, name, meta).map_err(|e| io("set the owner", e))? {
            let what = format!("owner {}:{}", meta.uid, meta.gid);
            self.refuse(&entry.path, what);
        }
        if !meta.xattrs.is_empty() {
            self.refuse(&entry.path, "attributes of what is neither file nor folder");
        }
        Ok(())
    }

    fn set_time(&self, folder: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<(), Error> {
        let times = meta::times(entry.meta.mtime);
        utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| io("set the time", e))
    }

    fn whiteout(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.whiteouts == Whiteouts::Overlay {
            return self.at(&entry.path, |me, folder, name| me.node(folder, name, entry));
        }
        // What is not there need not be removed, nor the folders above it made.
        let parent = entry.path.parent().unwrap_or_default();
        match at::open(self.root.as_fd(), &parent, at::FOLDER) {
            Ok(folder) => {
                let name = entry.path.name().unwrap_or_default();
                self.last = None;
                delete::delete(folder.as_fd(), name).map_err(|e| io("delete it", e))
            }
            Err(e) if at::is_missing(e) || at::is_not_a_folder(e) => Ok(()),
            Err(e) => Err(io("open the folder", e).at(&parent)),
        }
    }
}

impl Target for Directory {
    fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        let put = match &entry.kind {
            Kind::Dir { .. } if entry.path.is_root() => Ok(()),
            Kind::Dir { .. } => self.at(&entry.path, |me, folder, name| {
                me.make(folder, name).map(|_| ())
            }),
            Kind::Symlink { target } => self.at(&entry.path, |me, folder, name| {
                me.fresh(folder, name, || symlinkat(&target[..], folder, name))?;
                me.set_by_name(folder, name, entry)?;
                me.set_time(folder, name, entry)
            }),
            Kind::Hardlink { target } => self.at(&entry.path, |me, folder, name| {
                me.link(folder, name, entry, target)
            }),
            Kind::Whiteout => self.whiteout(entry),
            Kind::File(_) => Err(Error::invalid("a file comes with its content")),
            Kind::Char { .. } | Kind::Block { .. } | Kind::Fifo => {
                self.at(&entry.path, |me, folder, name| me.node(folder, name, entry))
            }
        };
        put.map_err(|e| e.at(&entry.path))
    }

    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        // What the lower layers have may be in the way of a file: there they come one by one.
        let small = entry.file().is_some_and(|f| f.size <= crew::LARGE);
        if small && self.whiteouts == Whiteouts::Overlay && !self.crew.is_pending(&entry.path) {
            let folder = self.parent(&entry.path).map_err(|e| e.at(&entry.path))?;
            let added = self.crew.add(&folder, entry, content);
            return added.map_err(|e| e.at(&entry.path));
        }
        self.at(&entry.path, |me, folder, name| {
            if me.whiteouts == Whiteouts::Overlay {
                return me.write(folder, name, entry, content);
            }
            match same::look(folder, name, entry, content, &mut me.buffer)? {
                Met::Same(_, true) => Ok(()),
                Met::Same(file, false) => me.set(file.as_fd(), &entry.path, &entry.meta),
                Met::Other(read) => me.write(folder, name, entry, &mut read.chain(content)),
            }
        })
        .map_err(|e| e.at(&entry.path))
    }

    fn remove(&mut self, path: &LayerPath) -> Result<(), Error> {
        self.settle()?;
        self.refused.remove(path);
        self.made.remove(path);
        let removed = self.at(path, |_, folder, name| {
            delete::delete(folder, name).map_err(|e| io("delete it", e))
        });
        // The folder that is kept open may be one of those that are gone.
        self.last = None;
        removed.map_err(|e| e.at(path))
    }

    fn clear(&mut self, path: &LayerPath, own: &Tree) -> Result<(), Error> {
        let folder = self.folder(path)?;
        if self.whiteouts == Whiteouts::Overlay {
            return meta::set_xattr(folder.as_fd(), b"user.overlay.opaque", b"y")
                .map_err(|e| io("make the folder opaque", e).at(path));
        }
        self.last = None;
        delete::others(folder, path, own)
    }

    fn settle(&mut self) -> Result<(), Error> {
        let made = self.crew.wait();
        self.refused.append(self.crew.refused());
        made
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), Error> {
        self.settle()?;
        self.last = None;
        let made = std::mem::take(&mut self.made);
        let folders = made.with_those_of(tree, self.lower.as_deref());
        for (path, meta) in folders {
            let fd = at::open(self.root.as_fd(), &path, at::FOLDER)
                .map_err(|e| io("open the folder", e).at(&path))?;
            self.set(fd.as_fd(), &path, &meta)?;
        }
        self.refused.finish(tree);
        let opened = std::mem::take(&mut self.opened);
        let closed = opened.close(self.root.as_fd(), tree);
        closed.map_err(|e| io("set the mode of a folder", e))
    }
}
