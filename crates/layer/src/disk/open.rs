//! The files of a directory on disk, opened without following links and without blocking.

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::{
    Keep, Opener, Scan, Scanned, at,
    near::Near,
    scan::{self, Unread},
};
use kiln_image::Digest;

use crate::{
    Content, Error, ErrorKind, Files, Index, LayerPath, Opening, Time, Tree,
    files::not_a_file,
    index::{Record, Stamp},
};

/// A directory on disk, seen as it is: a build context, for one.
#[derive(Debug)]
pub struct Folder {
    files: OnDisk,
    /// What was not read: it must be what it was for as long as it is read.
    unread: HashMap<LayerPath, Unread>,
    looked: Time,
}

impl Folder {
    /// Looks through the directory `root`, with `threads` threads that read (0: as many as there
    /// are processors), and finds the digest of every file. `keep` is asked for each entry but the
    /// root, with whether it is a folder; sockets are left out. Files that are the same inode
    /// become hard links.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when something cannot be read, [`Changed`](ErrorKind::Changed) when a
    /// file changes under it.
    pub fn scan(
        root: &Path,
        keep: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
        threads: usize,
    ) -> Result<Self, Error> {
        let how = Scan {
            threads,
            ..Scan::default()
        };
        Ok(Self::scan_with(root, keep, &how)?.0)
    }

    /// The same with an index of what is known already, and with what was found out.
    ///
    /// # Errors
    ///
    /// As [`Folder::scan`].
    pub fn scan_with(
        root: &Path,
        keep: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
        how: &Scan<'_>,
    ) -> Result<(Self, Scanned), Error> {
        let root = open_root(root)?;
        let found = scan::scan(root.as_fd(), keep, scan::Style::Plain, how)?;
        let folder = Self {
            files: OnDisk::new(root, Arc::new(found.tree)),
            unread: found.unread,
            looked: found.looked,
        };
        Ok((folder, found.scanned))
    }

    /// What was found out about files that stayed unread, when somebody has read them from here since:
    /// `digest` gives the BLAKE3 of their contents. `index` is what was known before; `None` when
    /// nothing is new.
    pub fn learn(
        &self,
        index: Option<&Index>,
        digest: &dyn Fn(&LayerPath) -> Option<Digest>,
    ) -> Option<Index> {
        let new: Vec<Record> = self
            .unread
            .iter()
            .filter_map(|(path, unread)| {
                let xattrs = unread.xattrs.clone()?;
                Some(Record::new(unread.stamp, &digest(path)?, xattrs))
            })
            .collect();
        let index = index.filter(|i| !i.is_from_the_future(self.looked));
        match new.is_empty() {
            true => None,
            false => Some(index.unwrap_or(&Index::new()).after(self.looked, &[], new)),
        }
    }
}

/// A layer that was unpacked into a directory of its own, with whiteouts as overlayfs has them.
#[derive(Debug)]
pub struct Unpacked(OnDisk);

impl Unpacked {
    /// The files of the directory `root`, which is known to hold `tree`.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when it cannot be opened.
    pub fn new(root: &Path, tree: Arc<Tree>) -> Result<Self, Error> {
        Ok(Self(OnDisk::new(open_root(root)?, tree)))
    }

    /// The same for a directory in which this process may not open everything itself: `open` does it,
    /// without following links.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) where nothing can be unpacked.
    pub fn by(open: Opener, tree: Arc<Tree>) -> Result<Self, Error> {
        let open = Open::By(open);
        Ok(Self(OnDisk { open, tree }))
    }

    /// Looks through an upper directory of overlayfs: character devices 0:0 are whiteouts,
    /// folders with the attribute `user.overlay.opaque` (or `trusted.`) are opaque, and overlay's
    /// own attributes are left out. The files are not read ([`File::unread`](crate::File::unread)).
    ///
    /// # Errors
    ///
    /// As [`Folder::scan`].
    pub fn scan(root: &Path, threads: usize) -> Result<Self, Error> {
        let root = open_root(root)?;
        let keep = |_: &LayerPath, _: bool| Keep::Yes;
        let how = Scan {
            threads,
            ..Scan::default()
        };
        let found = scan::scan(root.as_fd(), &keep, scan::Style::Overlay, &how)?;
        Ok(Self(OnDisk::new(root, Arc::new(found.tree))))
    }
}

impl Files for Folder {
    fn tree(&self) -> &Tree {
        &self.files.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        (self.opening())(path)
    }

    fn opening(&self) -> Opening<'_> {
        let stamp = |path: &LayerPath| self.unread.get(path).map(|u| u.stamp);
        self.files.opening(stamp)
    }
}

impl Files for Unpacked {
    fn tree(&self) -> &Tree {
        &self.0.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        (self.opening())(path)
    }

    fn opening(&self) -> Opening<'_> {
        self.0.opening(|_| None)
    }
}

pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(rustix::fs::CWD, path, flags, Mode::empty())
        .map_err(|e| Error::io(format!("open the folder `{}`", path.display()), e.into()))
}

enum Open {
    Below(OwnedFd),
    By(Opener),
}

struct OnDisk {
    open: Open,
    tree: Arc<Tree>,
}

impl fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.open {
            Open::Below(root) => f.debug_tuple("OnDisk").field(root).finish(),
            Open::By(_) => f.debug_tuple("OnDisk").finish_non_exhaustive(),
        }
    }
}

impl OnDisk {
    fn new(root: OwnedFd, tree: Arc<Tree>) -> Self {
        let open = Open::Below(root);
        Self { open, tree }
    }

    /// Opens files; `stamp` says of their first names what they must have been since they were looked
    /// at.
    fn opening<'a>(&'a self, stamp: impl Fn(&LayerPath) -> Option<Stamp> + 'a) -> Opening<'a> {
        match &self.open {
            Open::Below(root) => {
                let mut near = Near::new(root.as_fd());
                Box::new(move |path| self.one(path, &stamp, |path| Ok(below(&mut near, path)?)))
            }
            Open::By(open) => Box::new(move |path| self.one(path, &stamp, |path| open(path))),
        }
    }

    fn one(
        &self,
        path: &LayerPath,
        stamp: &dyn Fn(&LayerPath) -> Option<Stamp>,
        open: impl FnOnce(&LayerPath) -> io::Result<fs::File>,
    ) -> io::Result<Content> {
        let Some((entry, file)) = self.tree.file(path) else {
            return Err(not_a_file(path, self.tree.get(path).map(|e| &e.kind)));
        };
        let opened = open(&entry.path)?;
        let stat = fstat(&opened)?;
        let stamp = stamp(&entry.path);
        if !FileType::from_raw_mode(stat.st_mode).is_file()
            || stat.st_size as u64 != file.size
            || stamp.is_some_and(|s| s != scan::stamp_of(&stat))
        {
            return Err(changed(path).into());
        }
        Ok(Box::new(Exactly {
            file: opened,
            left: file.size,
            path: path.clone(),
            stamp,
            ended: false,
        }))
    }
}

fn below(near: &mut Near<'_>, path: &LayerPath) -> Result<fs::File, Error> {
    match near.open(path, at::FILE) {
        Ok(opened) => Ok(opened.into()),
        Err(e) if at::is_missing(e) || at::is_not_a_folder(e) => Err(changed(path)),
        Err(e) => Err(Error::io("open the file", e.into()).at(path)),
    }
}

pub(super) fn changed(path: &LayerPath) -> Error {
    Error::new(
        ErrorKind::Changed,
        "the file changed since it was looked at",
    )
    .at(path)
    .hint("build again when nothing writes to it")
}

/// A file that is as long as it was said to be.
struct Exactly {
    file: fs::File,
    left: u64,
    path: LayerPath,
    /// What it must be when it has been read.
    stamp: Option<Stamp>,
    /// The end was seen.
    ended: bool,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        let n = self.file.read(buffer)? as u64;
        if n > self.left || (n == 0 && self.left > 0) {
            return Err(changed(&self.path).into());
        }
        self.left -= n;
        // A regular file gives less than is asked for at its end only.
        self.ended = self.left == 0 && n < buffer.len() as u64;
        if self.left == 0
            && let Some(stamp) = self.stamp.take()
            && scan::stamp_of(&fstat(&self.file)?) != stamp
        {
            return Err(changed(&self.path).into());
        }
        Ok(n as usize)
    }
}
