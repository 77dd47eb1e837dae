//! Looking through a directory: one thread walks, several read. Follows nothing, blocks on nothing,
//! leaves sockets out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::Read,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use kiln_image::{Algorithm, Digest};
use rustix::fs::{AtFlags, FileType, Stat, fstat, major, minor, readlinkat, statat};

use super::{Keep, at, delete::names, meta, open::changed};
use crate::{Entry, Error, File, Kind, LayerPath, Meta, Tree, keeps_attribute, pack::kept_inline};

/// What kind of directory it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Any: the files are read and their digests found.
    Plain,
    /// An upper directory of overlayfs: its marks mean something, its files are not read.
    Overlay,
}

pub(super) fn scan(
    root: BorrowedFd<'_>,
    keep: &dyn Fn(&LayerPath, bool) -> Keep,
    style: Style,
    threads: usize,
) -> Result<Tree, Error> {
    let mut walk = Walk {
        root,
        keep,
        style,
        tree: Tree::new(),
        passed: BTreeMap::new(),
        inodes: Vec::new(),
    };
    walk.all()?;
    walk.link();
    let Walk { mut tree, .. } = walk;
    let files: Vec<_> = tree
        .iter()
        .filter_map(|e| Some((&e.path, e.file()?)))
        .collect();
    let read = read_all(root, &files, style, threads)?;
    let paths: Vec<_> = files.into_iter().map(|(path, _)| path.clone()).collect();
    let mut metas = HashMap::new();
    for (path, (meta, kind)) in paths.into_iter().zip(read) {
        metas.insert(path.clone(), meta.clone());
        tree.insert(Entry { path, meta, kind });
    }
    // A link has its file's metadata, attributes included.
    let links: Vec<_> = tree
        .iter()
        .filter_map(|e| match &e.kind {
            Kind::Hardlink { target } => Some((e.clone(), metas.get(target)?.clone())),
            _ => None,
        })
        .collect();
    for (link, meta) in links {
        tree.insert(Entry { meta, ..link });
    }
    Ok(tree)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    keep: &'a dyn Fn(&LayerPath, bool) -> Keep,
    style: Style,
    tree: Tree,
    /// Folders that were not taken, and are when something inside is.
    passed: BTreeMap<LayerPath, Entry>,
    /// Regular files with several names.
    inodes: Vec<((u64, u64), LayerPath)>,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), Error> {
        let root = self.folder(LayerPath::root(), &fstat(self.root).map_err(io_at)?)?;
        self.tree.insert(root);
        let mut todo = vec![LayerPath::root()];
        while let Some(folder) = todo.pop() {
            let fd = at::open(self.root, &folder, at::FOLDER).map_err(|e| io_of(&folder, e))?;
            for name in names(fd.as_fd()).map_err(|e| io_of(&folder, e))? {
                let path = folder.join(&name)?;
                if self.one(fd.as_fd(), &name, path.clone())? {
                    todo.push(path);
                }
            }
        }
        Ok(())
    }

    /// One entry; whether it is a folder to look into.
    fn one(&mut self, folder: BorrowedFd<'_>, name: &[u8], path: LayerPath) -> Result<bool, Error> {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Gone since its name was read.
            Err(e) if at::is_missing(e) => return Ok(false),
            found => found.map_err(|e| io_of(&path, e))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let keep = (self.keep)(&path, kind.is_dir());
        if keep == Keep::No || (keep == Keep::Look && !kind.is_dir()) {
            return Ok(false);
        }
        if kind.is_dir() {
            let entry = self.folder(path.clone(), &stat)?;
            if keep == Keep::Look {
                self.passed.insert(path, entry);
            } else {
                self.take(entry);
            }
            return Ok(true);
        }
        let Some(kind) = self.leaf(folder, name, &path, &stat)? else {
            return Ok(false);
        };
        let meta = match kind {
            Kind::Whiteout => Meta::default(),
            _ => meta::of(&stat),
        };
        self.take(Entry { path, meta, kind });
        Ok(false)
    }

    /// Puts an entry into the tree, with the folders above it that were passed.
    fn take(&mut self, entry: Entry) {
        let mut up = entry.path.parent();
        while let Some(passed) = up.as_ref().and_then(|p| self.passed.remove(p)) {
            up = passed.path.parent();
            self.tree.insert(passed);
        }
        self.tree.insert(entry);
    }

    fn folder(&self, path: LayerPath, stat: &Stat) -> Result<Entry, Error> {
        let fd = at::open(self.root, &path, at::FOLDER).map_err(|e| io_of(&path, e))?;
        let mut meta = meta::of(stat);
        let found = meta::xattrs(fd.as_fd()).map_err(|e| io_of(&path, e))?;
        let marks = [&b"user.overlay.opaque"[..], b"trusted.overlay.opaque"];
        let opaque = self.style == Style::Overlay
            && marks
                .iter()
                .any(|m| found.get(*m).is_some_and(|v| v == b"y"));
        meta.xattrs = kept(self.style, found);
        let kind = Kind::Dir { opaque };
        Ok(Entry { path, meta, kind })
    }

    fn leaf(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        path: &LayerPath,
        stat: &Stat,
    ) -> Result<Option<Kind>, Error> {
        let (major, minor) = (major(stat.st_rdev as _), minor(stat.st_rdev as _));
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    #[allow(clippy::unnecessary_cast)] // other widths elsewhere
                    let inode = (stat.st_dev as u64, stat.st_ino as u64);
                    self.inodes.push((inode, path.clone()));
                }
                Kind::File(File::unread(stat.st_size as u64))
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).map_err(|e| io_of(path, e))?;
                Kind::Symlink {
                    target: target.into_bytes(),
                }
            }
            FileType::CharacterDevice
                if self.style == Style::Overlay && (major, minor) == (0, 0) =>
            {
                Kind::Whiteout
            }
            FileType::CharacterDevice => Kind::Char { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            // Sockets are of no use without the process that listens.
            _ => return Ok(None),
        }))
    }

    /// Makes hard links of the names of one inode, but of the first in order.
    fn link(&mut self) {
        let mut groups: HashMap<(u64, u64), BTreeSet<LayerPath>> = HashMap::new();
        for (inode, path) in self.inodes.drain(..) {
            groups.entry(inode).or_default().insert(path);
        }
        for names in groups.into_values() {
            let mut names = names.into_iter();
            let Some(target) = names.next() else {
                continue;
            };
            for name in names {
                if let Some(mut entry) = self.tree.remove(&name) {
                    entry.kind = Kind::Hardlink {
                        target: target.clone(),
                    };
                    self.tree.insert(entry);
                }
            }
        }
    }
}

fn kept(style: Style, found: BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    // The lists of a person's own folder name people of that machine.
    let acl = |name: &[u8]| style == Style::Plain && name.starts_with(b"system.");
    found
        .into_iter()
        .filter(|(name, _)| keeps_attribute(name) && !acl(name))
        .collect()
}

type Looked = (Meta, Kind);
type Failed = (usize, Error);
type Done = (Vec<(usize, Looked)>, Option<Failed>);

/// Opens every file, for its attributes and where it is asked for its digest, in the given order.
fn read_all(
    root: BorrowedFd<'_>,
    files: &[(&LayerPath, &File)],
    style: Style,
    threads: usize,
) -> Result<Vec<Looked>, Error> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let next = AtomicUsize::new(0);
    let done: Mutex<Done> = Mutex::default();
    let work = || {
        let mut mine = Vec::new();
        let mut failed = None;
        let mut buffer = vec![0; 128 << 10];
        while failed.is_none() {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some((path, file)) = files.get(i) else {
                break;
            };
            match read_one(root, path, file, style, &mut buffer) {
                Ok(read) => mine.push((i, read)),
                Err(e) => {
                    failed = Some((i, e));
                    next.store(files.len(), Ordering::Relaxed);
                }
            }
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        done.0.append(&mut mine);
        // The first in order, so that the message does not depend on the threads.
        if let Some((i, e)) = failed
            && done.1.as_ref().is_none_or(|(j, _)| i < *j)
        {
            done.1 = Some((i, e));
        }
    };
    // Few files are read before a thread has started.
    let threads = threads.min(files.len() / 16 + 1);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let (mut read, failed) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, e)) = failed {
        return Err(e);
    }
    read.sort_by_key(|(i, _)| *i);
    Ok(read.into_iter().map(|(_, read)| read).collect())
}

fn read_one(
    root: BorrowedFd<'_>,
    path: &LayerPath,
    file: &File,
    style: Style,
    buffer: &mut [u8],
) -> Result<Looked, Error> {
    let fd = at::open(root, path, at::FILE).map_err(|e| io_of(path, e))?;
    let stat = fstat(&fd).map_err(|e| io_of(path, e))?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(changed(path));
    }
    let found = meta::xattrs(fd.as_fd()).map_err(|e| io_of(path, e))?;
    // The whiteout of newer kernels, for where devices cannot be made.
    let marks = [&b"user.overlay.whiteout"[..], b"trusted.overlay.whiteout"];
    let size = stat.st_size as u64;
    if style == Style::Overlay && size == 0 && marks.iter().any(|m| found.contains_key(*m)) {
        return Ok((Meta::default(), Kind::Whiteout));
    }
    let mut meta = meta::of(&stat);
    meta.xattrs = kept(style, found);
    if style == Style::Overlay {
        return Ok((meta, Kind::File(File::unread(size))));
    }
    if size != file.size {
        return Err(changed(path));
    }
    let mut fd = fs::File::from(fd);
    let mut hash = blake3::Hasher::new();
    let mut inline = kept_inline(path, size).then(Vec::new);
    let mut left = size;
    loop {
        let n = fd
            .read(buffer)
            .map_err(|e| Error::io("read the file", e).at(path))?;
        if n as u64 > left || (n == 0 && left > 0) {
            return Err(changed(path));
        }
        if n == 0 {
            break;
        }
        left -= n as u64;
        hash.update(&buffer[..n]);
        if let Some(inline) = &mut inline {
            inline.extend_from_slice(&buffer[..n]);
        }
    }
    let file = File {
        size,
        digest: Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes()),
        offset: 0,
        inline: inline.map(Into::into),
    };
    Ok((meta, Kind::File(file)))
}

fn io_of(path: &LayerPath, e: rustix::io::Errno) -> Error {
    io_at(e).at(path)
}

fn io_at(e: rustix::io::Errno) -> Error {
    Error::io("look at it", e.into())
}
