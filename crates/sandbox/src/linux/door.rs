//! Behind the door of the built-in runner: takes the order, makes the network, forks process 1 and
//! watches it. It mounts nothing, and is in the network of the process, so that it can reach it.

use std::any::Any;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use serde::de::DeserializeOwned;

use super::cgroup::Cgroup;
use super::inside::Tell;
use super::streams::Streams;
use super::watch::{self, Watched};
use super::wire::{self, Ended, Order, Reply};
use super::{inside, outward, sys, userns};
use crate::error::Report;
use crate::{Error, ErrorKind, IdMap, Incoming, descriptors};

/// The door.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { socket, .. } = incoming;
    serve(&socket, native)
}

/// Takes an order, carries it out, and reports what went wrong.
pub(crate) fn serve<T: DeserializeOwned>(
    control: &UnixStream,
    carry_out: fn(&UnixStream, T, Vec<OwnedFd>) -> Result<(), Error>,
) -> i32 {
    // Out of reach of the terminal's signals: the caller decides what Ctrl-C means. It can only fail
    // for the leader of a group, which a new child is not.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"sandbox");
    let work = || match wire::receive::<T>(control) {
        Ok(Some((order, descriptors))) => carry_out(control, order, descriptors),
        // The caller has gone: there is nothing to do and nobody to tell.
        Ok(None) => Ok(()),
        Err(error) => Err(system("receive the order", error)),
    };
    let Err(error) = caught(work) else { return 0 };
    // A caller that cannot be told has gone.
    let _ = wire::send(control, &Reply::Failed(Report::from(error)), &[]);
    1
}

/// Turns a panic, which would otherwise be seen by nobody, into an error.
pub(crate) fn caught(work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    Error::new(ErrorKind::System, format!("the sandbox panicked: {text}"))
}

/// An ordinary thing that the machine refused.
pub(crate) fn system(what: &str, error: impl Into<io::Error>) -> Error {
    Error::new(ErrorKind::System, what).because(error)
}

fn native(control: &UnixStream, order: Order, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
    let (streams, dial) = Streams::new(descriptors)?;
    let spec = order.spec;
    let last_group = order.ids.as_ref().map_or(u32::MAX, IdMap::last_gid);
    let (network, way) = outward::enter(spec.network, order.pasta.as_deref(), last_group)?;

    let cgroup = Cgroup::make(&spec.limits)?;
    let (hear, tell) = ways(spec.process.terminal)?;
    sys::unshare(UnshareFlags::NEWPID)
        .map_err(|error| no_namespaces(error, order.ids.is_some()))?;
    let Some(pid) = sys::fork().map_err(|error| system("fork", error))? else {
        // Else it would not be told of this process's end.
        drop(hear);
        inside::run(&spec, order.ids.as_ref(), cgroup.as_ref(), &streams, &tell);
    };
    drop((streams, tell));

    let terminal = prepared(control, &hear, pid)?;
    let started = Reply::Started {
        pid: pid.as_raw_nonzero().get().unsigned_abs(),
        outward: way.outward.clone(),
    };
    let _ = wire::send(control, &started, &beside(terminal.as_ref()));
    // Its processes shall see when the caller has let go of it.
    drop(terminal);
    watch::watch(&Watched {
        control,
        dial: &dial,
        own_network: network.is_some(),
        pid,
        exit: spec.init.then_some(&hear.exit),
    })
    .map(|exit| {
        let memory = cgroup.as_ref().is_some_and(Cgroup::out_of_memory);
        drop(cgroup);
        let ended = Ended { exit, memory };
        let _ = wire::send(control, &Reply::Ended(ended), &[]);
    })
}

/// Why there is not even a pid namespace.
fn no_namespaces(error: io::Error, without_root: bool) -> Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return system("make a pid namespace", error);
    }
    if without_root {
        return userns::forbidden(&error);
    }
    let what = "new namespaces need CAP_SYS_ADMIN, which this root does not have";
    Error::new(ErrorKind::Unsupported, what).because(error)
}

/// The door's side of [`Tell`].
pub(super) struct Hear {
    report: OwnedFd,
    exit: OwnedFd,
    terminal: Option<UnixStream>,
}

/// Both sides.
pub(super) fn ways(terminal: bool) -> Result<(Hear, Tell), Error> {
    let failed = |error| system("make a pipe", error);
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let (report, reporter) = pipe().map_err(|error| failed(error.into()))?;
    let (exit, exiter) = pipe().map_err(|error| failed(error.into()))?;
    let sockets = terminal.then(UnixStream::pair).transpose();
    let (ours, theirs) = sockets.map_err(failed)?.unzip();
    let hear = Hear {
        report,
        exit,
        terminal: ours,
    };
    let tell = Tell {
        report: reporter,
        exit: exiter,
        terminal: theirs,
    };
    Ok((hear, tell))
}

/// As what goes beside a message.
pub(super) fn beside(terminal: Option<&OwnedFd>) -> Vec<BorrowedFd<'_>> {
    terminal.into_iter().map(AsFd::as_fd).collect()
}

/// What process 1 writes right before it executes the program.
pub(crate) const AT_THE_EXEC: u8 = b'>';

/// Waits until the program has been executed: then the pipe closes behind [`AT_THE_EXEC`] alone.
/// Gives the master of its terminal, where it has one.
pub(super) fn prepared(
    control: &UnixStream,
    hear: &Hear,
    pid: Pid,
) -> Result<Option<OwnedFd>, Error> {
    let message = heard(control, &hear.report)?;
    let Some(message) = message else {
        return hear.terminal.as_ref().map(master).transpose();
    };
    // It ends by itself now; nothing of it shall be left when the caller hears of it.
    let _ = watch::reap(pid);
    match serde_json::from_slice::<Report>(&message) {
        Ok(report) => Err(report.into()),
        Err(_) => Err(Error::new(
            ErrorKind::System,
            "the process was killed while its root was prepared",
        )),
    }
}

/// The process has sent it long before.
fn master(socket: &UnixStream) -> Result<OwnedFd, Error> {
    let failed = |error: io::Error| system("take the terminal", error);
    let (_, mut given) = descriptors::receive(socket, &mut [0]).map_err(failed)?;
    given
        .pop()
        .ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))
}

/// What the process reports before its pipe closes; `None` when it has executed the program.
fn heard(control: &UnixStream, report: &OwnedFd) -> Result<Option<Vec<u8>>, Error> {
    let mut said = Vec::new();
    let failed = |error| system("hear of the process", error);
    loop {
        let mut polled = [
            PollFd::new(report, PollFlags::IN),
            PollFd::new(control, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result.map_err(failed)?,
        };
        let [heard, caller] = polled.map(|one| one.revents());
        if heard.is_empty() && caller.contains(PollFlags::HUP) {
            // The end of this process takes process 1 with it.
            return Err(Error::new(ErrorKind::System, "the caller has gone"));
        }
        if heard.is_empty() {
            // A request of a caller that did not wait: it is read later.
            let mut only = [PollFd::new(report, PollFlags::IN)];
            let _ = poll(&mut only, None);
        }
        let mut bytes = [0; 4096];
        match rustix::io::read(report.as_fd(), &mut bytes).map_err(failed)? {
            0 => break,
            got => said.extend_from_slice(&bytes[..got]),
        }
    }
    Ok(match said.split_first() {
        Some((&AT_THE_EXEC, [])) => None,
        Some((&AT_THE_EXEC, message)) => Some(message.to_vec()),
        _ => Some(said),
    })
}
