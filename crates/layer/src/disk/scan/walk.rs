//! Looking at every entry below a folder, on several threads. Opens folders only, each once and by its
//! whole path, so that none is entered through a link.

mod kinds;

use std::{
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, FileType, fstat, statat},
    io::Errno,
};

use super::{How, Seen, believed::Believed, io_of, moved, names::Names, stamp_of, threads};
use crate::{Entry, Error, Keep, LayerPath, Meta, disk::at};

/// What was found in one folder: the folder, and what is in it, in order.
pub(super) struct Batch {
    pub(super) own: Entry,
    pub(super) entries: Vec<Entry>,
    pub(super) seen: Vec<Seen>,
}

/// A folder to look into, or a part of one.
enum Task {
    Folder(Below),
    Part(Arc<Large>, u32, Range<usize>),
}

struct Below {
    id: u32,
    path: LayerPath,
}

/// A folder with so many names that several threads look at them.
struct Large {
    below: Below,
    fd: OwnedFd,
    believed: Believed,
    names: Names,
}

/// How many names of a folder one thread looks at in a row.
const PART: usize = 2048;
/// With how many folders to do another thread is worth its start.
const WORTH: usize = 8;

struct Walk<'a> {
    root: BorrowedFd<'a>,
    keep: &'a (dyn Fn(&LayerPath, bool) -> Keep + Sync),
    how: &'a How<'a>,
    queue: Mutex<Queue>,
    changed: Condvar,
    ids: AtomicU32,
}

#[derive(Default)]
struct Queue {
    todo: Vec<Task>,
    /// How many tasks are being worked on, each of which may give more.
    busy: usize,
    failed: Option<Error>,
    done: Vec<Piece>,
    helpers: usize,
}

/// What a task gave: the whole of a folder, or a part of it, by number.
struct Piece {
    id: u32,
    part: u32,
    batch: Batch,
}

/// What one thread keeps between tasks.
#[derive(Default)]
struct Mine {
    pieces: Vec<Piece>,
    more: Vec<Task>,
    believed: Option<Believed>,
    /// Where in the index the last file was found.
    near: usize,
}

/// Looks at all that `keep` wants; folders by the numbers in [`Seen::Folder`], the root first.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    keep: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
    how: &How<'_>,
) -> Result<Vec<Option<Batch>>, Error> {
    let first = Below {
        id: 0,
        path: LayerPath::root(),
    };
    let walk = Walk {
        root,
        keep,
        how,
        queue: Mutex::new(Queue {
            todo: vec![Task::Folder(first)],
            ..Queue::default()
        }),
        changed: Condvar::new(),
        ids: AtomicU32::new(1),
    };
    let threads = threads(how.threads);
    std::thread::scope(|scope| {
        let help = || walk.work(None);
        walk.work(Some(&|helpers| {
            let more = helpers + 1 < threads;
            if more {
                scope.spawn(help);
            }
            more
        }));
    });
    let queue = walk
        .queue
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match queue.failed {
        Some(e) => Err(e),
        None => Ok(joined(queue.done, walk.ids.into_inner())),
    }
}

/// The pieces by folder.
fn joined(mut pieces: Vec<Piece>, ids: u32) -> Vec<Option<Batch>> {
    let mut batches: Vec<Option<Batch>> = Vec::new();
    batches.resize_with(ids as usize, || None);
    pieces.sort_unstable_by_key(|p| (p.id, p.part));
    for Piece { id, mut batch, .. } in pieces {
        match &mut batches[id as usize] {
            Some(before) => {
                before.entries.append(&mut batch.entries);
                before.seen.append(&mut batch.seen);
            }
            none => *none = Some(batch),
        }
    }
    batches
}

/// Starts another thread unless there are enough beside so many helpers; whether it did.
type Spawn<'a> = &'a dyn Fn(usize) -> bool;

impl Walk<'_> {
    fn work(&self, spawn: Option<Spawn<'_>>) {
        let mut mine = Mine::default();
        while let Some(task) = self.next() {
            // A panic must not leave the others waiting.
            let guard = Busy(self);
            let done = self.one(task, &mut mine);
            let mut queue = self.queue();
            if let Err(e) = done {
                // Of several that happen to be found the first in order is told.
                if queue.failed.as_ref().is_none_or(|f| e.path() < f.path()) {
                    queue.failed = Some(e);
                }
                queue.todo.clear();
            } else if queue.failed.is_none() {
                // The first in order comes first: what fails first does not depend on much else.
                queue.todo.extend(mine.more.drain(..).rev());
            }
            if let Some(spawn) = spawn
                && queue.todo.len() > WORTH * (queue.helpers + 1)
                && spawn(queue.helpers)
            {
                queue.helpers += 1;
            }
            drop(queue);
            drop(guard);
        }
        self.queue().done.append(&mut mine.pieces);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task; `None` when there is none, and none can come.
    fn next(&self) -> Option<Task> {
        let mut queue = self.queue();
        loop {
            if let Some(task) = queue.todo.pop() {
                queue.busy += 1;
                return Some(task);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn one(&self, task: Task, mine: &mut Mine) -> Result<(), Error> {
        let below = match task {
            Task::Folder(below) => below,
            Task::Part(large, part, places) => {
                return self.part(&large, part, places, mine);
            }
        };
        let path = &below.path;
        let fd = match at::open(self.root, path, at::FOLDER) {
            // Gone since its name was read.
            Err(e) if at::is_missing(e) && !path.is_root() => return Ok(()),
            opened => opened.map_err(|e| failed(path, e))?,
        };
        let stat = fstat(&fd).map_err(|e| io_of(path, e))?;
        let device = stamp_of(&stat).device;
        let believed = Believed::of(fd.as_fd(), device, mine.believed);
        mine.believed = Some(believed);
        let own = self.folder(path, fd.as_fd(), &stat)?;
        let names = Names::of(fd.as_fd()).map_err(|e| io_of(path, e))?;
        let large = Large {
            below,
            fd,
            believed,
            names,
        };
        let len = large.names.len();
        if len <= PART {
            return self.names(&large, own, (0, 0..len), mine);
        }
        let large = Arc::new(large);
        let parts = (PART..len).step_by(PART);
        for (number, start) in (1..).zip(parts) {
            let places = start..(start + PART).min(len);
            mine.more
                .push(Task::Part(Arc::clone(&large), number, places));
        }
        self.names(&large, own, (0, 0..PART), mine)
    }

    fn part(
        &self,
        large: &Large,
        part: u32,
        places: Range<usize>,
        mine: &mut Mine,
    ) -> Result<(), Error> {
        let unused = Entry::folder(LayerPath::root(), Meta::default());
        self.names(large, unused, (part, places), mine)
    }

    /// Looks at some of a folder's names, in the order of the disk, and puts them in order.
    fn names(
        &self,
        large: &Large,
        own: Entry,
        (part, places): (u32, Range<usize>),
        mine: &mut Mine,
    ) -> Result<(), Error> {
        let first = places.start;
        let mut slots: Vec<Option<(Entry, Seen)>> = Vec::new();
        slots.resize_with(places.len(), || None);
        for place in large.names.by_inode(places) {
            slots[place - first] = self.name(large, place, mine)?;
        }
        let mut batch = Batch {
            own,
            entries: Vec::with_capacity(slots.len()),
            seen: Vec::with_capacity(slots.len()),
        };
        for (entry, seen) in slots.into_iter().flatten() {
            if let Seen::Folder { id, .. } = seen {
                let path = entry.path.clone();
                mine.more.push(Task::Folder(Below { id, path }));
            }
            batch.entries.push(entry);
            batch.seen.push(seen);
        }
        let id = large.below.id;
        mine.pieces.push(Piece { id, part, batch });
        Ok(())
    }

    /// One entry of a folder; `None` when it is not wanted, or gone. Of a folder only its path counts
    /// here.
    fn name(
        &self,
        large: &Large,
        place: usize,
        mine: &mut Mine,
    ) -> Result<Option<(Entry, Seen)>, Error> {
        let (name, listed) = large.names.get(place);
        let path = large.below.path.join(name)?;
        let look = || match statat(&large.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Gone since its name was read.
            Err(e) if at::is_missing(e) => Ok(None),
            found => found.map(Some).map_err(|e| io_of(&path, e)),
        };
        let mut stat = None;
        let mut kind = listed;
        if kind == FileType::Unknown {
            let Some(found) = look()? else {
                return Ok(None);
            };
            kind = FileType::from_raw_mode(found.st_mode);
            stat = Some(found);
        }
        let keep = (self.keep)(&path, kind.is_dir());
        if keep == Keep::No || (keep == Keep::Look && !kind.is_dir()) {
            return Ok(None);
        }
        if kind.is_dir() {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let taken = keep == Keep::Yes;
            let entry = Entry::folder(path, Meta::default());
            return Ok(Some((entry, Seen::Folder { id, taken })));
        }
        let Some(stat) = stat.map_or_else(look, |s| Ok(Some(s)))? else {
            return Ok(None);
        };
        // It was no folder when the folder was read; what it is now is seen another time.
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(moved(&path));
        }
        self.leaf(large, path, &stat, mine)
    }
}

/// Says when a task is over, however it ends.
struct Busy<'a, 'b>(&'a Walk<'b>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        self.0.queue().busy -= 1;
        self.0.changed.notify_all();
    }
}

/// Of a folder that is a link now, or a file, is said that it changed.
fn failed(path: &LayerPath, e: Errno) -> Error {
    match at::is_not_a_folder(e) && !path.is_root() {
        true => moved(path),
        false => io_of(path, e),
    }
}
