//! gzip on several cores: one member, stitched of blocks.
//!
//! Each block of 1 MiB is compressed by a stream of its own, which knows the 32 KiB before it and
//! ends on a byte boundary; the last one ends the member. A stream is never used twice: a reset one
//! keeps stale bytes of its old window, and then the result depends on which thread had which
//! block. What is written depends on the input and the level alone.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Its name and version: other bytes for the same input are another version.
pub(super) const NAME: &str = "kiln-gzip/1";

const BLOCK: usize = 1 << 20;
const WINDOW: usize = 32 << 10;

/// No name, no time, an unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

struct Job {
    before: Arc<Vec<u8>>,
    block: Arc<Vec<u8>>,
    is_last: bool,
    done: SyncSender<io::Result<(Vec<u8>, Crc)>>,
}

type Waiting = VecDeque<Receiver<io::Result<(Vec<u8>, Crc)>>>;

pub(super) fn compress(
    threads: usize,
    from: &mut dyn Read,
    to: &mut dyn Write,
    level: u32,
) -> io::Result<()> {
    let (give, take) = sync_channel::<Job>(threads);
    let take = Arc::new(Mutex::new(take));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let take = take.clone();
            scope.spawn(move || work(&take, level));
        }
        // The workers hold it now: when they are gone, giving fails instead of waiting.
        drop(take);
        stitch(threads, from, to, give)
    })
}

fn work(take: &Mutex<Receiver<Job>>, level: u32) {
    loop {
        let job = match take.lock() {
            Ok(take) => take.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else {
            return;
        };
        let before = &job.before[job.before.len().saturating_sub(WINDOW)..];
        let done = one(before, &job.block, job.is_last, level);
        // Nobody waits when writing has failed.
        drop(job.done.send(done));
    }
}

/// Reads blocks, hands them out, and writes what comes back in order. `give` is dropped at the end,
/// which ends the workers.
fn stitch(
    threads: usize,
    from: &mut dyn Read,
    to: &mut dyn Write,
    give: SyncSender<Job>,
) -> io::Result<()> {
    let gone = || io::Error::other("a compressing thread has ended");
    to.write_all(&HEADER)?;
    let mut crc = Crc::new();
    let mut waiting = Waiting::new();
    let mut before = Arc::new(Vec::new());
    let mut block = Arc::new(read_block(from)?);
    loop {
        let next = read_block(from)?;
        let is_last = next.is_empty();
        let (done, wait) = sync_channel(1);
        give.send(Job {
            before,
            block: block.clone(),
            is_last,
            done,
        })
        .map_err(|_| gone())?;
        waiting.push_back(wait);
        while waiting.len() > if is_last { 0 } else { 2 * threads } {
            let Some(first) = waiting.pop_front() else {
                break;
            };
            let (bytes, part) = first.recv().map_err(|_| gone())??;
            to.write_all(&bytes)?;
            crc.combine(&part);
        }
        if is_last {
            break;
        }
        before = block;
        block = Arc::new(next);
    }
    drop(give);
    to.write_all(&crc.sum().to_le_bytes())?;
    to.write_all(&crc.amount().to_le_bytes())?;
    to.flush()
}

/// The next block, full but at the end.
fn read_block(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    from.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok(block)
}

fn one(before: &[u8], block: &[u8], is_last: bool, level: u32) -> io::Result<(Vec<u8>, Crc)> {
    let mut stream = Compress::new(Compression::new(level), false);
    if !before.is_empty() {
        stream.set_dictionary(before).map_err(io::Error::other)?;
    }
    let flush = if is_last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let read = usize::try_from(stream.total_in()).map_err(io::Error::other)?;
        let status = stream
            .compress_vec(&block[read..], &mut out, flush)
            .map_err(io::Error::other)?;
        let all_read = stream.total_in() == block.len() as u64;
        // Room that is left over says that all has been flushed.
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => all_read && out.len() < out.capacity(),
        };
        if is_done {
            break;
        }
        out.reserve(block.len() / 4 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(block);
    Ok((out, crc))
}
