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
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::{Agents, Error, Talk};

/// What may be asked: for identities, for a signature, for an extension (session-bind).
const ALLOWED: [u8; 3] = [11, 13, 27];

/// The answer to everything else: a message of one byte, `SSH_AGENT_FAILURE`.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// No message is longer (OpenSSH's own limit).
const LONGEST: usize = 256 << 10;

/// A socket that leads to an agent, until this is dropped.
pub(crate) struct Forward {
    path: PathBuf,
    over: Arc<AtomicBool>,
    folder: fs::File,
    thread: Option<JoinHandle<()>>,
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
        let (seen, id) = (Arc::clone(&over), id.to_owned());
        let serve = move || {
            while let Ok((client, _)) = listener.accept() {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
                let (agents, id) = (Arc::clone(&agents), id.clone());
                // Ends when the step does: then nobody has the other side open.
                let _ = thread::Builder::new().spawn(move || {
                    if let Ok(Some(agent)) = agents.connect(&id) {
                        let _ = pass_on(client, agent);
                    }
                });
            }
        };
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
        // One that waits for a caller gets one. If it has ended, there is nothing to wake.
        let woken = UnixStream::connect(short(&self.folder)).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
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
}
