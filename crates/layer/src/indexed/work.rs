//! Compressing on several threads: this one reads and writes, the others compress. What is under way
//! is bounded by the number of threads. The order of what comes out is that of what goes in.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use kiln_image::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};

use super::{Indexed, Layout, codec::Codec, measure::Crc64, split, toc::Entry, write::Writer};
use crate::Error;

/// A stretch of the tar.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) plain: Vec<u8>,
    pub(super) notes: Vec<Note>,
}

/// What the next bytes of a [`Batch`] are.
pub(super) enum Note {
    /// The headers of an entry with the padding before, or what follows the last entry.
    Raw {
        len: usize,
        entry: Option<Box<Entry>>,
    },
    /// Content of the entry before.
    Content { len: usize, part: Part },
}

/// Which part of a file.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// More follow.
    Some,
    /// The last one; the sums are those of the whole file.
    Last(Sums),
}

#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) digest: Digest,
    pub(super) crc: u64,
}

/// Finds the sums of what is put in.
pub(super) struct Summing {
    sha: Sha256,
    crc: Crc64,
}

impl Summing {
    pub(super) fn new() -> Self {
        Self {
            sha: Sha256::new(),
            crc: Crc64::new(),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.crc.update(bytes);
    }

    pub(super) fn finish(self) -> Sums {
        Sums {
            digest: Digest::new(Algorithm::Sha256, self.sha.finalize().into()),
            crc: self.crc.finish(),
        }
    }
}

/// A [`Batch`], compressed.
pub(super) struct Packed {
    pub(super) batch: Batch,
    pub(super) bytes: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
}

/// What was compressed for itself: all headers in a row, or a part of a file.
pub(super) struct Piece {
    /// Where it ends in the compressed bytes.
    pub(super) end: usize,
    /// Of a part of a file.
    pub(super) sums: Option<Sums>,
}

struct Job {
    batch: Batch,
    done: SyncSender<io::Result<Packed>>,
}

pub(super) fn run(
    threads: usize,
    from: &mut dyn io::Read,
    to: &mut dyn io::Write,
    layout: Layout,
    level: i32,
) -> Result<Indexed, Error> {
    let mut writer = Writer::new(to, layout, level, threads)?;
    let (give, take) = sync_channel::<Job>(threads);
    let take = Arc::new(Mutex::new(take));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let take = take.clone();
            scope.spawn(move || work(&take, layout, level));
        }
        // The workers hold it now: when they are gone, giving fails instead of waiting.
        drop(take);
        let mut line = Line {
            give,
            waiting: VecDeque::new(),
            threads,
        };
        let source = split::split(from, layout, &mut |batch| match line.put(batch)? {
            Some(packed) => Ok(writer.take(packed)?),
            None => Ok(Batch::default()),
        })?;
        while let Some(packed) = line.next()? {
            writer.take(packed)?;
        }
        writer.finish(source)
    })
}

/// What is under way, in order.
struct Line {
    give: SyncSender<Job>,
    waiting: VecDeque<Receiver<io::Result<Packed>>>,
    threads: usize,
}

impl Line {
    /// Puts a batch at the end, and takes the first one out when there are enough.
    fn put(&mut self, batch: Batch) -> Result<Option<Packed>, Error> {
        let (done, wait) = sync_channel(1);
        self.give.send(Job { batch, done }).map_err(|_| gone())?;
        self.waiting.push_back(wait);
        match self.waiting.len() > self.threads + 1 {
            true => self.next(),
            false => Ok(None),
        }
    }

    fn next(&mut self) -> Result<Option<Packed>, Error> {
        let Some(first) = self.waiting.pop_front() else {
            return Ok(None);
        };
        let packed = first.recv().map_err(|_| gone())?;
        packed.map(Some).map_err(|e| Error::io("compress", e))
    }
}

fn gone() -> Error {
    Error::io(
        "compress",
        io::Error::other("a compressing thread has ended"),
    )
}

fn work(take: &Mutex<Receiver<Job>>, layout: Layout, level: i32) {
    let mut codec = None;
    loop {
        let job = match take.lock() {
            Ok(take) => take.recv(),
            Err(_) => return,
        };
        let Ok(Job { batch, done }) = job else {
            return;
        };
        // Made by whoever has work: most layers are small.
        let made = match codec.take() {
            Some(codec) => Ok(codec),
            None => Codec::new(layout, level),
        };
        let packed = made.and_then(|mut made| {
            let packed = pack(&mut made, batch);
            codec = Some(made);
            packed
        });
        // Nobody waits when writing has failed.
        drop(done.send(packed));
    }
}

fn pack(codec: &mut Codec, batch: Batch) -> io::Result<Packed> {
    let mut bytes = Vec::with_capacity(batch.plain.len() / 2);
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut notes = batch.notes.iter().peekable();
    while let Some(note) = notes.next() {
        let start = at;
        let sums = match note {
            Note::Raw { len, .. } => {
                at += len;
                while let Some(Note::Raw { len, .. }) = notes.peek() {
                    at += len;
                    notes.next();
                }
                None
            }
            Note::Content { len, .. } => {
                at += len;
                let mut sums = Summing::new();
                sums.update(&batch.plain[start..at]);
                Some(sums.finish())
            }
        };
        codec.piece(&batch.plain[start..at], &mut bytes)?;
        let end = bytes.len();
        pieces.push(Piece { end, sums });
    }
    Ok(Packed {
        batch,
        bytes,
        pieces,
    })
}
