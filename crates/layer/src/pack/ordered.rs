//! The parts of a tar in their order: hashed and written, while threads make those that come next.
//! What is under way is bounded. Few small files are packed on this thread alone.

use std::{
    collections::VecDeque,
    io::Write,
    ops::Range,
    panic::resume_unwind,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Scope, ScopedJoinHandle},
};

use kiln_image::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};

use super::{
    Packed, Packing, header,
    jobs::{self, Item},
    previous,
    reader::{Opener, PIECE, Part, Piece, Pool, Reader},
    unwritten,
};
use crate::{Entry, Error, Kind, Tree, compress::threads};

/// Makes an [`Opener`] for each thread.
type Openers<'a> = dyn Fn() -> Opener<'a> + Sync + 'a;

/// Packs `items`, whose contents come from `opener`.
pub(super) fn pack<'a, W: Write>(
    items: &mut [Item<'a>],
    opener: &Openers<'_>,
    out: W,
    how: &Packing<'_>,
) -> Result<(W, Packed), Error> {
    if let Some(previous) = &how.previous {
        previous::find(items, previous);
    }
    let items = &*items;
    let jobs = jobs::cut(items, PIECE as u64);
    let threads = threads(how.threads);
    let pool = Pool::default();
    // One job that is not large is done before a thread has started.
    let small = jobs.len() <= 1 && items.iter().all(|item| item.weight() <= PIECE as u64);
    let reader = || Reader::new(items, how, opener(), &pool);
    if threads == 1 || small {
        let mut tar = Tar::new(out, Hash::Here(Sha256::new()), &pool);
        let mut reader = reader();
        for job in jobs {
            reader.job(job, &mut |part| tar.part(part))?;
        }
        return tar.finish();
    }
    std::thread::scope(|scope| {
        let tar = Tar::new(out, Hash::start(scope, &pool), &pool);
        parallel(scope, threads.min(jobs.len()), jobs, &reader, tar)
    })
}

type Given = Result<Part, Error>;

/// A job, and where its parts go.
struct Job {
    items: Range<usize>,
    give: SyncSender<Given>,
}

fn parallel<'s, 'e, W: Write>(
    scope: &'s Scope<'s, 'e>,
    threads: usize,
    jobs: Vec<Range<usize>>,
    reader: &'e (dyn Fn() -> Reader<'e> + Sync),
    mut tar: Tar<'s, W>,
) -> Result<(W, Packed), Error> {
    let ahead = 2 * threads;
    let (give, take) = sync_channel::<Job>(ahead);
    let take = std::sync::Arc::new(Mutex::new(take));
    for _ in 0..threads {
        let take = take.clone();
        scope.spawn(move || work(&take, reader));
    }
    // The threads hold it now: when they are gone, giving fails.
    drop(take);
    let gone = || Error::new(crate::ErrorKind::Io, "a packing thread has ended");
    let mut jobs = jobs.into_iter();
    let mut waiting: VecDeque<Receiver<Given>> = VecDeque::with_capacity(ahead);
    loop {
        while waiting.len() < ahead
            && let Some(items) = jobs.next()
        {
            let (done, wait) = sync_channel(1);
            give.send(Job { items, give: done }).map_err(|_| gone())?;
            waiting.push_back(wait);
        }
        // Jobs are taken in order: this one is being made, or whoever took it is gone.
        let Some(first) = waiting.pop_front() else {
            break;
        };
        loop {
            let part = first.recv().map_err(|_| gone())??;
            let is_last = part.is_last;
            tar.part(part)?;
            if is_last {
                break;
            }
        }
    }
    tar.finish()
}

fn work<'e>(take: &Mutex<Receiver<Job>>, reader: &(dyn Fn() -> Reader<'e> + Sync)) {
    let next = || take.lock().unwrap_or_else(PoisonError::into_inner).recv();
    // Made when there is a job, so that a panic in it is somebody's.
    let mut made = None;
    while let Ok(Job { items, give }) = next() {
        let reader = made.get_or_insert_with(reader);
        // Nobody takes it when an earlier one has failed.
        let stopped = || Error::new(crate::ErrorKind::Io, "stopped");
        let mut send = |part| give.send(Ok(part)).map_err(|_| stopped());
        if let Err(e) = reader.job(items, &mut send) {
            drop(give.send(Err(e)));
        }
    }
}

/// The tar so far.
struct Tar<'s, W> {
    out: W,
    hash: Hash<'s>,
    pool: &'s Pool,
    size: u64,
    entries: Vec<Entry>,
    /// Where the job began that the next part belongs to.
    start: u64,
}

impl<'s, W: Write> Tar<'s, W> {
    fn new(out: W, hash: Hash<'s>, pool: &'s Pool) -> Self {
        Self {
            out,
            hash,
            pool,
            size: 0,
            entries: Vec::new(),
            start: 0,
        }
    }

    fn part(&mut self, part: Part) -> Result<(), Error> {
        for mut entry in part.entries {
            if let Kind::File(file) = &mut entry.kind {
                file.offset += self.start;
            }
            self.entries.push(entry);
        }
        let bytes = part.piece.bytes();
        self.size += bytes.len() as u64;
        self.out.write_all(bytes).map_err(unwritten)?;
        self.hash.update(part.piece, self.pool)?;
        if part.is_last {
            self.start = self.size;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(W, Packed), Error> {
        self.out.write_all(&header::END).map_err(unwritten)?;
        self.out.flush().map_err(unwritten)?;
        let tree = Tree::from_entries(self.entries);
        let mut hash = self.hash.finish();
        hash.update(header::END);
        let packed = Packed {
            diff_id: Digest::new(Algorithm::Sha256, hash.finalize().into()),
            size: self.size + header::END.len() as u64,
            tree,
        };
        Ok((self.out, packed))
    }
}

/// The SHA-256 of all pieces, here or on a thread.
enum Hash<'s> {
    Here(Sha256),
    There(SyncSender<Piece>, ScopedJoinHandle<'s, Sha256>),
}

impl<'s> Hash<'s> {
    fn start<'e>(scope: &'s Scope<'s, 'e>, pool: &'e Pool) -> Self {
        let (give, take) = sync_channel::<Piece>(2);
        let thread = scope.spawn(move || {
            let mut hash = Sha256::new();
            while let Ok(piece) = take.recv() {
                hash.update(piece.bytes());
                pool.put(piece);
            }
            hash
        });
        Self::There(give, thread)
    }

    fn update(&mut self, piece: Piece, pool: &Pool) -> Result<(), Error> {
        match self {
            Hash::Here(hash) => {
                hash.update(piece.bytes());
                pool.put(piece);
                Ok(())
            }
            Hash::There(give, _) => give
                .send(piece)
                .map_err(|_| Error::new(crate::ErrorKind::Io, "a hashing thread has ended")),
        }
    }

    fn finish(self) -> Sha256 {
        match self {
            Hash::Here(hash) => hash,
            Hash::There(give, thread) => {
                drop(give);
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
        }
    }
}
