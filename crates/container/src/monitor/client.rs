//! Somebody who is attached: a queue of frames, and a thread that writes them to the socket.
//!
//! The queue is short, so that whoever fills it waits for who reads. One who does not read at all
//! holds up the container as long as nobody else is attached; with others there, it is let go of
//! after a while.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::attach::Attach;
use crate::frame::{Frame, Kind};
use crate::logs::LogStream;

/// How many bytes may wait.
const FULL: usize = 1 << 20;
/// How long others wait for one who does not read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a wait looks around.
const LOOK: Duration = Duration::from_millis(250);

/// One who is attached.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) attach: Attach,
    socket: UnixStream,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// When something was last taken out.
    moved: Instant,
    /// No more is put in.
    closed: bool,
}

/// How patient a [`Client::push`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Waits as long as it takes.
    Alone,
    /// Waits for a while.
    WithOthers,
    /// The queue may grow: nothing much comes any more.
    Ending,
}

impl Client {
    pub(crate) fn new(socket: UnixStream, attach: Attach) -> Self {
        Self {
            attach,
            socket,
            queue: Mutex::new(Queue {
                frames: VecDeque::new(),
                bytes: 0,
                moved: Instant::now(),
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn wants(&self, stream: LogStream) -> bool {
        match stream {
            LogStream::Stdout => self.attach.stdout,
            LogStream::Stderr => self.attach.stderr,
        }
    }

    /// Puts a frame at the end, when there is room. `patience` is asked again while it waits.
    pub(crate) fn push(&self, frame: Frame, patience: impl Fn() -> Patience) {
        let mut queue = self.queue();
        let from = Instant::now();
        while queue.bytes > FULL && !queue.closed {
            match patience() {
                Patience::Ending => break,
                Patience::WithOthers if queue.moved.max(from).elapsed() > PATIENCE => {
                    drop(queue);
                    return self.let_go();
                }
                Patience::Alone | Patience::WithOthers => {}
            }
            let waited = self.changed.wait_timeout(queue, LOOK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !queue.closed {
            queue.bytes += frame.data.len();
            queue.frames.push_back(frame);
            self.changed.notify_all();
        }
    }

    /// The last frame: the writer ends after it.
    pub(crate) fn finish(&self, frame: Frame) {
        let mut queue = self.queue();
        if !queue.closed {
            queue.frames.push_back(frame);
            queue.closed = true;
        }
        self.changed.notify_all();
    }

    /// Lets go of it at once.
    pub(crate) fn let_go(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        queue.frames.clear();
        drop(queue);
        self.changed.notify_all();
        // It may have gone.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The writer's thread: first `before`, the log as far as it was when this one came, then what is
    /// put into the queue, until the last frame, or until nobody takes it any more.
    pub(crate) fn write(&self, before: Option<(File, u64)>) {
        let replayed = before.is_none_or(|(log, length)| self.replay(log, length).is_ok());
        while replayed && let Some(frame) = self.next() {
            if frame.write(&mut &self.socket).is_err() {
                break;
            }
            self.queue().moved = Instant::now();
            self.changed.notify_all();
        }
        self.let_go();
    }

    fn replay(&self, log: File, length: u64) -> std::io::Result<()> {
        let mut log = BufReader::new(log.take(length));
        let mut stored = Vec::new();
        while log.read_until(b'\n', &mut stored)? > 0 {
            if let Some(line) = crate::logs::Line::parse(&stored)
                && self.wants(line.stream)
            {
                frame_of(line.stream, &line.text).write(&mut &self.socket)?;
            }
            stored.clear();
        }
        Ok(())
    }

    /// Waits for the next frame; `None` after the last.
    fn next(&self) -> Option<Frame> {
        let mut queue = self.queue();
        loop {
            if let Some(frame) = queue.frames.pop_front() {
                queue.bytes -= frame.data.len().min(queue.bytes);
                return Some(frame);
            }
            if queue.closed {
                return None;
            }
            let waited = self.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Output as a frame.
pub(crate) fn frame_of(stream: LogStream, bytes: &[u8]) -> Frame {
    let kind = match stream {
        LogStream::Stdout => Kind::Stdout,
        LogStream::Stderr => Kind::Stderr,
    };
    Frame::new(kind, bytes)
}
