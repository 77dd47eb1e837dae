//! The caller's own streams, carried to a process inside and back through pipes.
//!
//! Inside there shall be none of the caller's files: who has a terminal open can read what is typed
//! there after the command has ended, and a file can be opened anew for more than it was given for.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use kiln_sandbox::{Dialer, Error as SandboxError, Exit, Io, Outward, Running, Signaller, Stream};
use rustix::event::{PollFd, PollFlags, poll};

/// How often somebody who waits for the last output looks.
const LOOK: Duration = Duration::from_millis(2);

/// Streams that are the caller's, which go by pipes from here on.
#[derive(Default)]
pub(super) struct Relay {
    input: Option<(File, PipeWriter)>,
    outputs: Vec<(PipeReader, File)>,
}

impl Relay {
    /// Puts pipes in the place of streams that are to be the caller's own.
    pub(super) fn of(io: &mut Io) -> io::Result<Self> {
        let mut relay = Self::default();
        if let Stream::Inherit = io.stdin {
            let (theirs, ours) = io::pipe()?;
            relay.input = Some((again(io::stdin().as_fd())?, ours));
            io.stdin = theirs.into();
        }
        for (stream, own) in [
            (&mut io.stdout, io::stdout().as_fd()),
            (&mut io.stderr, io::stderr().as_fd()),
        ] {
            if let Stream::Inherit = stream {
                let (ours, theirs) = io::pipe()?;
                relay.outputs.push((ours, again(own)?));
                *stream = theirs.into();
            }
        }
        Ok(relay)
    }

    /// Carries them as long as the process runs.
    pub(super) fn carry(self, process: Box<dyn Running>) -> io::Result<Box<dyn Running>> {
        if let Some((mut from, mut to)) = self.input {
            // It may wait in the caller's input when the process ends: nobody can wake it, and it
            // does nothing any more.
            let carry = move || while pass(&mut from, &mut to).is_ok_and(|passed| passed) {};
            Builder::new().name("stdin".to_owned()).spawn(carry)?;
        }
        let outputs = self.outputs.into_iter().map(Output::start);
        Ok(Box::new(Relayed {
            process,
            outputs: outputs.collect::<io::Result<_>>()?,
        }))
    }
}

fn again(stream: BorrowedFd<'_>) -> io::Result<File> {
    stream.try_clone_to_owned().map(File::from)
}

/// Passes on what is there; `false` at the end.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<bool> {
    let mut buffer = [0; 32 << 10];
    let mut rest = match from.read(&mut buffer) {
        Ok(0) => return Ok(false),
        Ok(read) => &buffer[..read],
        Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(true),
        Err(e) if e.kind() == ErrorKind::WouldBlock => {
            std::thread::sleep(LOOK);
            return Ok(true);
        }
        Err(e) => return Err(e),
    };
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // The caller's may be such that do not wait.
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// One output on its way.
struct Output {
    /// Gone when nobody reads it any more; so the process is told that by the kernel.
    from: Weak<PipeReader>,
    /// Something was or is being taken out of the pipe, and is not yet where it goes.
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Output {
    fn start((from, mut to): (PipeReader, File)) -> io::Result<Self> {
        let (from, busy) = (Arc::new(from), Arc::new(AtomicBool::new(false)));
        let (weak, is_busy) = (Arc::downgrade(&from), busy.clone());
        let carry = move || {
            loop {
                let mut polled = [PollFd::new(&*from, PollFlags::IN)];
                if let Err(rustix::io::Errno::INTR) = poll(&mut polled, None) {
                    continue;
                }
                is_busy.store(true, Ordering::SeqCst);
                if !pass(&mut &*from, &mut to).is_ok_and(|passed| passed) {
                    break;
                }
                is_busy.store(false, Ordering::SeqCst);
            }
        };
        let thread = Builder::new().name("output".to_owned()).spawn(carry)?;
        Ok(Self {
            from: weak,
            busy,
            thread,
        })
    }

    /// Whether all that was written up to now has come through. There may be more for ever: what a
    /// process leaves behind has its streams, too.
    fn is_through(&self) -> bool {
        let Some(from) = self.from.upgrade() else {
            return true;
        };
        let empty = rustix::io::ioctl_fionread(&*from).is_ok_and(|left| left == 0);
        empty && !self.busy.load(Ordering::SeqCst) || self.thread.is_finished()
    }
}

/// A process whose streams are carried.
struct Relayed {
    process: Box<dyn Running>,
    outputs: Vec<Output>,
}

impl Running for Relayed {
    fn wait(&mut self) -> Result<Exit, SandboxError> {
        let exit = self.process.wait();
        while !self.outputs.iter().all(Output::is_through) {
            std::thread::sleep(LOOK);
        }
        exit
    }

    fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        self.process.signal(signal)
    }

    fn signaller(&self) -> Signaller {
        self.process.signaller()
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn terminal(&self) -> Option<File> {
        self.process.terminal()
    }

    /// What it writes from then on goes nowhere when this program ends.
    fn leave(self: Box<Self>) -> Result<(), SandboxError> {
        self.process.leave()
    }

    fn outward(&self) -> Option<Outward> {
        self.process.outward()
    }

    fn dialer(&self) -> Dialer {
        self.process.dialer()
    }
}
