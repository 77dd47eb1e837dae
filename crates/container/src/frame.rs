//! What goes over the sockets of this crate's children: frames, each a kind, a length and as many
//! bytes. A frame that claims more than [`LONGEST`] is an error.
//!
//! A conversation with a monitor begins with a request. Then follow, towards it, what was typed; from
//! it, a reply, output, and how the process ended. Signals and sizes are requests of their own: what
//! was typed waits for a process that does not read. With a child that works on files, requests and
//! replies take turns, and a tar goes between them.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::attach::{Attach, Size};
use crate::{Error, ErrorKind};

/// The longest frame.
const LONGEST: u32 = 1 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The first frame: a [`Request`].
    Request = 1,
    /// The answer to it: a [`Reply`].
    Reply = 2,
    /// For the standard input of the process.
    Stdin = 3,
    /// There is no more of that.
    StdinEnd = 4,
    /// The caller lets go, which is not the end of its input.
    Detach = 5,
    /// What the process wrote.
    Stdout = 6,
    /// What the process wrote as an error.
    Stderr = 7,
    /// The code with which it ended.
    Exited = 8,
    /// A piece of a tar; an empty one is its end.
    Tar = 9,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        const ALL: [Kind; 9] = [
            Kind::Request,
            Kind::Reply,
            Kind::Stdin,
            Kind::StdinEnd,
            Kind::Detach,
            Kind::Stdout,
            Kind::Stderr,
            Kind::Exited,
            Kind::Tar,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What is asked of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start the process; comes by the door's own socket, once.
    Start(Option<Attach>),
    /// Take part in its streams.
    Attach(Attach),
    /// Say when it has ended for good.
    Wait,
    /// Send it a signal.
    Signal { number: i32, ending: Ending },
    /// Give its terminal a size.
    Resize(Size),
}

/// What a signal means for the time after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Nothing.
    No,
    /// It is meant to end: it is not started again by itself.
    Last,
    /// It is meant to end, and the caller starts it again: it is not removed either.
    Restart,
}

/// What a monitor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Failed(Report),
}

/// An error on its way between processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
}

/// An error with its causes, which say what the system said: only words go between processes.
fn told(e: &Error) -> String {
    let mut what = e.to_string();
    let mut cause = std::error::Error::source(e);
    while let Some(e) = cause {
        let text = e.to_string();
        if !what.contains(&text) {
            what = format!("{what}: {text}");
        }
        cause = e.source();
    }
    what
}

impl From<&Error> for Report {
    fn from(e: &Error) -> Self {
        let what = told(e);
        Self {
            kind: e.kind(),
            what,
            hint: e.hint_text().map(str::to_owned),
        }
    }
}

impl From<Report> for Error {
    fn from(report: Report) -> Self {
        let error = Self::new(report.kind, report.what);
        match report.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: Kind, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        Self { kind, data }
    }

    pub(crate) fn json(kind: Kind, value: &impl Serialize) -> io::Result<Self> {
        Ok(Self::new(kind, serde_json::to_vec(value)?))
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> io::Result<T> {
        Ok(serde_json::from_slice(&self.data)?)
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.data.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(self.data.len() + 5);
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.data);
        to.write_all(&bytes)
    }

    /// The next frame; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 5];
        let mut got = 0;
        while got < head.len() {
            match from.read(&mut head[got..]) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset && got == 0 => {
                    return Ok(None);
                }
                Err(e) => return Err(e),
            }
        }
        let [kind, length @ ..] = head;
        let (kind, length) = (Kind::of(kind), u32::from_be_bytes(length));
        let (Some(kind), 0..=LONGEST) = (kind, length) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut data = vec![0; length as usize];
        from.read_exact(&mut data)?;
        Ok(Some(Self { kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_and_nonsense_is_refused() {
        let frames = [
            Frame::new(Kind::Stdin, *b"abc"),
            Frame::new(Kind::StdinEnd, []),
            Frame::json(Kind::Request, &Request::Wait).unwrap(),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut from = &bytes[..];
        for frame in &frames {
            assert_eq!(Frame::read(&mut from).unwrap().as_ref(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
        assert!(Frame::read(&mut &bytes[..3]).is_err(), "cut off");
        assert!(Frame::read(&mut &[99, 0, 0, 0, 0][..]).is_err(), "no kind");
        assert!(
            Frame::read(&mut &[3, 255, 0, 0, 0][..]).is_err(),
            "too long"
        );
    }
}
