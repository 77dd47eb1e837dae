//! An SSH agent for the time of one step: a socket of its own, by which the step may ask what keys
//! there are and have something signed, and nothing else (draft-miller-ssh-agent). Refuses to pass on
//! what would change the agent.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Agents, Error, Talk};

/// What may be asked: for identities, for a signature, for an extension (session-bind).
const ALLOWED: [u8; 3] = [11, 13, 27];

/// The answer to everything else: a message of one byte, `SSH_AGENT_FAILURE`.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// No message is longer (OpenSSH's own limit).
const LONGEST: usize = 256 << 10;

/// How many may talk to the agent at a time; who comes then waits until one has done.
const AT_ONCE: usize = 64;

/// How long to wait where the system could not take a caller: it lacks something that comes back.
const AGAIN: Duration = Duration::from_millis(20);

/// A socket that leads to an agent, until this is dropped.
pub(crate) struct Forward {
    path: PathBuf,
    over: Arc<AtomicBool>,
    folder: fs::File,
    thread: Option<JoinHandle<()>>,
}

/// Lets callers in, until it is over.
struct Door {
    agents: Arc<dyn Agents>,
    id: String,
    over: Arc<AtomicBool>,
    seats: Arc<Seats>,
}

/// The name of the socket in its folder.
const NAME: &str = "agent";

impl Forward {
    /// A socket in the new folder `folder` that leads to the agent `id`.
    pub(crate) fn new(folder: &Path, agents: Arc<dyn Agents>, id: &str) -> Result<Self, Error> {
        let failed =
            |e: io::Error| Error::io(format!("make a socket in `{}`", folder.display()), e);
        fs::create_dir(folder).map_err(failed)?;
        let open = fs::File::open(folder).map_err(failed)?;
        let listener = UnixListener::bind(short(&open)).map_err(failed)?;
        let over = Arc::new(AtomicBool::new(false));
        let door = Door {
            agents,
            id: id.to_owned(),
            over: Arc::clone(&over),
            seats: Arc::default(),
        };
        let serve = move || door.serve(&listener);
        let thread = thread::Builder::new().name("agent".to_owned());
        Ok(Self {
            path: folder.join(NAME),
            over,
            folder: open,
            thread: Some(thread.spawn(serve).map_err(failed)?),
        })
    }

    /// Where the socket is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // One that waits for a caller gets one. If none can be made, it stays until the end.
        let woken = UnixStream::connect(short(&self.folder)).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Door {
    fn serve(&self, listener: &UnixListener) {
        loop {
            let client = listener.accept();
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            match client {
                Ok((client, _)) => self.let_in(client),
                Err(_) => thread::sleep(AGAIN),
            }
        }
    }

    /// Has a thread serve a caller. One that cannot be served finds the socket closed.
    fn let_in(&self, client: UnixStream) {
        let Some(seat) = self.seats.take(&self.over) else {
            return;
        };
        let (agents, id) = (Arc::clone(&self.agents), self.id.clone());
        // Ends when the step does: then nobody has the other side open.
        let _ = thread::Builder::new().spawn(move || {
            let _seat = seat;
            if let Ok(Some(agent)) = agents.connect(&id) {
                let _ = pass_on(client, agent);
            }
        });
    }
}

/// How many are being served.
#[derive(Default)]
struct Seats {
    taken: Mutex<usize>,
    free: Condvar,
}

/// A place, until this is dropped.
struct Seat(Arc<Seats>);

impl Seats {
    /// A place, as soon as there is one; `None` when it is over.
    fn take(self: &Arc<Self>, over: &AtomicBool) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= AT_ONCE {
            if over.load(Ordering::SeqCst) {
                return None;
            }
            let waited = self.free.wait_timeout(taken, AGAIN);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken += 1;
        Some(Seat(Arc::clone(self)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.free.notify_one();
    }
}

/// A path to the socket of any length: the kernel takes 107 bytes.
fn short(folder: &fs::File) -> PathBuf {
    format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()).into()
}

/// Passes questions and answers on, until one side has gone.
fn pass_on(mut client: impl Talk, mut agent: Box<dyn Talk>) -> io::Result<()> {
    loop {
        let asked = message(&mut client)?;
        if !asked.get(4).is_some_and(|kind| ALLOWED.contains(kind)) {
            client.write_all(&FAILURE)?;
            continue;
        }
        agent.write_all(&asked)?;
        client.write_all(&message(&mut agent)?)?;
    }
}

/// One message, with its length before it.
fn message(from: &mut (impl Read + ?Sized)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    from.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.resize(4 + length, 0);
    from.read_exact(&mut bytes[4..])?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Echo(PathBuf);

    impl Agents for Echo {
        fn connect(&self, _: &str) -> Result<Option<Box<dyn Talk>>, Error> {
            let stream = UnixStream::connect(&self.0).map_err(|e| Error::io("connect", e))?;
            Ok(Some(Box::new(stream)))
        }

        fn has(&self, _: &str) -> bool {
            true
        }
    }

    #[test]
    fn only_harmless_questions_reach_the_agent() {
        let at = tempfile::tempdir().unwrap();
        let real = at.path().join("real");
        let listener = UnixListener::bind(&real).unwrap();
        let agent = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while let Ok(question) = message(&mut client) {
                asked.push(question[4]);
                client.write_all(&[0, 0, 0, 2, 12, 7]).unwrap();
            }
            asked
        });
        let folder = at.path().join("long".repeat(40));
        let forward = Forward::new(&folder, Arc::new(Echo(real)), "default").unwrap();
        assert!(forward.path().exists());
        let mut client = UnixStream::connect(short(&fs::File::open(&folder).unwrap())).unwrap();
        // Identities; add one; remove all; lock; sign.
        for (kind, answer) in [(11, 12), (17, 5), (19, 5), (22, 5), (13, 12)] {
            client.write_all(&[0, 0, 0, 1, kind]).unwrap();
            assert_eq!(message(&mut client).unwrap()[4], answer, "{kind}");
        }
        drop(client);
        drop(forward);
        assert_eq!(agent.join().unwrap(), [11, 13]);
    }

    /// Says of each caller that it came, and answers nothing.
    struct Silent(mpsc::Sender<()>);

    struct Never;

    impl Read for Never {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Never {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Agents for Silent {
        fn connect(&self, _: &str) -> Result<Option<Box<dyn Talk>>, Error> {
            self.0.send(()).unwrap();
            Ok(Some(Box::new(Never)))
        }

        fn has(&self, _: &str) -> bool {
            true
        }
    }

    #[test]
    fn who_comes_when_all_places_are_taken_waits() {
        let at = tempfile::tempdir().unwrap();
        let (sender, came) = mpsc::channel();
        let folder = at.path().join("a");
        let forward = Forward::new(&folder, Arc::new(Silent(sender)), "default").unwrap();
        let open = fs::File::open(&folder).unwrap();
        let call = || UnixStream::connect(short(&open)).unwrap();
        let mut all: Vec<UnixStream> = (0..AT_ONCE).map(|_| call()).collect();
        all.iter().for_each(|_| came.recv().unwrap());
        let last = call();
        assert!(came.recv_timeout(5 * AGAIN).is_err(), "one too many");
        all.pop();
        came.recv().unwrap();
        // It ends, whoever still holds on.
        let more = call();
        drop(forward);
        drop((all, last, more));
    }
}
