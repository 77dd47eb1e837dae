//! A blob from elsewhere, read on from where it broke off.

use std::io::{self, Read};

use kiln_image::{ErrorKind, Open};

/// How often a stream is opened again without a single byte in between.
const AGAIN: u32 = 3;

/// Reads the `size` bytes that `open` gives; where the stream breaks off or ends too early, it is
/// opened again at that offset.
pub(crate) struct Resume<'a> {
    open: Open<'a>,
    stream: Option<Box<dyn Read + Send>>,
    size: u64,
    at: u64,
    failures: u32,
}

impl<'a> Resume<'a> {
    pub(crate) fn new(open: Open<'a>, size: u64) -> Self {
        Self {
            open,
            stream: None,
            size,
            at: 0,
            failures: 0,
        }
    }

    fn step(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert((self.open)(self.at)?),
        };
        match stream.read(buf)? {
            0 if self.at < self.size => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }
}

impl Read for Resume<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.step(buf) {
                Ok(n) => {
                    self.at += n as u64;
                    self.failures = 0;
                    return Ok(n);
                }
                Err(e) if self.failures < AGAIN && broke_off(&e) => {
                    self.failures += 1;
                    self.stream = None;
                }
                // The verifier says how much is missing.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(e) => return Err(e),
            }
        }
    }
}

/// Whether the other side went away in the middle; anything else would only happen again.
fn broke_off(e: &io::Error) -> bool {
    let ours = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<kiln_image::Error>());
    match ours {
        Some(e) => e.kind() == ErrorKind::Unreachable,
        None => matches!(
            e.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted
        ),
    }
}
