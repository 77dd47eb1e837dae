//! Looking into the files that a walk has found: their attributes, and where it is asked the digest of
//! their contents, on several threads. A file that changes under it is read once more, then it is an
//! error.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use kiln_image::{Algorithm, Digest};
use rustix::{
    fs::{FileType, Mode, fstat, openat},
    io::Errno,
};

use super::{How, Style, io_of, kept, moved, stamp_of, threads};
use crate::{
    Entry, Error, LayerPath, Meta,
    disk::{at, meta},
    index::Stamp,
    pack::kept_inline,
};

/// What was found of a file.
pub(super) enum Found {
    Read(Box<File>),
    Unread(Box<File>),
    /// It is an overlay's mark that something is not there.
    Whiteout,
    /// It went away since.
    Gone,
}

pub(super) struct File {
    pub(super) meta: Meta,
    pub(super) file: crate::File,
    /// As it was before it was read, and after.
    pub(super) stamp: Stamp,
}

/// How many files one thread takes at a time.
const RUN: usize = 32;
const BUFFER: usize = 256 << 10;

type Failed = (usize, Error);
type Done = (Vec<(usize, Vec<Found>)>, Option<Failed>);

/// Looks at the files in the places `todo` of `entries`, in the given order; `read`: at their contents,
/// too.
pub(super) fn look(
    root: BorrowedFd<'_>,
    entries: &[Entry],
    todo: &[usize],
    read: bool,
    how: &How<'_>,
) -> Result<Vec<Found>, Error> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Done> = Mutex::default();
    let work = || {
        let mut mine = Vec::new();
        let mut failed = None;
        let mut look = Look::new(root, how.style, read);
        while failed.is_none() {
            let start = next.fetch_add(RUN, Ordering::Relaxed).min(todo.len());
            let run = &todo[start..(start + RUN).min(todo.len())];
            if run.is_empty() {
                break;
            }
            let mut found = Vec::with_capacity(run.len());
            for (i, place) in (start..).zip(run) {
                match look.at(&entries[*place].path) {
                    Ok(file) => found.push(file),
                    Err(e) => {
                        failed = Some((i, e));
                        next.store(todo.len(), Ordering::Relaxed);
                        break;
                    }
                }
            }
            mine.push((start, found));
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
    let threads = threads(how.threads).min(todo.len() / RUN + 1);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let (mut runs, failed) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, e)) = failed {
        return Err(e);
    }
    runs.sort_unstable_by_key(|(start, _)| *start);
    Ok(runs.into_iter().flat_map(|(_, found)| found).collect())
}

/// What one thread looks with.
struct Look<'a> {
    root: BorrowedFd<'a>,
    style: Style,
    read: bool,
    buffer: Vec<u8>,
    /// The folder of the last file: most have it in common.
    folder: Option<(LayerPath, OwnedFd)>,
}

impl<'a> Look<'a> {
    fn new(root: BorrowedFd<'a>, style: Style, read: bool) -> Self {
        Self {
            root,
            style,
            read,
            buffer: Vec::new(),
            folder: None,
        }
    }

    fn at(&mut self, path: &LayerPath) -> Result<Found, Error> {
        // What is read while somebody writes it is worth another try, and no more.
        match self.once(path)? {
            Some(found) => Ok(found),
            None => self.once(path)?.ok_or_else(|| moved(path)),
        }
    }

    /// `None` when the file changed meanwhile.
    fn once(&mut self, path: &LayerPath) -> Result<Option<Found>, Error> {
        let fd = match self.open(path) {
            Err(e) if at::is_missing(e) => return Ok(Some(Found::Gone)),
            Err(e) if at::is_not_a_folder(e) => return Err(moved(path)),
            // A device without a driver, a pipe: it was a file.
            Err(Errno::NXIO | Errno::NODEV) => return Err(moved(path)),
            opened => opened.map_err(|e| io_of(path, e))?,
        };
        let before = fstat(&fd).map_err(|e| io_of(path, e))?;
        if !FileType::from_raw_mode(before.st_mode).is_file() {
            return Err(moved(path));
        }
        let found = meta::xattrs(fd.as_fd()).map_err(|e| io_of(path, e))?;
        let stamp = stamp_of(&before);
        // The whiteout of newer kernels, for where devices cannot be made.
        let marks = [&b"user.overlay.whiteout"[..], b"trusted.overlay.whiteout"];
        let is_marked = || marks.iter().any(|m| found.contains_key(*m));
        if self.style == Style::Overlay && stamp.size == 0 && is_marked() {
            return Ok(Some(Found::Whiteout));
        }
        let mut meta = meta::of(&before);
        meta.xattrs = kept(self.style, found);
        let read = self.read || (self.style == Style::Plain && kept_inline(path, stamp.size));
        let mut file = crate::File::unread(stamp.size);
        if read {
            match self.content(path, &fd, stamp.size)? {
                Some(found) => file = found,
                None => return Ok(None),
            }
        }
        let after = fstat(&fd).map_err(|e| io_of(path, e))?;
        if stamp_of(&after) != stamp {
            return Ok(None);
        }
        let found = Box::new(File { meta, file, stamp });
        Ok(Some(match read {
            true => Found::Read(found),
            false => Found::Unread(found),
        }))
    }

    fn open(&mut self, path: &LayerPath) -> rustix::io::Result<OwnedFd> {
        let (Some(folder), Some(name)) = (path.parent(), path.name()) else {
            return at::open(self.root, path, at::FILE);
        };
        let fd = match &mut self.folder {
            Some((at, fd)) if *at == folder => fd,
            other => {
                let fd = at::open(self.root, &folder, at::FOLDER)?;
                &mut other.insert((folder, fd)).1
            }
        };
        openat(fd, name, at::FILE, Mode::empty())
    }

    /// The digest of `size` bytes, and no more and no fewer; `None` when there are.
    fn content(
        &mut self,
        path: &LayerPath,
        fd: &OwnedFd,
        size: u64,
    ) -> Result<Option<crate::File>, Error> {
        self.buffer.resize(BUFFER, 0);
        let mut hash = blake3::Hasher::new();
        let mut inline = kept_inline(path, size).then(Vec::new);
        let mut left = size;
        loop {
            // One byte more than is left shows that it has grown; fewer than were asked for, its end.
            let want = usize::try_from(left).map_or(BUFFER, |n| BUFFER.min(n.saturating_add(1)));
            let n = match rustix::io::read(fd, &mut self.buffer[..want]) {
                Err(Errno::INTR) => continue,
                read => read.map_err(|e| Error::io("read the file", e.into()).at(path))?,
            };
            if n as u64 > left || (n == 0 && left > 0) {
                return Ok(None);
            }
            left -= n as u64;
            hash.update(&self.buffer[..n]);
            if let Some(inline) = &mut inline {
                inline.extend_from_slice(&self.buffer[..n]);
            }
            if left == 0 && n < want {
                break;
            }
        }
        Ok(Some(crate::File {
            size,
            digest: Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes()),
            offset: 0,
            inline: inline.map(Into::into),
        }))
    }
}
