//! Looking through a directory: threads look at the folders, then read the files that no index knows.
//! The tree does not depend on how many there are. Follows nothing, blocks on nothing, leaves sockets
//! out; what goes away meanwhile is not there.

mod believed;
mod names;
mod read;
mod walk;

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::BorrowedFd,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{fs::Stat, io::Errno};

use super::{Keep, Scan, Scanned, meta};
use crate::{
    Entry, Error, Index, Kind, LayerPath, Time, Tree,
    index::{Record, Stamp},
    keeps_attribute,
};

/// What kind of directory it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Any: the files are read and their digests found.
    Plain,
    /// An upper directory of overlayfs: its marks mean something, its files are not read.
    Overlay,
}

/// How a directory is looked through.
#[derive(Clone, Copy)]
struct How<'a> {
    style: Style,
    threads: usize,
    index: Option<&'a Index>,
}

/// What the walk saw of an entry, beside the entry.
enum Seen {
    /// All there is.
    Done,
    /// A folder, which comes by its number; whether it is wanted for itself, and not only for what is
    /// in it.
    Folder { id: u32, taken: bool },
    /// A file whose content the index has, in that place.
    Known { place: u32, several: bool },
    /// A file whose content and attributes are still to be looked at. Whether the index may have it;
    /// and whether it has several names.
    Unread {
        stamp: Box<Stamp>,
        believed: bool,
        several: bool,
    },
    /// Gone since.
    Gone,
}

/// A file that stayed unread, by what it looked like.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) stamp: Stamp,
    /// What an index takes, once its digest is known; `None` where none may have it.
    pub(super) xattrs: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// What a scan gave.
pub(super) struct Outcome {
    pub(super) tree: Tree,
    pub(super) scanned: Scanned,
    pub(super) unread: HashMap<LayerPath, Unread>,
    /// When it began.
    pub(super) looked: Time,
}

pub(super) fn scan(
    root: BorrowedFd<'_>,
    keep: &(dyn Fn(&LayerPath, bool) -> Keep + Sync),
    style: Style,
    scan: &Scan<'_>,
) -> Result<Outcome, Error> {
    // Before anything is looked at: what is too young now was no older when it was looked at.
    let looked = now();
    let how = How {
        style,
        threads: scan.threads,
        index: scan.index.filter(|i| !i.is_from_the_future(looked)),
    };
    let mut scene = Scene::of(walk::walk(root, keep, &how)?);
    scene.link(how.index);
    let todo = scene.todo();
    let read = style == Style::Plain && scene.weight(&todo) <= scan.read_up_to;
    let found = read::look(root, &scene.entries, &todo, read, &how)?;
    let mut outcome = Outcome {
        tree: Tree::new(),
        scanned: Scanned::default(),
        unread: HashMap::new(),
        looked,
    };
    let new = scene.take(todo, found, &mut outcome);
    let seen = scene.known();
    outcome.scanned.known = seen.len();
    if !new.is_empty() {
        let old = how.index.cloned().unwrap_or_default();
        outcome.scanned.index = Some(old.after(looked, &seen, new));
    }
    scene.settle()?;
    if let Some(shown) = scan.shown {
        scene.entries.iter_mut().for_each(shown);
    }
    outcome.tree = Tree::from_entries(scene.entries);
    Ok(outcome)
}

/// What is found out, entry by entry in the order of a tree.
struct Scene {
    entries: Vec<Entry>,
    seen: Vec<Seen>,
    /// Names of a file that has a name before them, and that.
    links: Vec<(usize, usize)>,
}

impl Scene {
    /// From what is in the folders, by their numbers. Those that are not taken come in when something
    /// in them does.
    fn of(mut batches: Vec<Option<walk::Batch>>) -> Self {
        let count = batches.iter().flatten().map(|b| b.entries.len() + 1).sum();
        let mut scene = Self {
            entries: Vec::with_capacity(count),
            seen: Vec::with_capacity(count),
            links: Vec::new(),
        };
        let mut passed = Vec::new();
        let mut open = Vec::new();
        let mut next = Some((0, true));
        loop {
            let entered = next.and_then(|(id, taken)| Some((batches[id as usize].take()?, taken)));
            if let Some((batch, taken)) = entered {
                open.push((passed.len(), batch.entries.into_iter().zip(batch.seen)));
                match taken {
                    true => scene.put(&mut passed, batch.own, Seen::Done),
                    false => passed.push(batch.own),
                }
            }
            let Some((before, inside)) = open.last_mut() else {
                return scene;
            };
            next = None;
            match inside.next() {
                Some((_, Seen::Folder { id, taken })) => next = Some((id, taken)),
                Some((entry, seen)) => scene.put(&mut passed, entry, seen),
                None => {
                    passed.truncate(*before);
                    open.pop();
                }
            }
        }
    }

    fn put(&mut self, passed: &mut Vec<Entry>, entry: Entry, seen: Seen) {
        for folder in passed.drain(..) {
            self.entries.push(folder);
            self.seen.push(Seen::Done);
        }
        self.entries.push(entry);
        self.seen.push(seen);
    }

    /// Makes hard links of the names of one inode, but of the first in order.
    fn link(&mut self, index: Option<&Index>) {
        let mut first: HashMap<(u64, u64), usize> = HashMap::new();
        for at in 0..self.seen.len() {
            let key = match (&self.seen[at], index) {
                (
                    Seen::Unread {
                        stamp,
                        several: true,
                        ..
                    },
                    _,
                ) => stamp.key(),
                (
                    Seen::Known {
                        place,
                        several: true,
                    },
                    Some(index),
                ) => index.record(*place).stamp.key(),
                _ => continue,
            };
            let target = *first.entry(key).or_insert(at);
            if target != at {
                let path = self.entries[target].path.clone();
                self.entries[at].kind = Kind::Hardlink { target: path };
                self.seen[at] = Seen::Done;
                self.links.push((at, target));
            }
        }
    }

    /// The places of the files that are to be looked at.
    fn todo(&self) -> Vec<usize> {
        let unread = |i: &usize| matches!(self.seen[*i], Seen::Unread { .. });
        (0..self.seen.len()).filter(unread).collect()
    }

    /// How much it is to read them, see [`Scan::read_up_to`].
    fn weight(&self, todo: &[usize]) -> u64 {
        let sizes = todo.iter().filter_map(|i| self.entries[*i].file());
        sizes.fold(0, |sum: u64, f| {
            sum.saturating_add(f.size).saturating_add(4096)
        })
    }

    /// Takes what the look at `todo` has found; gives what is new to the index.
    fn take(
        &mut self,
        todo: Vec<usize>,
        found: Vec<read::Found>,
        outcome: &mut Outcome,
    ) -> Vec<Record> {
        let mut new = Vec::new();
        for (i, found) in todo.into_iter().zip(found) {
            let entry = &mut self.entries[i];
            let (read, file) = match found {
                read::Found::Gone => {
                    self.seen[i] = Seen::Gone;
                    continue;
                }
                read::Found::Whiteout => {
                    *entry = Entry::whiteout(entry.path.clone());
                    continue;
                }
                read::Found::Unread(file) => (false, file),
                read::Found::Read(file) => (true, file),
            };
            let read::File { meta, file, stamp } = *file;
            let believed = matches!(self.seen[i], Seen::Unread { believed: true, .. });
            let fit = believed
                && stamp.is_settled(outcome.looked)
                && meta.xattrs.len() <= crate::xattrs::MAX_COUNT;
            if read {
                outcome.scanned.read += 1;
                if fit {
                    new.push(Record::new(stamp, &file.digest, meta.xattrs.clone()));
                }
            } else {
                outcome.scanned.unread += 1;
                let xattrs = fit.then(|| meta.xattrs.clone());
                let unread = Unread { stamp, xattrs };
                outcome.unread.insert(entry.path.clone(), unread);
            }
            entry.meta = meta;
            entry.kind = Kind::File(file);
        }
        new
    }

    /// The places in the index of what it knew.
    fn known(&self) -> Vec<u32> {
        let place = |s: &Seen| match s {
            Seen::Known { place, .. } => Some(*place),
            _ => None,
        };
        self.seen.iter().filter_map(place).collect()
    }

    /// Links get their file's metadata, attributes included; what is gone goes.
    fn settle(&mut self) -> Result<(), Error> {
        for (link, target) in std::mem::take(&mut self.links) {
            let (before, after) = self.entries.split_at_mut(link);
            let target_is_gone = matches!(self.seen[target], Seen::Gone);
            let (link, target) = (&mut after[0], &before[target]);
            if target_is_gone {
                return Err(moved(&target.path));
            }
            link.meta.clone_from(&target.meta);
            // Marks that say that a file is none may share an inode.
            if target.is_whiteout() {
                link.kind = Kind::Whiteout;
            }
        }
        if self.seen.iter().any(|s| matches!(s, Seen::Gone)) {
            let mut seen = self.seen.iter();
            let stays = |_: &Entry| !matches!(seen.next(), Some(Seen::Gone));
            self.entries.retain(stays);
        }
        Ok(())
    }
}

fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

fn now() -> Time {
    // A clock before 1970 makes everything too young to be kept.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos(),
    }
}

/// What `stat` shows of a file that tells its changes.
#[allow(clippy::unnecessary_cast)] // other widths elsewhere
pub(super) fn stamp_of(stat: &Stat) -> Stamp {
    Stamp {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        mtime: meta::of(stat).mtime,
        ctime: Time {
            seconds: stat.st_ctime as i64,
            nanos: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
        },
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

/// Something that was one thing when it was first seen, and another when it was opened.
fn moved(path: &LayerPath) -> Error {
    super::open::changed(path)
}

fn io_of(path: &LayerPath, e: Errno) -> Error {
    Error::io("look at it", e.into()).at(path)
}
