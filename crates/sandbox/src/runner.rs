//! The seam: whatever can run a [`Spec`], and what can be done with a process that runs.

use std::fs::File;
use std::net::TcpStream;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Exit, Io, Spec};

/// Sends a signal, by its number, to a process that runs; nothing happens when it has ended.
pub type Signaller = Box<dyn Fn(i32) + Send + Sync>;

/// Something that runs a process in a prepared root.
pub trait Runner: Send + Sync {
    /// Returns when the program has been executed, or with the reason why it could not be.
    fn start(&self, spec: &Spec, io: Io) -> Result<Box<dyn Running>, Error>;

    /// Starts it and waits for its end.
    fn run(&self, spec: &Spec, io: Io) -> Result<Exit, Error> {
        self.start(spec, io)?.wait()
    }
}

/// A process that runs. Dropping it kills the process and everything in its namespace.
pub trait Running: Send {
    /// Waits for the end of the process; everything that it started has ended then too. Can be
    /// called again.
    fn wait(&mut self) -> Result<Exit, Error>;

    /// Whether something of it was killed because its limit of memory was reached. Known when it has
    /// ended.
    fn out_of_memory(&self) -> bool {
        false
    }

    /// Sends it a signal by its number.
    fn signal(&self, signal: i32) -> Result<(), Error>;

    /// The same for another thread, or for a handler of signals.
    fn signaller(&self) -> Signaller;

    /// The id of the namespace's process 1, as the host sees it.
    fn pid(&self) -> u32;

    /// The master of its terminal, a duplicate, where it has one: what is written to it the process
    /// reads. Reading it fails with `EIO` when no process has the terminal open any more.
    fn terminal(&self) -> Option<File> {
        None
    }

    /// Lets go of it: it lives on when this program ends, and nothing is heard of it any more. A
    /// child of this program stays with it and takes what it writes to its terminal, which is lost:
    /// the caller uses [`Running::terminal`] no further. [`Running::signaller`] and
    /// [`Running::dialer`] do nothing for it any more.
    ///
    /// # Errors
    ///
    /// Of kind `Unsupported` where the runner cannot do it. With an error the process is killed, as
    /// by dropping it.
    fn leave(self: Box<Self>) -> Result<(), Error> {
        let what = "this runner does not let go of a process";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// How the process reaches outward; `None` unless the network is
    /// [`Network::Private`](crate::Network::Private).
    fn outward(&self) -> Option<Outward>;

    /// Makes connections from within the network of the process; for other threads as well.
    fn dialer(&self) -> Dialer;

    /// Connects to `127.0.0.1:port` inside the network of the process.
    fn dial(&self, port: u16) -> std::io::Result<TcpStream> {
        self.dialer().dial(port)
    }
}

/// Makes connections inside the network of a process. Cheap to clone.
#[derive(Clone)]
pub struct Dialer(pub(crate) Arc<dyn Fn(u16) -> std::io::Result<TcpStream> + Send + Sync>);

impl Dialer {
    /// A dialer of another runner.
    pub fn new(dial: impl Fn(u16) -> std::io::Result<TcpStream> + Send + Sync + 'static) -> Self {
        Self(Arc::new(dial))
    }

    /// Connects to `127.0.0.1:port`.
    pub fn dial(&self, port: u16) -> std::io::Result<TcpStream> {
        (self.0)(port)
    }
}

/// How a process with a network of its own reaches outward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Outward {
    /// Through `pasta`, without privileges on the host.
    Pasta,
    /// Not at all.
    Nothing {
        /// What the user can do about it, as a sentence without a full stop.
        remedy: String,
    },
}
