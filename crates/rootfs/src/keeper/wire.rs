//! What goes over a keeper's sockets: one control socket, on which nothing but the ends of other
//! sockets is sent, and one socket a request. There: the request, then what comes with it, and back
//! the tar, if any, and the answer.
//!
//! Both ends are the same program, so there are no versions. Streams are pieces with a length in
//! front; one of length 0 is the end, and the greatest number breaks off.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use kiln_image::Digest;
use kiln_layer::Times;
use kiln_sandbox::descriptors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How much goes at once.
pub(super) const CHUNK: usize = 128 << 10;
/// The length that says that a stream is broken off.
const BROKEN: u32 = u32::MAX;
/// The longest document or tree: more than any layer's limits allow.
const LONGEST: u64 = 4 << 30;

/// What the keeper is asked to do; each is a call of [`Bodies`](crate::Bodies).
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Unpack {
        lower: Option<Vec<Digest>>,
        to: At,
    },
    Commit {
        upper: At,
        lower: Vec<Digest>,
        times: TimesOf,
        watch: Vec<Vec<u8>>,
    },
    Changes {
        upper: At,
        lower: Vec<Digest>,
        times: TimesOf,
        tar: bool,
    },
    Measure {
        dir: At,
    },
    Pack {
        body: At,
    },
    Make {
        at: At,
    },
    Remove {
        dir: At,
    },
    Open {
        body: At,
        path: Vec<u8>,
    },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    /// Its tree follows.
    Layer {
        diff_id: Digest,
        size: u64,
    },
    Measure {
        bytes: u64,
        entries: u64,
    },
    /// It follows.
    File,
}

/// A path on this machine, whatever its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct At(Vec<u8>);

impl At {
    pub(super) fn new(path: &Path) -> Self {
        // The keeper's working directory is that of this process when it was started.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self(path.as_os_str().as_bytes().to_vec())
    }

    pub(super) fn path(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.0.clone()).into()
    }
}

/// [`Times`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum TimesOf {
    Keep,
    Clamp(i64),
    Exactly(i64),
}

impl From<Times> for TimesOf {
    fn from(times: Times) -> Self {
        match times {
            Times::Keep => Self::Keep,
            Times::Clamp(at) => Self::Clamp(at),
            Times::Exactly(at) => Self::Exactly(at),
        }
    }
}

impl From<TimesOf> for Times {
    fn from(times: TimesOf) -> Self {
        match times {
            TimesOf::Keep => Self::Keep,
            TimesOf::Clamp(at) => Self::Clamp(at),
            TimesOf::Exactly(at) => Self::Exactly(at),
        }
    }
}

/// Sends a document.
pub(super) fn send(to: &UnixStream, what: &impl Serialize) -> io::Result<()> {
    send_bytes(to, &serde_json::to_vec(what)?)
}

/// Receives a document.
pub(super) fn receive<T: DeserializeOwned>(from: &UnixStream) -> io::Result<T> {
    Ok(serde_json::from_slice(&receive_bytes(from)?)?)
}

pub(super) fn send_bytes(to: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    let mut pieces = Pieces::new(to);
    pieces.write_all(bytes)?;
    pieces.finish()
}

pub(super) fn receive_bytes(from: &UnixStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = Chunks::new(from).take(LONGEST).read_to_end(&mut bytes)?;
    match read as u64 {
        LONGEST.. => Err(io::Error::other("a document that is too long")),
        _ => Ok(bytes),
    }
}

/// Writes a stream in pieces.
pub(super) struct Pieces<W: Write> {
    to: W,
    /// A piece that is not full yet, behind room for its length.
    buffer: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            buffer: vec![0; 4],
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let length = self.buffer.len() - 4;
        if length == 0 {
            return Ok(());
        }
        let length = u32::try_from(length).map_err(io::Error::other)?;
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.to.write_all(&self.buffer)?;
        self.buffer.truncate(4);
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.to.write_all(&0_u32.to_le_bytes())
    }

    /// Says that the rest will not come.
    pub(super) fn break_off(mut self) -> io::Result<()> {
        self.to.write_all(&BROKEN.to_le_bytes())
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK + 4 - self.buffer.len();
        let n = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        if self.buffer.len() == CHUNK + 4 {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// Reads a stream that comes in pieces, to its end and no further.
pub(super) struct Chunks<R: Read> {
    from: R,
    left: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Ended,
    Broken,
}

impl<R: Read> Chunks<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            left: 0,
            state: State::Going,
        }
    }

    pub(super) fn is_broken_off(&self) -> bool {
        self.state == State::Broken
    }
}

impl<R: Read> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.state == State::Going {
            let mut length = [0; 4];
            self.from.read_exact(&mut length)?;
            match u32::from_le_bytes(length) {
                0 => self.state = State::Ended,
                BROKEN => self.state = State::Broken,
                length => self.left = length,
            }
        }
        match self.state {
            State::Going => {}
            State::Ended => return Ok(0),
            State::Broken => return Err(io::Error::other("the stream was broken off")),
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let n = self.from.read(&mut buffer[..most])?;
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= u32::try_from(n).unwrap_or(self.left);
        Ok(n)
    }
}

/// Sends an open file or socket.
pub(super) fn send_descriptor(to: &UnixStream, what: &impl AsFd) -> io::Result<()> {
    descriptors::send(to, b".", &[what.as_fd()]).map(drop)
}

/// Receives an open file or socket; `None` when the other end has closed.
pub(super) fn receive_descriptor(from: &UnixStream) -> io::Result<Option<OwnedFd>> {
    match descriptors::receive(from, &mut [0])? {
        (0, _) => Ok(None),
        (_, given) => match given.into_iter().next() {
            Some(one) => Ok(Some(one)),
            None => Err(io::Error::other("a message without a descriptor")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_where_it_says() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut wire = Vec::new();
            let mut pieces = Pieces::new(&mut wire);
            pieces.write_all(&bytes).unwrap();
            pieces.finish().unwrap();
            wire.extend_from_slice(b"next");
            let mut rest = &wire[..];
            let mut read = Vec::new();
            Chunks::new(&mut rest).read_to_end(&mut read).unwrap();
            assert!(read == bytes && rest == b"next", "{length}");
            let cut = &mut &wire[..wire.len() - 8];
            let error = Chunks::new(cut).read_to_end(&mut read).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_stream_is_broken_off() {
        let mut wire = Vec::new();
        let mut pieces = Pieces::new(&mut wire);
        pieces.write_all(&[7; CHUNK + 1]).unwrap();
        pieces.break_off().unwrap();
        let mut chunks = Chunks::new(&wire[..]);
        let mut read = Vec::new();
        chunks.read_to_end(&mut read).unwrap_err();
        assert!(chunks.is_broken_off() && read.len() == CHUNK);
    }
}
