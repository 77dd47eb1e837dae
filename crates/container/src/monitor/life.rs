//! The life of a container: started, watched, started again where that was wished for, and its end
//! written down.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use kiln_sandbox::{Io, Peer, Runner as _, Running, Stream};

use super::hub::{Hub, Run};
use super::open::{self, Opened};
use super::{serve, spec};
use crate::attach::{Attach, Size};
use crate::containers::{Containers, missing};
use crate::create::Command;
use crate::forward::{Forwarder, Listeners};
use crate::frame::{Ending, Frame, Request};
use crate::logs::{LogStream, LogWriter};
use crate::state::{Noted, State, failed, write_state};
use crate::{Error, ErrorKind, Restart, Stdin, control, time};

/// The first pause before a container is started again, and the longest (docker's).
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who ran so long has not failed at once.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// From the starter's request to the container's end.
pub(crate) fn live(socket: &UnixStream, args: &[OsString]) -> Result<(), Error> {
    let starter = |e: std::io::Error| {
        Error::new(
            ErrorKind::Io,
            "talk to the program that starts the container",
        )
        .because(e)
    };
    let request = Frame::read(&mut &*socket).map_err(starter)?;
    let request = request.map(|frame| frame.parse::<Request>());
    let Some(Request::Start(attach)) = request.transpose().map_err(starter)? else {
        return Ok(());
    };
    let opened = open::open(args);
    let opened = opened.and_then(|(opened, store)| Ok((Life::new(opened)?, store)));
    let (life, store) = opened.inspect_err(|e| {
        // Who does not hear of it has gone.
        let _ = serve::reply(socket, Err(e));
    })?;
    match life.run(store, Some((socket, attach)), 0) {
        Ok(ended) => {
            let ended = life.again(ended);
            life.end(ended)
        }
        Err(e) => {
            // First everything is as it is to be found, then the starter hears of it.
            let ended = life.end(Ended::failed(&e));
            let _ = serve::reply(socket, Err(&e));
            ended
        }
    }
}

/// A container, and what is needed to run it.
struct Life {
    opened: Opened,
    hub: Arc<Hub>,
}

/// How a run ended.
struct Ended {
    code: i32,
    started: u64,
    at: u64,
    error: Option<String>,
    restarts: u32,
}

impl Ended {
    /// It could not be started.
    fn failed(e: &Error) -> Self {
        Self {
            code: e.docker_code(),
            started: 0,
            at: time::now(),
            error: Some(e.to_string()),
            restarts: 0,
        }
    }
}

/// A process that runs, and where its streams lead.
struct Started {
    process: Box<dyn Running>,
    outputs: Vec<(File, LogStream)>,
    input: Option<File>,
}

impl Life {
    fn new(opened: Opened) -> Result<Self, Error> {
        let folder = &opened.folder;
        let log = LogWriter::open(folder).map_err(failed("open the log in", folder))?;
        let hub = Arc::new(Hub::new(log, opened.details.command.stdin));
        let listener = control::listen(folder).map_err(failed("listen in", folder))?;
        serve::serve(listener, &hub).map_err(failed("listen in", folder))?;
        Ok(Self { opened, hub })
    }

    /// Runs the process to its end. The starter, where there is one, is told when it runs, and takes
    /// part from its first byte on.
    fn run(
        &self,
        store: Containers,
        starter: Option<(&UnixStream, Option<Attach>)>,
        restarts: u32,
    ) -> Result<Ended, Error> {
        let listeners = Listeners::bind(&spec::ports(&self.opened.details)?)?;
        let bound = listeners.bound();
        let attach = starter.and_then(|(_, attach)| attach);
        let size = attach.and_then(|attach| attach.size);
        let mut started = self.start(&store, !bound.is_empty(), size)?;
        drop(store);
        let pid = started.process.pid();
        let since = time::now();
        let noted = Noted {
            state: State::Running { pid, since },
            born: Peer::new(pid).born,
            restarts,
            ports: bound,
            outward: started.process.outward(),
        };
        write_state(&self.opened.folder, &noted)?;
        let forwarder = match noted.ports.is_empty() {
            true => None,
            false => Some(listeners.forward(&started.process.dialer())?),
        };
        self.hub.begin(Run {
            signaller: Some(started.process.signaller()),
            input: started.input.take().map(Arc::new),
            terminal: started.process.terminal(),
        });
        if let Some((socket, attach)) = starter {
            self.welcome(socket, attach);
        }
        let code = self.watch(started, forwarder);
        let (code, error) = match code {
            Ok(code) => (code, None),
            Err(e) => (137, Some(e.to_string())),
        };
        Ok(Ended {
            code,
            started: since,
            at: time::now(),
            error,
            restarts,
        })
    }

    /// Makes the root ready and starts the process. What is known of the image's files is forgotten
    /// with this: it may be a lot, and the process may run for long.
    fn start(
        &self,
        store: &Containers,
        published: bool,
        size: Option<Size>,
    ) -> Result<Started, Error> {
        let id = &self.opened.id;
        let container = &store.at(id)?.ok_or_else(|| missing(id))?;
        let prepared = crate::root::root(container)?;
        let mut spec = spec::spec(container, &prepared, published)?;
        spec.process.size = size;
        let (io, outputs, input) = streams(&container.details.command)?;
        let process = self.opened.runner.start(&spec, io)?;
        let mut started = Started {
            process,
            outputs,
            input,
        };
        let lost = |e| Error::new(ErrorKind::Io, "take the terminal").because(e);
        if let Some(terminal) = started.process.terminal() {
            let reading = terminal.try_clone().map_err(lost)?;
            started.outputs = vec![(reading, LogStream::Stdout)];
            if container.details.command.stdin != Stdin::Closed {
                started.input = Some(terminal);
            }
        }
        Ok(started)
    }

    /// The starter is the first who may take part.
    fn welcome(&self, socket: &UnixStream, attach: Option<Attach>) {
        // A starter that has gone is no reason to end.
        if serve::reply(socket, Ok(())).is_err() {
            return;
        }
        let (Some(attach), Ok(socket)) = (attach, socket.try_clone()) else {
            return;
        };
        let (joined, ready) = std::sync::mpsc::channel();
        let hub = self.hub.clone();
        let thread = std::thread::Builder::new().name("request".to_owned());
        let spawned = thread.spawn(move || serve::take_part(socket, attach, &hub, &joined));
        if spawned.is_ok() {
            // Not before it hears what is written from now on.
            let _ = ready.recv();
        }
    }

    /// Until the process has ended and all that it wrote is written down.
    fn watch(&self, started: Started, forwarder: Option<Forwarder>) -> Result<i32, Error> {
        let Started {
            mut process,
            outputs,
            ..
        } = started;
        std::thread::scope(|scope| {
            for (from, stream) in outputs {
                scope.spawn(move || self.hub.pump(from, stream));
            }
            let exit = process.wait();
            drop(forwarder);
            self.hub.ended();
            // The sandbox's own descriptor of a terminal must not keep it.
            drop(process);
            Ok(exit?.code())
        })
    }

    /// Starts it again as long as that was wished for and is called for.
    fn again(&self, mut ended: Ended) -> Ended {
        let Restart::OnFailure { max } = self.opened.details.host.restart else {
            return ended;
        };
        let mut pause = PAUSE;
        while ended.code != 0
            && self.hub.asked() == Ending::No
            && max.is_none_or(|max| ended.restarts < max)
        {
            let state = State::Restarting {
                code: ended.code,
                started: ended.started,
                at: ended.at,
            };
            let mut noted = Noted::new(state);
            noted.restarts = ended.restarts;
            if write_state(&self.opened.folder, &noted).is_err() {
                break;
            }
            self.hub.tell_attached(ended.code);
            if Duration::from_nanos(ended.at.saturating_sub(ended.started)) > LONG_ENOUGH {
                pause = PAUSE;
            }
            self.hub.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.hub.asked() != Ending::No {
                break;
            }
            let restarts = ended.restarts + 1;
            let again = self.opened.store();
            ended = match again.and_then(|store| self.run(store, None, restarts)) {
                Ok(next) => next,
                Err(e) => {
                    ended = Ended::failed(&e);
                    ended.restarts = restarts;
                    break;
                }
            };
        }
        ended
    }

    /// Writes the end down, lets go of the container, and tells who waits for that.
    fn end(self, ended: Ended) -> Result<(), Error> {
        let Self { opened, hub } = self;
        let lost = hub.end_log();
        let lost = lost.map(|e| format!("its log is not whole: {e}"));
        let mut noted = Noted::new(State::Exited {
            code: ended.code,
            started: ended.started,
            at: ended.at,
            error: ended.error.or(lost),
        });
        noted.restarts = ended.restarts;
        let written = write_state(&opened.folder, &noted);
        control::close(&opened.folder);
        let gone = match opened.details.remove && hub.asked() != Ending::Restart {
            true => opened.store().and_then(|store| {
                // By the lease, so that nobody else comes between.
                store.take_away(&opened.id, opened.lease, true)
            }),
            false => {
                drop(opened.lease);
                Ok(())
            }
        };
        hub.tell_all(ended.code);
        written.and(gone)
    }
}

/// Pipes for a process without a terminal: its side, and ours.
#[allow(clippy::type_complexity)]
fn streams(command: &Command) -> Result<(Io, Vec<(File, LogStream)>, Option<File>), Error> {
    if command.terminal {
        return Ok((Io::null(), Vec::new(), None));
    }
    let failed = |e| Error::new(ErrorKind::Io, "make a pipe").because(e);
    let file = |pipe: std::os::fd::OwnedFd| File::from(pipe);
    let mut io = Io::null();
    let (out, theirs) = std::io::pipe().map_err(failed)?;
    io.stdout = Stream::from(theirs);
    let (err, theirs) = std::io::pipe().map_err(failed)?;
    io.stderr = Stream::from(theirs);
    let outputs = vec![
        (file(out.into()), LogStream::Stdout),
        (file(err.into()), LogStream::Stderr),
    ];
    if command.stdin == Stdin::Closed {
        return Ok((io, outputs, None));
    }
    let (theirs, input) = std::io::pipe().map_err(failed)?;
    io.stdin = Stream::from(theirs);
    Ok((io, outputs, Some(file(input.into()))))
}
