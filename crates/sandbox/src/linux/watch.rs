//! Watching over a process that runs: passes signals on, hands out sockets, waits for the end. When
//! the caller has gone it kills the process, unless it let go of it before.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal, waitpid,
};

use super::door::system;
use super::wire::{self, Reply, Request};
use super::{network, sys};
use crate::{Error, Exit, Peer};

/// What is watched, and who may ask for what.
pub(crate) struct Watched<'a> {
    pub(crate) control: &'a UnixStream,
    pub(crate) dial: &'a UnixStream,
    /// Whether this process is in the network of the process, and not in the host's.
    pub(crate) own_network: bool,
    pub(crate) pid: Pid,
    /// Where an init tells how its process ended.
    pub(crate) exit: Option<&'a OwnedFd>,
}

/// Returns when the process has ended.
pub(crate) fn watch(watched: &Watched<'_>) -> Result<Exit, Error> {
    let pidfd = pidfd_open(watched.pid, PidfdFlags::empty());
    let pidfd = pidfd.map_err(|error| system("watch the process", error))?;
    let mut dial = watched.own_network;
    loop {
        let mut polled = vec![
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(watched.control, PollFlags::IN),
        ];
        if dial {
            polled.push(PollFd::new(watched.dial, PollFlags::IN));
        }
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            result => result.map_err(|error| system("watch the process", error))?,
        };
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        if ready[1]
            && let Caller::Left(terminal) = obey(watched)
        {
            return outlast(watched.pid, terminal).map(|exit| told(watched.exit).unwrap_or(exit));
        }
        if ready.get(2) == Some(&true) && !matches!(network::serve(watched.dial), Ok(true)) {
            dial = false;
        }
        if ready[0] {
            return reap(watched.pid)
                .map(|exit| told(watched.exit).unwrap_or(exit))
                .map_err(|error| system("wait for the process", error));
        }
    }
}

/// Whether the caller still has a say.
enum Caller {
    Stays,
    /// With the terminal that it read before.
    Left(Option<OwnedFd>),
}

/// Carries out one request of the caller.
fn obey(watched: &Watched<'_>) -> Caller {
    let signal = match wire::receive(watched.control) {
        Ok(Some((Request::Signal(signal), _))) => signal,
        Ok(Some((Request::Leave, mut terminal))) => {
            // Who wants a connection all the same is refused, and does not wait.
            let _ = watched.dial.shutdown(Shutdown::Both);
            // A caller that has gone meanwhile wanted just this.
            let _ = wire::send(watched.control, &Reply::Left, &[]);
            return Caller::Left(terminal.pop());
        }
        // It has gone, or cannot be understood.
        Ok(None) | Err(_) => libc::SIGKILL,
    };
    // A process that has ended is not reaped before this function's caller does it, so its id
    // cannot be another's; the error for a signal that does not exist changes nothing.
    let _ = sys::kill(watched.pid, signal);
    Caller::Stays
}

/// Waits for the end of a process that nobody else cares for. What it writes to its terminal is read
/// and lost, so that it never waits for a reader.
pub(crate) fn outlast(pid: Pid, mut terminal: Option<OwnedFd>) -> Result<Exit, Error> {
    let failed = |error: Errno| system("watch the process", error);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
    if let Some(terminal) = &terminal {
        // What was there when it was looked at, another may have read meanwhile.
        rustix::io::ioctl_fionbio(terminal, true).map_err(failed)?;
    }
    loop {
        let mut polled = vec![PollFd::new(&pidfd, PollFlags::IN)];
        polled.extend(terminal.iter().map(|one| PollFd::new(one, PollFlags::IN)));
        rustix::io::retry_on_intr(|| poll(&mut polled, None)).map_err(failed)?;
        if !polled[0].revents().is_empty() {
            return reap(pid).map_err(|error| system("wait for the process", error));
        }
        let mut lost = [0; 4096];
        let read = terminal
            .as_ref()
            .map(|one| rustix::io::read(one, &mut lost));
        // An error of another kind: no process has it open any more.
        if !matches!(read, Some(Ok(1..) | Err(Errno::AGAIN | Errno::INTR))) {
            terminal = None;
        }
    }
}

/// Waits for the end of a process.
pub(crate) fn reap(pid: Pid) -> io::Result<Exit> {
    let wait = || waitpid(Some(pid), WaitOptions::empty());
    let status = rustix::io::retry_on_intr(wait)?;
    Ok(status.map_or(Exit::Code(0), |(_, status)| exit(status)))
}

/// How long somebody who was killed may take to be gone, in seconds.
const GONE: i64 = 5;

/// Kills a process that is nobody's child here: that of a watcher which was killed itself.
pub(crate) fn kill_peer(peer: &Peer) {
    let pid = i32::try_from(peer.pid).ok().and_then(Pid::from_raw);
    let (Some(pid), Some(_)) = (pid, peer.born) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    // Looked at after it was opened, so that what was opened is this one.
    if !peer.is_running() || pidfd_send_signal(&pidfd, Signal::KILL).is_err() {
        return;
    }
    let patience = Timespec {
        tv_sec: GONE,
        tv_nsec: 0,
    };
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience));
}

/// How a process ended.
pub(crate) fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(0),
    }
}

/// What an init told of its process before it ended itself.
fn told(pipe: Option<&OwnedFd>) -> Option<Exit> {
    let mut status = [0; 4];
    match rustix::io::read(pipe?.as_fd(), &mut status) {
        Ok(4) => Some(super::init::decode(i32::from_le_bytes(status))),
        _ => None,
    }
}
