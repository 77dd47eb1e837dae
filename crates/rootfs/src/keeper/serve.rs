//! The keeper's own side: the child that came in by the door and is inside the namespace.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kiln_image::Digest;
use kiln_layer::{Applied, LayerPath, Packed, Root, Times, Tree, Watch};
use kiln_sandbox::Incoming;
use kiln_store::Store;

use super::failure::Failure;
use super::slots::{Apart, Slot, Slots};
use super::wire::{self, Answer, Chunks, Pieces, Request};
use crate::{Bodies as _, Commit, Direct, Error, ErrorKind, Roots};

/// How many entries the roots that are remembered may have together.
const REMEMBERED: usize = 1_000_000;

/// The door. Ends when nobody asks any more: with the socket, whatever is at work.
pub(super) fn run(incoming: Incoming) -> i32 {
    // A person at the terminal breaks off the command, not the one who cleans up after it.
    let _ = rustix::process::setsid();
    // It is executed through a descriptor, whose number would be its name.
    let _ = rustix::thread::set_name(c"keeper");
    let Incoming { socket, args } = incoming;
    let Some(store) = args.first() else {
        return 1;
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let keeper = Arc::new(Server {
        store: store.into(),
        slots: Slots::new(cores),
        roots: Mutex::new(None),
        recent: Mutex::new(VecDeque::new()),
    });
    while let Ok(Some(end)) = wire::receive_descriptor(&socket) {
        let (keeper, connection) = (keeper.clone(), UnixStream::from(end));
        let thread = thread::Builder::new().name("keeper".to_owned());
        // Without a thread the connection closes, which the other side understands.
        let _ = thread.spawn(move || keeper.serve(&connection));
    }
    0
}

struct Server {
    store: PathBuf,
    slots: Slots,
    /// The store, opened when a root is first needed.
    roots: Mutex<Option<Arc<Roots>>>,
    /// The last roots, the latest first: the next request most likely stands on the same layers.
    recent: Mutex<VecDeque<(Vec<Digest>, Arc<Root>)>>,
}

impl Server {
    fn serve(&self, connection: &UnixStream) {
        let Ok(request) = wire::receive::<Request>(connection) else {
            return;
        };
        let work = AssertUnwindSafe(|| self.carry_out(request, connection));
        let done = catch_unwind(work).unwrap_or_else(|_| {
            let what = "the keeper broke off: this is a mistake in the program";
            Err(Error::new(ErrorKind::Io, what))
        });
        // What is still on its way is not wanted any more.
        let _ = connection.shutdown(Shutdown::Read);
        // Whoever does not wait for the answer has gone.
        let _ = match done {
            Ok(done) => done.send(connection),
            Err(e) => wire::send(connection, &Err::<Answer, _>(Failure::from(&e))),
        };
    }

    fn carry_out(&self, request: Request, connection: &UnixStream) -> Result<Done, Error> {
        let lost = |e| Error::new(ErrorKind::Io, "read the request").because(e);
        let tree = || -> Result<Tree, Error> {
            let bytes = wire::receive_bytes(connection).map_err(lost)?;
            Ok(Tree::decode(&bytes)?)
        };
        match request {
            Request::Unpack { lower, to } => {
                let slot = self.slots.take();
                let lower = lower.map(|layers| self.root(&layers)).transpose()?;
                let mut tar = Apart(&slot, Chunks::new(connection));
                let applied = Direct.unpack(&mut tar, lower.as_deref(), &to.path())?;
                Ok(Done::layer(applied))
            }
            Request::Commit {
                upper,
                lower,
                times,
                watch,
            } => {
                let how = Commit {
                    times: times.into(),
                    watch: Watch::new(watch),
                };
                let stubs = tree()?;
                let _slot = self.slots.take();
                let root = self.root(&lower)?;
                let packed = Direct.commit(&upper.path(), &root, &stubs, &how)?;
                Ok(Done::Layer(packed))
            }
            Request::Changes {
                upper,
                lower,
                times,
                tar,
            } => {
                let stubs = tree()?;
                let slot = self.slots.take();
                let root = self.root(&lower)?;
                let to = tar.then_some(connection);
                changes(&slot, to, &upper.path(), (&root, &stubs), times.into())
            }
            Request::Pack { body } => {
                let tree = Arc::new(tree()?);
                let slot = self.slots.take();
                stream(connection, &slot, |tar| {
                    Direct.pack(&body.path(), &tree, tar)
                })
            }
            Request::Make { at } => Direct.make(&tree()?, &at.path()).map(|()| Done::Nothing),
            Request::Measure { dir } => Direct.measure(&dir.path()).map(Done::Measure),
            Request::Remove { dir } => Direct.remove(&dir.path()).map(|()| Done::Nothing),
            Request::Open { body, path } => {
                let path = LayerPath::parse(&path)?;
                crate::folder::Folder::open(&body.path())?
                    .file(&path)
                    .map(Done::File)
            }
        }
    }

    /// The layers of the store as a root.
    fn root(&self, layers: &[Digest]) -> Result<Arc<Root>, Error> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = recent.iter().position(|(known, _)| known == layers)
            && let Some(found) = recent.remove(place)
        {
            let root = found.1.clone();
            recent.push_front(found);
            return Ok(root);
        }
        drop(recent);
        let root = Arc::new(self.roots()?.root(layers)?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((layers.to_vec(), root.clone()));
        let mut entries = 0;
        recent.retain(|(_, root)| {
            // The latest stays whatever its size.
            let layers = root.layers().iter();
            let len: usize = layers.map(|l| l.files.tree().len()).sum();
            let keep = entries == 0 || entries + len <= REMEMBERED;
            entries += len;
            keep
        });
        Ok(root)
    }

    fn roots(&self) -> Result<Arc<Roots>, Error> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = &*roots {
            return Ok(roots.clone());
        }
        let store = Store::open(&self.store)?;
        let opened = Arc::new(Roots::new(store, Arc::new(Direct)));
        *roots = Some(opened.clone());
        Ok(opened)
    }
}

/// The layer of a root that lives on, and its tar to `connection` where it is wanted.
fn changes(
    slot: &Slot<'_>,
    connection: Option<&UnixStream>,
    upper: &Path,
    (root, stubs): (&Root, &Tree),
    times: Times,
) -> Result<Done, Error> {
    match connection {
        Some(connection) => stream(connection, slot, |tar| {
            Direct.changes(upper, root, stubs, times, Some(tar))
        }),
        None => Direct
            .changes(upper, root, stubs, times, None)
            .map(Done::Layer),
    }
}

/// Sends a tar while it is written; how that ended is the answer.
fn stream(
    connection: &UnixStream,
    slot: &Slot<'_>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<Packed, Error>,
) -> Result<Done, Error> {
    let mut pieces = Pieces::new(Apart(slot, connection));
    match write(&mut pieces) {
        Ok(packed) => {
            let failed = |e| Error::new(ErrorKind::Io, "send the tar").because(e);
            pieces.finish().map_err(failed)?;
            Ok(Done::Layer(packed))
        }
        Err(e) => {
            let _ = pieces.break_off();
            Err(e)
        }
    }
}

/// What is to be sent back.
enum Done {
    Nothing,
    Layer(Packed),
    Measure(crate::Measure),
    File(std::fs::File),
}

impl Done {
    fn layer(applied: Applied) -> Self {
        Done::Layer(Packed {
            diff_id: applied.diff_id,
            size: applied.size,
            tree: applied.tree,
        })
    }

    fn send(self, to: &UnixStream) -> io::Result<()> {
        let answer = |answer| wire::send(to, &Ok::<Answer, Failure>(answer));
        match self {
            Done::Nothing => answer(Answer::Done),
            Done::Layer(packed) => {
                answer(Answer::Layer {
                    diff_id: packed.diff_id,
                    size: packed.size,
                })?;
                wire::send_bytes(to, &packed.tree.encode())
            }
            Done::Measure(measure) => answer(Answer::Measure {
                bytes: measure.bytes,
                entries: measure.entries,
            }),
            Done::File(file) => {
                answer(Answer::File)?;
                wire::send_descriptor(to, &file)
            }
        }
    }
}
