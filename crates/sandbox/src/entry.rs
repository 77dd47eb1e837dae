//! Doors: how a program's own children come in.
//!
//! A process with threads can neither fork safely nor enter namespaces. So such work is done by a
//! child that executes the program anew and comes in by a door, before anything else has run. The
//! child has a socket to its parent as its standard input and nothing else of it.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name under which a child is executed, which tells it from a run by a user.
pub(crate) const CALL: &str = "sandbox-door";

/// The same for a child that is to enter a user namespace first.
const CALL_INSIDE: &str = "sandbox-door-inside";

/// Whether this program calls [`entry`]: else executing it anew would run the program itself again.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// A way in for a child: its name, and what it does. What `run` returns is its exit code.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Door {
    pub name: &'static str,
    pub run: fn(Incoming) -> i32,
}

/// What a child that comes in by a door has.
#[derive(Debug)]
pub struct Incoming {
    /// The socket to the parent. When it ends, the parent has let go or died.
    #[cfg(unix)]
    pub socket: std::os::unix::net::UnixStream,
    /// The arguments that the parent gave.
    pub args: Vec<OsString>,
}

/// The first line of `main`. When this process is a child that comes in by one of `doors` (or by the
/// sandbox's own), this does the child's work and ends the process; otherwise it returns.
///
/// ```no_run
/// # fn program() {}
/// kiln_sandbox::entry(&[]);
/// program(); // whatever it does otherwise
/// ```
pub fn entry(doors: &[Door]) {
    // Before the doors: what comes in by one may open others.
    ENTERED.store(true, Ordering::Release);
    let mut args = std::env::args_os();
    let called = args.next();
    #[cfg(target_os = "linux")]
    if matches!(&called, Some(name) if name == CALL || name == CALL_INSIDE) {
        // What whoever called the parent left open by accident must not live as long as this does.
        crate::linux::close_inherited();
    }
    #[cfg(unix)]
    program::keep();
    match called {
        Some(name) if name == CALL => std::process::exit(come_in(doors, args, false)),
        Some(name) if name == CALL_INSIDE => std::process::exit(come_in(doors, args, true)),
        _ => {}
    }
}

/// The exit code of a child that no door waits for.
const NO_DOOR: i32 = 70;

#[cfg(unix)]
fn come_in(doors: &[Door], mut args: impl Iterator<Item = OsString>, inside: bool) -> i32 {
    let mut name = args.next();
    let placed = name.as_ref().is_some_and(|name| name == PLACED);
    if placed {
        name = args.next();
    }
    let Some(name) = name else {
        return NO_DOOR;
    };
    let own = own_doors();
    let mut all = doors.iter().chain(own);
    let Some(door) = all.find(|door| name == door.name) else {
        return NO_DOOR;
    };
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return NO_DOOR;
    };
    // The socket is where the door looks for it and nowhere else.
    let null = std::fs::File::open("/dev/null");
    if null.is_ok_and(|null| rustix::stdio::dup2_stdin(null).is_err()) {
        return NO_DOOR;
    }
    let socket = socket.into();
    if inside && !enter(&socket) || placed && !place(&socket) {
        return NO_DOOR;
    }
    (door.run)(Incoming {
        socket,
        args: args.collect(),
    })
}

#[cfg(not(unix))]
fn come_in(_: &[Door], _: impl Iterator<Item = OsString>, _: bool) -> i32 {
    NO_DOOR
}

/// Before the name of a door: the child is to be in a root first.
#[cfg(unix)]
pub(crate) const PLACED: &str = "sandbox-placed";

#[cfg(target_os = "linux")]
use crate::linux::{come_into_place as place, enter_user_namespace as enter};

#[cfg(all(unix, not(target_os = "linux")))]
use enter as place;

#[cfg(all(unix, not(target_os = "linux")))]
fn enter(_: &std::os::unix::net::UnixStream) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn own_doors() -> &'static [Door] {
    crate::linux::DOORS
}

#[cfg(all(unix, not(target_os = "linux")))]
fn own_doors() -> &'static [Door] {
    &[]
}

#[cfg(unix)]
pub use outgoing::{Outgoing, open, open_in};

#[cfg(unix)]
mod outgoing {
    use std::ffi::OsStr;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::Ordering;

    use super::{CALL, CALL_INSIDE, ENTERED, program};
    use crate::{Error, ErrorKind, UserNamespace};

    /// The parent's side of a door.
    #[derive(Debug)]
    #[allow(missing_docs)]
    pub struct Outgoing {
        pub socket: UnixStream,
        pub child: Child,
    }

    /// Executes this program anew by the door `name`. The child's standard input is the socket, its
    /// output goes nowhere, its errors where this program's go.
    ///
    /// The child is not killed when a thread or this process ends: it sees the end of the socket.
    pub fn open<A: AsRef<OsStr>>(
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Outgoing, Error> {
        open_in(None, name, args)
    }

    /// The same with the child in a user namespace before the door's `run` is called: user 0 and
    /// group 0 of it, with all capabilities over it, and single-threaded. It returns when the child
    /// is inside, so that what forbids it is an error here.
    ///
    /// # Errors
    ///
    /// Of kind `Unsupported` when this host forbids user namespaces, or the subordinate ids cannot be
    /// mapped; the message says what mends it.
    pub fn open_in<A: AsRef<OsStr>>(
        namespace: Option<&UserNamespace>,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Outgoing, Error> {
        let mut command = command(name, namespace)?;
        command.args(args).stderr(Stdio::inherit());
        spawn(command, namespace)
    }

    /// A child that comes in by the door `name`, still without its socket.
    pub(crate) fn command(name: &str, namespace: Option<&UserNamespace>) -> Result<Command, Error> {
        if !ENTERED.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::System,
                "this program does not call `kiln_sandbox::entry` first in `main`",
            ));
        }
        let mut command = Command::new(program_in(namespace)?);
        let call = namespace.map_or(CALL, |_| CALL_INSIDE);
        command.arg0(call).arg(name);
        Ok(command)
    }

    /// Gives the child its socket, starts it, and leads it into the namespace that [`command`] was
    /// told of.
    pub(crate) fn spawn(
        mut command: Command,
        namespace: Option<&UserNamespace>,
    ) -> Result<Outgoing, Error> {
        let failed = |error| Error::new(ErrorKind::System, "start a child process").because(error);
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        // Its end of the socket is the child's alone.
        drop(command);
        if let Some(namespace) = namespace
            && let Err(error) = lead_in(&socket, namespace)
        {
            drop(socket);
            let _ = child.wait();
            return Err(error);
        }
        Ok(Outgoing { socket, child })
    }

    #[cfg(target_os = "linux")]
    use crate::linux::lead_into_user_namespace as lead_in;

    #[cfg(not(target_os = "linux"))]
    fn lead_in(_: &UnixStream, _: &UserNamespace) -> Result<(), Error> {
        let what = "user namespaces need Linux";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// The file that such a child executes; it is there as long as the namespace.
    fn program_in(namespace: Option<&UserNamespace>) -> Result<PathBuf, Error> {
        #[cfg(target_os = "linux")]
        if let Some(namespace) = namespace {
            let guarded = namespace.held(|made| made.program.as_ref().map(program::by_number))?;
            if let Some(guarded) = guarded {
                return Ok(guarded);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = namespace;
        program::path().map_err(program_error)
    }

    fn program_error(error: io::Error) -> Error {
        Error::new(ErrorKind::System, "find this program's own file").because(error)
    }
}

#[cfg(all(unix, target_os = "linux"))]
pub(crate) use outgoing::{command, spawn};

/// This program's own file.
#[cfg(target_os = "linux")]
mod program {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use rustix::fs::{Mode, OFlags};

    static OWN: OnceLock<OwnedFd> = OnceLock::new();

    /// The same where nobody can write to it, for root.
    static GUARDED: OnceLock<Option<OwnedFd>> = OnceLock::new();

    /// Opens it while it surely is what runs: it may be replaced on disk later.
    pub(super) fn keep() {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open("/proc/self/exe", flags, Mode::empty()) {
            // A second call keeps the first descriptor, which is the same file.
            let _ = OWN.set(file);
        }
    }

    pub(super) fn path() -> io::Result<PathBuf> {
        let own = OWN.get().ok_or(io::ErrorKind::NotFound)?;
        let guarded = GUARDED.get_or_init(|| crate::linux::guarded(own.as_fd()).ok());
        Ok(by_number(guarded.as_ref().unwrap_or(own)))
    }

    pub(super) fn by_number(file: &OwnedFd) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }
}

/// This program's own file.
#[cfg(all(unix, not(target_os = "linux")))]
mod program {
    use std::io;
    use std::path::PathBuf;
    use std::sync::OnceLock;

    static OWN: OnceLock<PathBuf> = OnceLock::new();

    pub(super) fn keep() {
        if let Ok(path) = std::env::current_exe() {
            let _ = OWN.set(path);
        }
    }

    pub(super) fn path() -> io::Result<PathBuf> {
        OWN.get().cloned().ok_or(io::ErrorKind::NotFound.into())
    }
}
