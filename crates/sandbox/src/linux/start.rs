//! The caller's side: starts a child by its door, tells it what to run, and holds what runs.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;

use super::wire::{self, Order, Reply, Request};
use super::{ids, network, outward, userns};
use crate::entry::{command, spawn};
use crate::{
    Dialer, Error, ErrorKind, Exit, Io, Limits, Mount, Network, Outgoing, Outward, Peer, Process,
    Running, Signaller, Spec, Stream, UserNamespace,
};

/// Who carries it out.
#[derive(Clone, Copy)]
pub(crate) enum How<'a> {
    /// The built-in runner, in a user namespace where one is given.
    Native(Option<&'a UserNamespace>),
    /// The OCI runtime at this path.
    Runtime(&'a Path),
}

/// Starts a child by a door, which runs `spec`.
pub(crate) fn start(how: How<'_>, spec: &Spec, io: Io) -> Result<Box<dyn Running>, Error> {
    refuse(spec, how)?;
    refuse_process(&spec.process, &io)?;
    let (door, namespace, runtime) = match how {
        How::Native(namespace) => (super::SANDBOX, namespace, None),
        How::Runtime(program) => (super::RUNTIME, None, Some(program)),
    };
    let order = Order {
        spec: spec.clone(),
        ids: namespace.map(|namespace| namespace.map().clone()),
        runtime: runtime.map(Into::into),
        pasta: outward::pasta().filter(|_| spec.network == Network::Private),
    };
    let (mut handle, dial) = launch(quiet(door, namespace)?, namespace, &order, io)?;
    handle.dialer = (spec.network != Network::Host).then(|| remote_dialer(dial));
    Ok(Box::new(handle))
}

/// A child by a door of the sandbox's own, that shows nothing of this program's environment and
/// writes nothing.
pub(super) fn quiet(door: &str, namespace: Option<&UserNamespace>) -> Result<Command, Error> {
    let mut command = command(door, namespace)?;
    command.stderr(Stdio::null()).env_clear();
    if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    Ok(command)
}

/// Starts a child ([`quiet`]), gives it its order, and waits until the process runs. The socket is
/// that of the dialer.
pub(super) fn launch(
    child: Command,
    namespace: Option<&UserNamespace>,
    order: &impl Serialize,
    io: Io,
) -> Result<(Handle, UnixStream), Error> {
    let Outgoing { socket, child } = spawn(child, namespace)?;
    // From here on the child ends with the handle, whatever happens.
    let mut handle = Handle {
        control: Arc::new(Mutex::new(socket)),
        child: Some(child),
        process: None,
        terminal: None,
        outward: None,
        dialer: None,
        ended: None,
        tied: true,
    };
    let (dial, theirs) = UnixStream::pair().map_err(lost)?;
    handle.order(order, &io, &theirs)?;
    // What was given to the process is its alone from here on.
    drop((io, theirs));
    handle.started()?;
    Ok((handle, dial))
}

/// What cannot be done is said before anything is started.
fn refuse(spec: &Spec, how: How<'_>) -> Result<(), Error> {
    let unsupported = |message| Err(Error::new(ErrorKind::Unsupported, message));
    let runtime = matches!(how, How::Runtime(_));
    match how {
        How::Runtime(_) if !userns::is_root() => {
            return unsupported(
                "an OCI runtime is used for root only: the built-in runner needs none",
            );
        }
        How::Native(None) if !rustix::process::geteuid().is_root() => {
            return unsupported(
                "running a process in a root without being root needs a user namespace",
            );
        }
        How::Native(Some(namespace)) => ids::mapped(&spec.process.user, namespace.map())?,
        _ => {}
    }
    if spec.process.terminal && runtime {
        return unsupported("a terminal for the process needs the built-in runner");
    }
    if runtime && (spec.limits != Limits::default() || !spec.devices.is_empty()) {
        return unsupported("limits and devices need the built-in runner");
    }
    if spec.init && runtime {
        return unsupported("an OCI runtime cannot bring an init into the root");
    }
    if runtime && !spec.mounts.iter().all(Mount::is_plain) {
        return unsupported("files in memory and parts of other roots need the built-in runner");
    }
    Ok(())
}

/// The same of the process.
pub(super) fn refuse_process(process: &Process, io: &Io) -> Result<(), Error> {
    let null = [&io.stdin, &io.stdout, &io.stderr]
        .iter()
        .all(|stream| matches!(stream, Stream::Null));
    if process.terminal && !null {
        let what = "a process with a terminal of its own takes no other streams";
        return Err(Error::new(ErrorKind::Process, what));
    }
    if process.argv.is_empty() {
        return Err(Error::new(ErrorKind::Process, "no program was given"));
    }
    Ok(())
}

/// A process that runs, and the child that watches it.
pub(crate) struct Handle {
    control: Arc<Mutex<UnixStream>>,
    /// `None` when it has been left to its process.
    child: Option<Child>,
    process: Option<Peer>,
    terminal: Option<File>,
    outward: Option<Outward>,
    pub(super) dialer: Option<Dialer>,
    ended: Option<wire::Ended>,
    /// Whether the process ends with this value.
    pub(super) tied: bool,
}

impl Handle {
    fn order(&self, order: &impl Serialize, io: &Io, dial: &UnixStream) -> Result<(), Error> {
        let null = || File::options().read(true).write(true).open("/dev/null");
        let null = null().map_err(lost)?;
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [
            pick(&io.stdin, stdin.as_fd(), null.as_fd()),
            pick(&io.stdout, stdout.as_fd(), null.as_fd()),
            pick(&io.stderr, stderr.as_fd(), null.as_fd()),
            dial.as_fd(),
        ];
        wire::send(&locked(&self.control), order, &streams).map_err(lost)
    }

    fn started(&mut self) -> Result<(), Error> {
        let said = wire::receive(&locked(&self.control)).map_err(lost)?;
        match said {
            Some((Reply::Started { pid, outward }, mut beside)) => {
                (self.process, self.outward) = (Some(Peer::new(pid)), outward);
                self.terminal = beside.pop().map(File::from);
                Ok(())
            }
            Some((Reply::Failed(report), _)) => Err(report.into()),
            Some((Reply::Ended(_) | Reply::Left, _)) | None => Err(vanished()),
        }
    }

    /// Leaves the child alone. A thread of its own waits for it, so that it does not stay behind as
    /// a dead process of a program that lives on.
    fn reap_later(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // Without a thread it stays until this program ends, which is no reason to kill anything.
        let _ = thread::Builder::new().spawn(move || child.wait());
    }
}

fn pick<'a>(stream: &'a Stream, inherited: BorrowedFd<'a>, null: BorrowedFd<'a>) -> BorrowedFd<'a> {
    match stream {
        Stream::Null => null,
        Stream::Inherit => inherited,
        Stream::File(file) => file.as_fd(),
    }
}

impl Handle {
    /// When the child was killed, the kernel kills the process: unless that has changed its user since,
    /// or wished it away (prctl(2), `PR_SET_PDEATHSIG`).
    fn end_what_is_left(&self) {
        if let (true, Some(process)) = (self.tied, &self.process) {
            process.kill();
        }
    }
}

impl Running for Handle {
    fn wait(&mut self) -> Result<Exit, Error> {
        if let Some(ended) = self.ended {
            return Ok(ended.exit);
        }
        // A second descriptor, so that signals can be sent meanwhile.
        let control = locked(&self.control).try_clone().map_err(lost)?;
        let said = wire::receive(&control).inspect_err(|_| self.end_what_is_left());
        let ended = match said.map_err(lost)? {
            Some((Reply::Ended(ended), _)) => ended,
            Some((Reply::Failed(report), _)) => return Err(report.into()),
            Some((Reply::Started { .. } | Reply::Left, _)) | None => {
                self.end_what_is_left();
                return Err(vanished());
            }
        };
        if let Some(child) = &mut self.child {
            child.wait().map_err(lost)?;
        }
        self.ended = Some(ended);
        Ok(ended.exit)
    }

    fn out_of_memory(&self) -> bool {
        self.ended.is_some_and(|ended| ended.memory)
    }

    fn signal(&self, signal: i32) -> Result<(), Error> {
        signal_by(&self.control, signal).map_err(lost)
    }

    fn signaller(&self) -> Signaller {
        let control = Arc::clone(&self.control);
        Box::new(move |signal| {
            // A process that cannot be told any more has ended, or will be waited for with an error.
            let _ = signal_by(&control, signal);
        })
    }

    fn pid(&self) -> u32 {
        self.process.map_or(0, |process| process.pid)
    }

    fn terminal(&self) -> Option<File> {
        // Without a descriptor to spare there is none, as for a process without a terminal.
        self.terminal.as_ref()?.try_clone().ok()
    }

    fn leave(mut self: Box<Self>) -> Result<(), Error> {
        if self.ended.is_some() {
            return Ok(());
        }
        let terminal: Vec<_> = self.terminal.iter().map(AsFd::as_fd).collect();
        let control = locked(&self.control);
        match wire::send(&control, &Request::Leave, &terminal) {
            // What it said last is still there to be read.
            Err(error) if gone(&error) => {}
            result => result.map_err(lost)?,
        }
        let said = wire::receive(&control).map_err(lost)?;
        drop(control);
        match said {
            Some((Reply::Left, _)) => self.reap_later(),
            Some((Reply::Ended(_), _)) => {}
            Some((Reply::Failed(report), _)) => return Err(report.into()),
            Some((Reply::Started { .. }, _)) | None => return Err(vanished()),
        }
        Ok(())
    }

    fn outward(&self) -> Option<Outward> {
        self.outward.clone()
    }

    fn dialer(&self) -> Dialer {
        let host = || Dialer::new(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
        self.dialer.clone().unwrap_or_else(host)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The child sees the end of the socket, kills what it runs, and ends. An error here means
        // that it has ended already.
        let Some(child) = &mut self.child else { return };
        let _ = locked(&self.control).shutdown(std::net::Shutdown::Both);
        let _ = child.wait();
        if self.ended.is_none() {
            self.end_what_is_left();
        }
    }
}

fn signal_by(control: &Mutex<UnixStream>, signal: i32) -> io::Result<()> {
    match wire::send(&locked(control), &Request::Signal(signal), &[]) {
        Err(error) if gone(&error) => Ok(()),
        result => result,
    }
}

/// Whether the other side has ended.
fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected
    )
}

/// A dialer that has its sockets made by the child, which can enter the namespace, and connects them
/// itself, so that a slow connection holds up nobody.
fn remote_dialer(sockets: UnixStream) -> Dialer {
    let sockets = Mutex::new(sockets);
    Dialer::new(move |port| {
        let socket = network::ask(&locked(&sockets))?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        rustix::net::connect(&socket, &address)?;
        Ok(socket.into())
    })
}

/// A lock whose holder panicked is still a socket.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost(error: io::Error) -> Error {
    if gone(&error) {
        return vanished();
    }
    Error::new(
        ErrorKind::System,
        "talk to the process that watches the sandbox",
    )
    .because(error)
}

fn vanished() -> Error {
    Error::new(
        ErrorKind::System,
        "the process that watches the sandbox was killed",
    )
}
