//! gzip on several cores: one member, stitched of blocks.
//!
//! Each block of 1 MiB is compressed by a stream of its own, which knows the 32 KiB before it and
//! ends on a byte boundary; the last one ends the member. A stream is never used twice: a reset one
//! keeps stale bytes of its old window, and then the result depends on which thread had which
//! block. What is written depends on the input and the level alone.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Its name and version: other bytes for the same input are another version.
pub(super) const NAME: &str = "kiln-gzip/1";

const BLOCK: usize = 1 << 20;
const WINDOW: usize = 32 << 10;

/// No name, no time, an unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Some of the input, after the end of what comes before it.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// How many of the bytes come before the block.
    before: usize,
    is_last: bool,
    /// Where it is compressed to.
    deflated: Vec<u8>,
}

impl Block {
    fn is_full(&self) -> bool {
        self.bytes.len() == self.before + BLOCK
    }

    /// What comes after this one, in buffers that are used again.
    fn next(&self, spare: Self) -> Self {
        let Self {
            mut bytes,
            mut deflated,
            ..
        } = spare;
        let before = &self.bytes[self.bytes.len().saturating_sub(WINDOW)..];
        bytes.clear();
        bytes.reserve_exact(WINDOW + BLOCK);
        bytes.extend_from_slice(before);
        deflated.clear();
        Self {
            bytes,
            before: before.len(),
            is_last: false,
            deflated,
        }
    }
}

/// A block that was compressed.
struct Done {
    crc: Crc,
    block: Block,
}

struct Job {
    block: Block,
    done: SyncSender<io::Result<Done>>,
}

/// Writes the member to `out`: blocks go to threads and come back in order.
pub(super) struct Stitcher<W> {
    out: W,
    level: u32,
    threads: usize,
    crc: Crc,
    block: Block,
    spare: Vec<Block>,
    /// None as long as one block is all there is.
    workers: Option<SyncSender<Job>>,
    waiting: VecDeque<Receiver<io::Result<Done>>>,
}

impl<W: Write> Stitcher<W> {
    pub(super) fn new(mut out: W, level: u32, threads: usize) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self {
            out,
            level,
            threads,
            crc: Crc::new(),
            block: Block::default(),
            spare: Vec::new(),
            workers: None,
            waiting: VecDeque::new(),
        })
    }

    /// Compresses the block that is full, and begins the next one.
    fn turn(&mut self) -> io::Result<()> {
        let next = self.block.next(self.spare.pop().unwrap_or_default());
        let block = std::mem::replace(&mut self.block, next);
        if self.threads == 1 {
            let done = deflate(block, self.level)?;
            return self.put(done);
        }
        let workers = match &self.workers {
            Some(workers) => workers,
            None => self.workers.insert(start(self.threads, self.level)?),
        };
        let (done, wait) = sync_channel(1);
        workers.send(Job { block, done }).map_err(|_| gone())?;
        self.waiting.push_back(wait);
        self.collect(self.threads + 1)
    }

    /// Writes what is ready, and waits while more than `most` blocks are not.
    fn collect(&mut self, most: usize) -> io::Result<()> {
        while let Some(first) = self.waiting.front() {
            let done = if self.waiting.len() > most {
                first.recv().map_err(|_| gone())??
            } else {
                match first.try_recv() {
                    Ok(done) => done?,
                    Err(TryRecvError::Empty) => return Ok(()),
                    Err(TryRecvError::Disconnected) => return Err(gone()),
                }
            };
            self.waiting.pop_front();
            self.put(done)?;
        }
        Ok(())
    }

    fn put(&mut self, done: Done) -> io::Result<()> {
        self.out.write_all(&done.block.deflated)?;
        self.crc.combine(&done.crc);
        self.spare.push(done.block);
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let mut last = std::mem::take(&mut self.block);
        last.is_last = true;
        let last = deflate(last, self.level)?;
        self.collect(0)?;
        self.put(last)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Stitcher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block waits for the byte after it, for it may be the last.
        if self.block.is_full() && !bytes.is_empty() {
            self.turn()?;
        }
        let room = self.block.before + BLOCK - self.block.bytes.len();
        let n = room.min(bytes.len());
        self.block.bytes.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    /// Does nothing: where a stream is flushed would be seen in its bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("a compressing thread has ended")
}

/// Starts the threads, which end when the sender is dropped.
fn start(threads: usize, level: u32) -> io::Result<SyncSender<Job>> {
    let (give, take) = sync_channel::<Job>(1);
    let take = Arc::new(Mutex::new(take));
    for _ in 0..threads {
        let take = take.clone();
        let work = move || {
            let next = || take.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(Job { block, done }) = next() {
                // Nobody waits when writing has failed.
                drop(done.send(deflate(block, level)));
            }
        };
        let thread = std::thread::Builder::new().name("gzip".to_owned());
        thread.spawn(work)?;
    }
    Ok(give)
}

fn deflate(mut block: Block, level: u32) -> io::Result<Done> {
    let out = &mut block.deflated;
    let (before, bytes) = block.bytes.split_at(block.before);
    let mut stream = Compress::new(Compression::new(level), false);
    if !before.is_empty() {
        stream.set_dictionary(before).map_err(io::Error::other)?;
    }
    let flush = if block.is_last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    out.reserve(bytes.len() / 2 + 1024);
    loop {
        let read = usize::try_from(stream.total_in()).map_err(io::Error::other)?;
        let status = stream
            .compress_vec(&bytes[read..], out, flush)
            .map_err(io::Error::other)?;
        let all_read = stream.total_in() == bytes.len() as u64;
        // Room that is left over says that all has been flushed.
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => all_read && out.len() < out.capacity(),
        };
        if is_done {
            break;
        }
        out.reserve(bytes.len() / 4 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(bytes);
    Ok(Done { crc, block })
}
