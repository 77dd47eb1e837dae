//! [`Keeper`]: work on unpacked bodies for a user who is not root, done by a child inside a user
//! namespace. The child is this program, executed anew on first need; it does what
//! [`Direct`](crate::Direct) does, with a thread for each request, and ends when its socket closes.
//!
//! It refuses nothing that `Direct` takes; a tar is as untrusted inside as outside.

mod failure;
mod serve;
mod slots;
mod wire;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_image::Digest;
use kiln_layer::{Applied, LayerPath, Packed, Root, Times, Tree};
use kiln_sandbox::{Door, IdMap, Outgoing, UserNamespace, open_in};

use crate::{Bodies, Commit, Direct, Error, ErrorKind, Measure};
use wire::{Answer, At, Chunks, Pieces, Request};

/// The name of the door.
const NAME: &str = "keeper";

/// The doors of this crate, for [`kiln_sandbox::entry`]: programs that work with a [`Keeper`] hand
/// them in.
pub const DOORS: &[Door] = &[Door {
    name: NAME,
    run: serve::run,
}];

/// Work on the unpacked bodies of a store, done in a user namespace.
///
/// Nothing is started before the first call that needs it. A keeper that dies is an error of the
/// calls that it was at; the next call starts another.
///
/// Layers of a [`Root`] cross over by their diff ids: they must be those of the store.
#[derive(Debug)]
pub struct Keeper {
    namespace: Arc<UserNamespace>,
    store: PathBuf,
    child: Mutex<Option<Started>>,
}

#[derive(Debug)]
struct Started {
    control: UnixStream,
    child: Child,
}

impl Keeper {
    /// For the store in the folder `store`. Starts nothing yet.
    pub fn new(namespace: Arc<UserNamespace>, store: &Path) -> Self {
        Self {
            namespace,
            store: std::path::absolute(store).unwrap_or_else(|_| store.to_owned()),
            child: Mutex::new(None),
        }
    }

    /// A connection for one request.
    fn connect(&self) -> Result<UnixStream, Error> {
        let failed = |e: io::Error| Error::new(ErrorKind::Io, "ask the keeper").because(e);
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = slot.is_none();
        loop {
            let started = match slot.take() {
                Some(started) => started,
                None => self.start()?,
            };
            let (ours, theirs) = UnixStream::pair().map_err(failed)?;
            match wire::send_descriptor(&started.control, &theirs) {
                Ok(()) => {
                    *slot = Some(started);
                    return Ok(ours);
                }
                // It ended while nobody needed it.
                Err(_) if !fresh => end(started),
                Err(e) => {
                    end(started);
                    return Err(failed(e));
                }
            };
            fresh = true;
        }
    }

    fn start(&self) -> Result<Started, Error> {
        let store: &OsStr = self.store.as_ref();
        let started = open_in(Some(&self.namespace), NAME, [store]);
        let Outgoing { socket, child } = started.map_err(|e| {
            let kind = match e.kind() {
                kiln_sandbox::ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Io,
            };
            Error::new(kind, format!("start the keeper: {e}")).because(e)
        })?;
        Ok(Started {
            control: socket,
            child,
        })
    }

    /// What to say when the keeper does not answer.
    fn lost(&self, cause: io::Error) -> Error {
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let mut how = None;
        if let Some(started) = &mut *slot {
            // A process that ends closes its sockets shortly before its parent can know how.
            for _ in 0..50 {
                how = started.child.try_wait().ok().flatten();
                if how.is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if how.is_some() {
            *slot = None;
        }
        let what = match how {
            Some(status) => format!("the keeper ended before its work was done ({status})"),
            None => "the keeper ended before its work was done".to_owned(),
        };
        Error::new(ErrorKind::Io, what)
            .because(cause)
            .hint("it was killed, or there was no memory left; the next command starts another")
    }

    /// Sends a request, and what comes with it.
    fn ask(&self, request: &Request, trees: &[&Tree]) -> Result<UnixStream, Error> {
        let connection = self.connect()?;
        let send = || -> io::Result<()> {
            wire::send(&connection, request)?;
            for tree in trees {
                wire::send_bytes(&connection, &tree.encode())?;
            }
            Ok(())
        };
        send().map_err(|e| self.lost(e))?;
        Ok(connection)
    }

    /// The answer to a request.
    fn answer(&self, connection: &UnixStream) -> Result<Answer, Error> {
        let answer: Result<Answer, failure::Failure> =
            wire::receive(connection).map_err(|e| self.lost(e))?;
        answer.map_err(Error::from)
    }

    /// A request without streams.
    fn call(&self, request: &Request, trees: &[&Tree]) -> Result<(Answer, UnixStream), Error> {
        let connection = self.ask(request, trees)?;
        let answer = self.answer(&connection)?;
        Ok((answer, connection))
    }

    fn tree(&self, connection: &UnixStream) -> Result<Tree, Error> {
        let bytes = wire::receive_bytes(connection).map_err(|e| self.lost(e))?;
        Ok(Tree::decode(&bytes)?)
    }

    fn packed(&self, answer: &Answer, connection: &UnixStream) -> Result<Packed, Error> {
        let &Answer::Layer { diff_id, size } = answer else {
            return Err(self.lost(nonsense()));
        };
        let tree = self.tree(connection)?;
        Ok(Packed {
            diff_id,
            size,
            tree,
        })
    }

    /// Passes a tar that the keeper sends on; then its answer.
    fn pass_on(
        &self,
        connection: &UnixStream,
        tar: &mut (dyn Write + Send),
    ) -> Result<Packed, Error> {
        let mut chunks = Chunks::new(connection);
        let mut buffer = vec![0; wire::CHUNK];
        loop {
            // A tar that is broken off is explained by the answer.
            let n = match chunks.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(_) if chunks.is_broken_off() => break,
                Err(e) => return Err(self.lost(e)),
            };
            tar.write_all(&buffer[..n])
                .map_err(|e| Error::new(ErrorKind::Io, "write the tar").because(e))?;
        }
        let answer = self.answer(connection)?;
        self.packed(&answer, connection)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let slot = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = slot.take() {
            end(started);
        }
    }
}

/// Lets a keeper go, and waits for its end.
fn end(started: Started) {
    let Started { control, mut child } = started;
    // Both directions: the socket may have been passed on to nobody, but be sure.
    let _ = control.shutdown(Shutdown::Both);
    drop(control);
    let _ = child.wait();
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer to something else")
}

fn layers(root: &Root) -> Vec<Digest> {
    root.layers().iter().map(|layer| layer.diff_id).collect()
}

/// Whether another user may be allowed what was refused.
fn is_denied(e: &io::Error) -> bool {
    let inner = e.get_ref().and_then(std::error::Error::source);
    let inner = inner.and_then(|e| e.downcast_ref::<io::Error>());
    inner.unwrap_or(e).kind() == io::ErrorKind::PermissionDenied
}

impl Bodies for Keeper {
    fn ids(&self) -> Option<&IdMap> {
        Some(self.namespace.map())
    }

    fn unpack(
        &self,
        tar: &mut (dyn Read + Send),
        lower: Option<&Root>,
        to: &Path,
    ) -> Result<Applied, Error> {
        let request = Request::Unpack {
            lower: lower.map(layers),
            to: At::new(to),
        };
        let connection = self.ask(&request, &[])?;
        let mut pieces = Pieces::new(&connection);
        let mut buffer = vec![0; wire::CHUNK];
        loop {
            let n = match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let _ = pieces.break_off();
                    let _ = self.answer(&connection);
                    return Err(kiln_layer::Error::from(e).into());
                }
            };
            // One that listens no more says why.
            if pieces.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = pieces.finish();
        let answer = self.answer(&connection)?;
        let Packed {
            diff_id,
            size,
            tree,
        } = self.packed(&answer, &connection)?;
        Ok(Applied {
            diff_id,
            size,
            tree,
        })
    }

    fn commit(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        how: &Commit,
    ) -> Result<Packed, Error> {
        let request = Request::Commit {
            upper: At::new(upper),
            lower: layers(lower),
            times: how.times.into(),
            watch: how.watch.needles().to_vec(),
        };
        let (answer, connection) = self.call(&request, &[stubs])?;
        self.packed(&answer, &connection)
    }

    fn changes(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        times: Times,
        tar: Option<&mut (dyn Write + Send)>,
    ) -> Result<Packed, Error> {
        let request = Request::Changes {
            upper: At::new(upper),
            lower: layers(lower),
            times: times.into(),
            tar: tar.is_some(),
        };
        let connection = self.ask(&request, &[stubs])?;
        match tar {
            Some(tar) => self.pass_on(&connection, tar),
            None => {
                let answer = self.answer(&connection)?;
                self.packed(&answer, &connection)
            }
        }
    }

    fn measure(&self, dir: &Path) -> Result<Measure, Error> {
        match Direct.measure(dir) {
            Err(_) => {}
            done => return done,
        }
        let dir = At::new(dir);
        match self.call(&Request::Measure { dir }, &[])? {
            (Answer::Measure { bytes, entries }, _) => Ok(Measure { bytes, entries }),
            _ => Err(self.lost(nonsense())),
        }
    }

    fn pack(
        &self,
        body: &Path,
        tree: &Arc<Tree>,
        tar: &mut (dyn Write + Send),
    ) -> Result<Packed, Error> {
        let body = At::new(body);
        let connection = self.ask(&Request::Pack { body }, &[tree])?;
        self.pass_on(&connection, tar)
    }

    fn make(&self, tree: &Tree, at: &Path) -> Result<(), Error> {
        let at = At::new(at);
        self.call(&Request::Make { at }, &[tree]).map(drop)
    }

    /// Most of what is to be removed is this user's own: so that is tried first, here.
    fn remove(&self, dir: &Path) -> Result<(), Error> {
        if Direct.remove(dir).is_ok() {
            return Ok(());
        }
        let dir = At::new(dir);
        self.call(&Request::Remove { dir }, &[]).map(drop)
    }

    /// Most files can be read by all.
    fn open(&self, body: &Path, path: &LayerPath) -> io::Result<File> {
        match Direct.open(body, path) {
            Err(e) if is_denied(&e) => {}
            done => return done,
        }
        let request = Request::Open {
            body: At::new(body),
            path: path.as_bytes().to_vec(),
        };
        let (_, connection) = self.call(&request, &[])?;
        let received = wire::receive_descriptor(&connection);
        match received.and_then(|file| file.ok_or_else(nonsense)) {
            Ok(file) => Ok(file.into()),
            Err(e) => Err(self.lost(e).into()),
        }
    }
}
