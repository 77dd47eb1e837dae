//! Bytes from one thread to another: [`pipe`] between a writer and a reader, [`read_ahead`] before a
//! reader. Bounded, in memory, whole to the end or an error: an end that nobody declared is one.

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
};

/// How much goes over at once.
const CHUNK: usize = 256 << 10;
/// How many chunks wait in between.
const WAITING: usize = 4;

enum Message {
    Bytes(Vec<u8>),
    End,
    Failed(io::Error),
}

/// A pipe between two threads of this process, with room for about a MiB. The reader sees an end only
/// after [`PipeWriter::finish`].
pub fn pipe() -> (PipeWriter, PipeReader) {
    let (give, take) = sync_channel(WAITING);
    let (give_back, spare) = channel();
    let writer = PipeWriter {
        give,
        spare,
        chunk: Vec::new(),
    };
    let reader = PipeReader {
        take,
        give_back,
        chunk: Vec::new(),
        at: 0,
        ended: None,
    };
    (writer, reader)
}

/// The writing end of a [`pipe`]. Writing fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) once
/// the reader is gone. Dropped without [`finish`](PipeWriter::finish), it is an error to the reader.
#[derive(Debug)]
pub struct PipeWriter {
    give: SyncSender<Message>,
    spare: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
}

impl PipeWriter {
    /// Says that this was all.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the reader is gone.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Message::End)
    }

    /// Says that there is no more because of `error`, which is what the reader gets.
    pub fn fail(self, error: io::Error) {
        // A reader that is gone does not want to know.
        drop(self.send(Message::Failed(error)));
    }

    fn send(&self, message: Message) -> io::Result<()> {
        self.give
            .send(message)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk = match self.spare.try_recv() {
                Ok(chunk) => chunk,
                Err(_) => Vec::with_capacity(CHUNK),
            };
        }
        let n = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..n]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.send(Message::Bytes(chunk))
    }
}

/// The reading end of a [`pipe`].
#[derive(Debug)]
pub struct PipeReader {
    take: Receiver<Message>,
    give_back: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    /// How it ended: well or not.
    ended: Option<bool>,
}

impl PipeReader {
    fn next(&mut self) -> io::Result<()> {
        let mut used = std::mem::take(&mut self.chunk);
        self.at = 0;
        if used.capacity() > 0 {
            used.clear();
            // A writer that is gone needs no more of them.
            drop(self.give_back.send(used));
        }
        match (self.ended, self.take.recv()) {
            (None, Ok(Message::Bytes(chunk))) => self.chunk = chunk,
            (None, Ok(Message::End)) => self.ended = Some(true),
            (None, Ok(Message::Failed(e))) => {
                self.ended = Some(false);
                return Err(e);
            }
            (Some(true), _) => {}
            (None, Err(_)) | (Some(false), _) => {
                self.ended = Some(false);
                let what = "what was to come has ended early";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
        Ok(())
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.at == self.chunk.len() {
            self.next()?;
        }
        let rest = &self.chunk[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

/// Reads `from` on a thread of its own, up to about a MiB ahead: what reads the result works at the
/// same time as `from`. The thread is started when there is more than a first chunk, and ends with
/// `from` or, at its next chunk, when the result is dropped.
pub fn read_ahead(from: impl Read + Send + 'static) -> impl Read + Send {
    ReadAhead::First(from)
}

enum ReadAhead<R> {
    First(R),
    Chunk(Vec<u8>, usize),
    Running(PipeReader),
}

impl<R: Read + Send + 'static> Read for ReadAhead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                ReadAhead::Running(pipe) => return pipe.read(buffer),
                ReadAhead::Chunk(chunk, at) => {
                    let n = (&chunk[*at..]).read(buffer)?;
                    *at += n;
                    return Ok(n);
                }
                ReadAhead::First(from) => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    let read = fill(from, &mut chunk);
                    if matches!(read, Ok(n) if n < CHUNK) {
                        *self = ReadAhead::Chunk(chunk, 0);
                        continue;
                    }
                    let (writer, mut reader) = pipe();
                    reader.chunk = chunk;
                    let ReadAhead::First(from) =
                        std::mem::replace(self, ReadAhead::Running(reader))
                    else {
                        unreachable!("it was matched above");
                    };
                    match read {
                        Ok(_) => ahead(from, writer)?,
                        Err(e) => writer.fail(e),
                    }
                }
            }
        }
    }
}

/// Reads until `chunk` is full or at the end; what was read stays in it when there is an error.
fn fill(from: &mut impl Read, chunk: &mut Vec<u8>) -> io::Result<usize> {
    let room = CHUNK - chunk.len();
    from.take(room as u64).read_to_end(chunk)
}

fn ahead(mut from: impl Read + Send + 'static, mut to: PipeWriter) -> io::Result<()> {
    let work = move || {
        loop {
            let mut chunk = match to.spare.try_recv() {
                Ok(chunk) => chunk,
                Err(_) => Vec::with_capacity(CHUNK),
            };
            let read = fill(&mut from, &mut chunk);
            to.chunk = chunk;
            let sent = to.flush();
            match read {
                _ if sent.is_err() => return,
                Ok(CHUNK) => {}
                Ok(_) => return drop(to.finish()),
                Err(e) => return to.fail(e),
            }
        }
    };
    let thread = std::thread::Builder::new().name("read-ahead".to_owned());
    thread.spawn(work).map(drop)
}
