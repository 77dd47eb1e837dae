//! The caller's side of a container's streams: what it writes comes out here, what is typed goes in.
//!
//! Two threads, one for each way. The one that reads the caller's input may be left waiting in that
//! input when the container ends: nobody can wake it, and it does nothing any more.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_sandbox::Signaller;
pub use kiln_sandbox::terminal::Size;
use serde::{Deserialize, Serialize};

use crate::control::{self, Connection};
use crate::detach::Typed;
use crate::frame::{Ending, Frame, Kind, Request};
use crate::life::say;
use crate::{DetachKeys, Error, ErrorKind};

/// In what a caller takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Gives input.
    pub stdin: bool,
    /// Gets output.
    pub stdout: bool,
    /// Gets errors. With a terminal there are none apart.
    pub stderr: bool,
    /// The size of the caller's terminal.
    pub size: Option<Size>,
    /// First what was written before.
    pub logs: bool,
}

impl Attach {
    /// Output and errors.
    pub fn outputs() -> Self {
        Self {
            stdout: true,
            stderr: true,
            ..Self::default()
        }
    }
}

/// Where a caller's streams lead.
pub struct AttachIo {
    /// Read until its end, unless `None`.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Output.
    pub stdout: Box<dyn Write + Send>,
    /// Errors.
    pub stderr: Box<dyn Write + Send>,
    /// Keys that let go of the container; `None` where none do.
    pub detach: Option<DetachKeys>,
}

/// How taking part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachEnd {
    /// The process ended, with this code; 137 when the program that looked after it was killed.
    Exited(i32),
    /// The caller let go of it: it still runs.
    Detached,
    /// Nobody reads the caller's output any more (a closed pipe): the process still runs.
    OutputClosed,
}

/// Sets the size of a container's terminal; nothing happens when it has none.
pub type Resizer = Box<dyn Fn(Size) + Send + Sync>;

/// A caller that takes part in a container's streams; the process waits for it to read. Dropped, it
/// lets go.
#[derive(Debug)]
pub struct Attached {
    connection: Connection,
    /// The container's, by which there is another way to its monitor: what is typed may be waiting on
    /// this one for a process that does not read.
    folder: PathBuf,
}

impl Attached {
    pub(crate) fn new(connection: Connection, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { connection, folder }
    }

    /// Sends the process a signal by its number; for other threads, and handlers of signals.
    pub fn signaller(&self) -> Signaller {
        let folder = self.folder.clone();
        Box::new(move |number| {
            let ending = Ending::No;
            ask(&folder, &Request::Signal { number, ending });
        })
    }

    /// Gives its terminal a size.
    pub fn resizer(&self) -> Resizer {
        let folder = self.folder.clone();
        Box::new(move |size| ask(&folder, &Request::Resize(size)))
    }

    /// Carries the streams until the process ends or the caller lets go.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the caller's output cannot be written, but for a closed pipe.
    pub fn run(mut self, io: AttachIo) -> Result<AttachEnd, Error> {
        let AttachIo {
            stdin,
            mut stdout,
            mut stderr,
            detach,
        } = io;
        let detached = Arc::new(AtomicBool::new(false));
        if let Some(stdin) = stdin {
            let (mut to, detached) = (self.connection.try_clone().map_err(lost)?, detached.clone());
            let thread = std::thread::Builder::new().name("stdin".to_owned());
            let typed = move || take_in(stdin, detach, &mut to, &detached);
            thread.spawn(typed).map_err(lost)?;
        }
        loop {
            let frame = Frame::read(&mut self.connection);
            if detached.load(Ordering::Acquire) {
                return Ok(AttachEnd::Detached);
            }
            let Some(frame) = frame.map_err(lost)? else {
                return Ok(AttachEnd::Exited(137));
            };
            let written = match frame.kind {
                Kind::Stdout => put(&mut stdout, &frame.data),
                Kind::Stderr => put(&mut stderr, &frame.data),
                Kind::Exited => return Ok(AttachEnd::Exited(frame.parse().map_err(lost)?)),
                _ => Ok(()),
            };
            match written {
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(AttachEnd::OutputClosed);
                }
                Err(e) => {
                    let what = "write the container's output";
                    return Err(Error::new(ErrorKind::Io, what).because(e));
                }
                Ok(()) => {}
            }
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // The thread that waits for input may hold the other descriptor for long.
        let _ = self.connection.shutdown(Shutdown::Both);
    }
}

fn put(to: &mut dyn Write, data: &[u8]) -> std::io::Result<()> {
    to.write_all(data)?;
    to.flush()
}

fn send(to: &mut Connection, kind: Kind, data: &[u8]) -> std::io::Result<()> {
    Frame::new(kind, data).write(to)
}

/// Asks the monitor for something that needs no answer: where none comes, the process has ended.
fn ask(folder: &Path, request: &Request) {
    let asked = control::connect(folder).and_then(|connection| say(connection, request));
    drop(asked);
}

/// Carries what is typed. An error of the way there means that the container has ended.
fn take_in(
    mut from: Box<dyn Read + Send>,
    mut keys: Option<DetachKeys>,
    to: &mut Connection,
    detached: &AtomicBool,
) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        let (bytes, last) = match keys.as_mut().map(|keys| keys.feed(&buffer[..n])) {
            None => (buffer[..n].to_vec(), false),
            Some(Typed::Pass(bytes)) => (bytes, false),
            Some(Typed::Detach(bytes)) => (bytes, true),
        };
        if !bytes.is_empty() && send(to, Kind::Stdin, &bytes).is_err() {
            return;
        }
        if last {
            detached.store(true, Ordering::Release);
            let _ = send(to, Kind::Detach, &[]);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    let held = keys.map(|mut keys| keys.rest()).unwrap_or_default();
    if held.is_empty() || send(to, Kind::Stdin, &held).is_ok() {
        let _ = send(to, Kind::StdinEnd, &[]);
    }
}

fn lost(e: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "talk to the program that looks after the container",
    )
    .because(e)
}
