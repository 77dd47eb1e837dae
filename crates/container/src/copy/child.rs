//! Work on the files of a container, whether it runs or not: a child that stands in the container's
//! root, with its volumes, and comes in by a door. No path leads out of there, and nothing of the
//! root is executed.
//!
//! The caller asks for one thing after the other, and each request has one reply; a tar goes over in
//! pieces before it. After an error with a tar that it was to take the child ends.

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use kiln_sandbox::{Door, Incoming, Outgoing, Place, open_inside};
use serde::{Deserialize, Serialize};

use super::PathStat;
use crate::files::{Goal, Pack, Unpack, pack, unpack};
use crate::frame::{Frame, Kind, Report};
use crate::{Error, ErrorKind};

/// The door.
pub(crate) const DOOR: Door = Door { name: NAME, run };
const NAME: &str = "files";

/// How much of a tar goes over at once, in bytes.
const PIECE: usize = 128 << 10;

#[derive(Serialize, Deserialize)]
enum Request {
    Stat {
        path: String,
        follow: bool,
    },
    /// Where something that is copied there goes.
    Goal {
        path: String,
    },
    /// Give a tar.
    Pack {
        path: String,
        follow: bool,
        name: Option<String>,
    },
    /// Take a tar.
    Unpack {
        folder: String,
    },
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Stat(PathStat),
    Goal(Goal),
    /// How long the tar was.
    Done(u64),
    Failed(Report),
}

/// The caller's side.
pub(crate) struct Files(Option<Outgoing>);

impl Files {
    /// Sends a child there.
    pub(crate) fn open(place: Place<'_>) -> Result<Self, Error> {
        let none: [&str; 0] = [];
        Ok(Self(Some(open_inside(place, NAME, none)?)))
    }

    fn socket(&self) -> Result<&UnixStream, Error> {
        let outgoing = self.0.as_ref().map(|outgoing| &outgoing.socket);
        outgoing.ok_or_else(|| lost(&io::ErrorKind::UnexpectedEof.into()))
    }

    /// What is at `path`.
    pub(crate) fn stat(&self, path: &str, follow: bool) -> Result<PathStat, Error> {
        let path = path.to_owned();
        self.ask(&Request::Stat { path, follow })?;
        match self.answer(&mut io::sink())? {
            Answer::Stat(stat) => Ok(stat),
            _ => Err(confused()),
        }
    }

    /// Where something that is copied to `path` goes.
    pub(crate) fn goal(&self, path: &str) -> Result<Goal, Error> {
        let path = path.to_owned();
        self.ask(&Request::Goal { path })?;
        match self.answer(&mut io::sink())? {
            Answer::Goal(goal) => Ok(goal),
            _ => Err(confused()),
        }
    }

    /// The tar of what is there; how long it is.
    pub(crate) fn pack(&self, what: &Pack<'_>, out: &mut dyn Write) -> Result<u64, Error> {
        self.ask(&Request::Pack {
            path: what.path.to_owned(),
            follow: what.follow,
            name: what.name.map(str::to_owned),
        })?;
        self.done(out)
    }

    /// Unpacks a tar there; how long it was.
    pub(crate) fn unpack(&self, folder: &str, tar: &mut dyn Read) -> Result<u64, Error> {
        let folder = folder.to_owned();
        self.ask(&Request::Unpack { folder })?;
        let mut socket = self.socket()?;
        let mut piece = vec![0; PIECE];
        loop {
            let n = match tar.read(&mut piece) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                n => n.map_err(|e| Error::new(ErrorKind::Io, "read the tar").because(e))?,
            };
            // It ends early on an error, which it has told then.
            let sent = Frame::new(Kind::Tar, &piece[..n]).write(&mut socket);
            if sent.is_err() || n == 0 {
                break;
            }
        }
        self.done(&mut io::sink())
    }

    fn ask(&self, request: &Request) -> Result<(), Error> {
        let frame = Frame::json(Kind::Request, request);
        let mut socket = self.socket()?;
        frame
            .and_then(|frame| frame.write(&mut socket))
            .map_err(|e| lost(&e))
    }

    fn done(&self, out: &mut dyn Write) -> Result<u64, Error> {
        match self.answer(out)? {
            Answer::Done(bytes) => Ok(bytes),
            _ => Err(confused()),
        }
    }

    /// The answer; what comes before it goes to `out`.
    fn answer(&self, out: &mut dyn Write) -> Result<Answer, Error> {
        let mut socket = self.socket()?;
        let reply = loop {
            let frame = Frame::read(&mut socket).map_err(|e| lost(&e))?;
            let frame = frame.ok_or_else(|| lost(&io::ErrorKind::UnexpectedEof.into()))?;
            match frame.kind {
                Kind::Tar => out
                    .write_all(&frame.data)
                    .map_err(|e| Error::new(ErrorKind::Io, "write the tar").because(e))?,
                Kind::Reply => break frame,
                _ => return Err(confused()),
            }
        };
        match reply.parse().map_err(|e| lost(&e))? {
            Answer::Failed(report) => Err(report.into()),
            answer => Ok(answer),
        }
    }
}

impl Drop for Files {
    /// The child sees the end of its socket, and ends.
    fn drop(&mut self) {
        if let Some(Outgoing { socket, mut child }) = self.0.take() {
            drop(socket);
            let _ = child.wait();
        }
    }
}

fn run(incoming: Incoming) -> i32 {
    let socket = incoming.socket;
    loop {
        let request = match Frame::read(&mut &socket) {
            Ok(Some(frame)) if frame.kind == Kind::Request => frame.parse(),
            // The caller needs no more.
            _ => return 0,
        };
        let takes_tar = matches!(request, Ok(Request::Unpack { .. }));
        let answer = match request {
            Ok(request) => carry_out(&socket, &request),
            Err(e) => Err(lost(&e)),
        };
        // What is left of a tar would be taken for requests.
        let lost = answer.is_err() && takes_tar;
        let answer = answer.unwrap_or_else(|e| Answer::Failed(Report::from(&e)));
        let sent = Frame::json(Kind::Reply, &answer).and_then(|frame| frame.write(&mut &socket));
        if lost || sent.is_err() {
            return 1;
        }
    }
}

fn carry_out(socket: &UnixStream, request: &Request) -> Result<Answer, Error> {
    match request {
        Request::Stat { path, follow } => Ok(Answer::Stat(PathStat::of(Path::new(path), *follow)?)),
        Request::Goal { path } => Ok(Answer::Goal(Goal::of(path))),
        Request::Pack { path, follow, name } => {
            let what = Pack {
                path,
                follow: *follow,
                name: name.as_deref(),
                owner: None,
            };
            let mut out = BufWriter::with_capacity(PIECE, Pieces { socket });
            Ok(Answer::Done(pack(&what, &mut out)?))
        }
        Request::Unpack { folder } => {
            let to = Unpack {
                folder: Path::new(folder),
                follow: true,
                owner: None,
            };
            let mut tar = Joined {
                socket,
                piece: Vec::new(),
                at: 0,
                ended: false,
            };
            Ok(Answer::Done(unpack(&mut tar, &to)?))
        }
    }
}

/// Sends what is written in pieces.
struct Pieces<'a> {
    socket: &'a UnixStream,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE);
        if n > 0 {
            Frame::new(Kind::Tar, &bytes[..n]).write(&mut self.socket)?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads pieces as one stream.
struct Joined<'a> {
    socket: &'a UnixStream,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            self.at = 0;
            self.piece = match Frame::read(&mut self.socket)? {
                Some(frame) if frame.kind == Kind::Tar => frame.data,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            self.ended = self.piece.is_empty();
        }
        let left = &self.piece[self.at..];
        let n = left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}

fn lost(e: &io::Error) -> Error {
    let what = format!("talk to the child that works on the container's files: {e}");
    Error::new(ErrorKind::Io, what)
}

fn confused() -> Error {
    lost(&io::ErrorKind::InvalidData.into())
}
