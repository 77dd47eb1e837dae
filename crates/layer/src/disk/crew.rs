//! Making the files of a layer on threads of their own, while the next ones are read. Only where a
//! directory holds nothing but the layer: then no file is in another's way, and they can come in any
//! order. What depends on a file waits for all. Of several errors the first in the layer counts.
//!
//! Memory is bounded: a few batches of small files; a file of more than [`LARGE`] is not for here.

use std::{
    collections::HashSet,
    fs,
    io::Read,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{content, meta, refusals::Refusals};
use crate::{Entry, Error, ErrorKind, LayerPath, Meta};

/// The largest file that is made here, in bytes.
pub(super) const LARGE: u64 = 256 << 10;
/// How much is handed over at once: bytes, files, and folders, each of which is held open.
const BATCH: (usize, usize, usize) = (256 << 10, 64, 8);
/// How many files are made before a thread is worth its start.
const FEW: usize = 256;
/// How many files may be under way.
const PENDING: usize = 8192;

/// Makes a file that must not be there, for writing.
pub(super) fn create(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Something other than what was asked for is at a path where nothing should be.
pub(super) fn in_its_place() -> Error {
    let what = "another entry is in its place: does the disk tell upper case from lower?";
    Error::new(ErrorKind::Conflict, what)
}

struct Job {
    folder: Arc<OwnedFd>,
    path: LayerPath,
    meta: Meta,
    /// How long its content is, which comes after the last one's.
    len: usize,
}

#[derive(Default)]
struct Batch {
    /// Which one it is, from the first on.
    number: usize,
    jobs: Vec<Job>,
    bytes: Vec<u8>,
    folders: usize,
}

/// What the threads tell.
#[derive(Default)]
struct Told {
    under_way: usize,
    refused: Refusals,
    /// The first error, by the number of its batch.
    failed: Option<(usize, Error)>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing in it is half done when a thread panics.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(super) struct Crew {
    batch: Batch,
    made: usize,
    to: Option<SyncSender<Batch>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    pending: HashSet<LayerPath>,
}

impl Crew {
    /// Makes the file `entry` in `folder`, soon.
    pub(super) fn add(
        &mut self,
        folder: &Arc<OwnedFd>,
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let start = self.batch.bytes.len();
        // No more than LARGE.
        let len = entry.file().map_or(0, |f| f.size as usize);
        self.batch.bytes.resize(start + len, 0);
        if let Err(e) = content.read_exact(&mut self.batch.bytes[start..]) {
            self.batch.bytes.truncate(start);
            return Err(Error::io("read the content", e));
        }
        let last = self.batch.jobs.last();
        if last.is_none_or(|j| !Arc::ptr_eq(&j.folder, folder)) {
            self.batch.folders += 1;
        }
        self.batch.jobs.push(Job {
            folder: folder.clone(),
            path: entry.path.clone(),
            meta: entry.meta.clone(),
            len,
        });
        self.pending.insert(entry.path.clone());
        let (bytes, files, folders) = BATCH;
        if self.batch.bytes.len() >= bytes
            || self.batch.jobs.len() >= files
            || self.batch.folders >= folders
        {
            self.send();
        }
        match self.pending.len() >= PENDING || self.shared.told().failed.is_some() {
            true => self.wait(),
            false => Ok(()),
        }
    }

    /// Whether the file at `path` may not be there yet.
    pub(super) fn is_pending(&self, path: &LayerPath) -> bool {
        self.pending.contains(path)
    }

    /// Waits until all is made; the first error.
    pub(super) fn wait(&mut self) -> Result<(), Error> {
        self.send();
        let mut told = self.shared.told();
        while told.under_way > 0 {
            let woken = self.shared.changed.wait(told);
            told = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.pending.clear();
        told.failed.take().map_or(Ok(()), |(_, e)| Err(e))
    }

    /// What was refused since it was asked last.
    pub(super) fn refused(&self) -> Refusals {
        std::mem::take(&mut self.shared.told().refused)
    }

    /// Hands the batch over; the first few are done here.
    fn send(&mut self) {
        if self.batch.jobs.is_empty() {
            return;
        }
        let next = Batch {
            number: self.batch.number + 1,
            bytes: self.shared.told().spare.pop().unwrap_or_default(),
            ..Batch::default()
        };
        let batch = std::mem::replace(&mut self.batch, next);
        self.made += batch.jobs.len();
        self.shared.told().under_way += 1;
        if self.made > FEW && self.to.is_none() {
            self.start();
        }
        match &self.to {
            // It is done here when there is no thread to take it.
            Some(to) => {
                if let Err(back) = to.send(batch) {
                    run(back.0, &self.shared);
                }
            }
            None => run(batch, &self.shared),
        }
    }

    fn start(&mut self) {
        // The one that reads the archive is busy too.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).clamp(1, 4);
        let (to, from) = sync_channel(threads * 2);
        let from = Arc::new(Mutex::new(from));
        for _ in 0..threads {
            let (from, shared) = (from.clone(), self.shared.clone());
            let started = thread::Builder::new()
                .name("unpack".into())
                .spawn(move || work(&from, &shared));
            self.threads.extend(started);
        }
        // Without any thread the sender has nobody to send to, which `send` notices.
        self.to = Some(to);
    }
}

impl Drop for Crew {
    /// Nothing is made any more when it is gone.
    fn drop(&mut self) {
        self.to = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(from: &Mutex<Receiver<Batch>>, shared: &Shared) {
    loop {
        let next = from.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            // What comes after one that panics is still waited for.
            Ok(batch) => drop(catch_unwind(AssertUnwindSafe(|| run(batch, shared)))),
            Err(_) => return,
        }
    }
}

/// Says that a batch is done, also when making it panics.
struct Done<'a>(&'a Shared, usize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut told = self.0.told();
        told.under_way -= 1;
        if thread::panicking() {
            let error = Error::new(ErrorKind::Io, "a thread that makes files panicked");
            told.failed.get_or_insert((self.1, error));
        }
        self.0.changed.notify_all();
    }
}

/// Makes the files of a batch, up to the first that fails.
fn run(batch: Batch, shared: &Shared) {
    let _done = Done(shared, batch.number);
    let mut rest = &batch.bytes[..];
    for job in &batch.jobs {
        let (content, after) = rest.split_at(job.len);
        rest = after;
        if let Err(e) = make(job, content, shared) {
            let mut told = shared.told();
            if told.failed.as_ref().is_none_or(|(n, _)| *n > batch.number) {
                told.failed = Some((batch.number, e.at(&job.path)));
            }
            break;
        }
    }
    let mut bytes = batch.bytes;
    bytes.clear();
    shared.told().spare.push(bytes);
}

fn make(job: &Job, content: &[u8], shared: &Shared) -> Result<(), Error> {
    let name = job.path.name().unwrap_or_default();
    let made = create(job.folder.as_fd(), name).map_err(|e| match e {
        Errno::EXIST => in_its_place(),
        e => Error::io("make the entry", e.into()),
    })?;
    let mut file = fs::File::from(made);
    content::write_all(content, &mut file)?;
    let mut refused = |what, attribute: Option<&[u8]>| {
        shared.told().refused.add(&job.path, what, attribute);
    };
    meta::set(file.as_fd(), &job.meta, &mut refused)
        .map_err(|e| Error::io("set the metadata", e.into()))
}
