//! One more process beside another: in its namespaces and its root.
//!
//! ```text
//! caller ──socket── door (its user namespace, else the host's) ──fork── process (all of them)
//! ```
//!
//! The door stays where nobody inside can see it. Until the program is executed the process is not
//! dumpable: else somebody inside could reach this program's file and memory by it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, set_dumpable_behavior};
use rustix::thread::{
    ThreadNameSpaceType, move_into_thread_name_spaces, set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};

use super::door::{self, system};
use super::inside::{self, Last, Tell};
use super::start::{self, Handle};
use super::streams::Streams;
use super::watch::{self, Watched};
use super::wire::{self, Reply};
use super::{guard, ids, sys};
use crate::entry::CALL;
use crate::peer::stat;
use crate::{Dialer, Error, ErrorKind, IdMap, IdRange, Incoming, Io, Peer, Process, Running};

/// What the caller says.
#[derive(Serialize, Deserialize)]
struct Order {
    peer: Peer,
    process: Process,
    privileged: bool,
    detached: bool,
}

/// The caller's side.
pub(crate) fn enter(
    peer: &Peer,
    process: &Process,
    privileged: bool,
    io: Io,
) -> Result<Handle, Error> {
    launch(peer, process, privileged, false, io)
}

/// The same for one that outlives the caller.
pub(crate) fn enter_detached(
    peer: &Peer,
    process: &Process,
    privileged: bool,
    io: Io,
) -> Result<u32, Error> {
    // The child that is waited for has ended: what watches is a child of its own.
    launch(peer, process, privileged, true, io).map(|handle| handle.pid())
}

fn launch(
    peer: &Peer,
    process: &Process,
    privileged: bool,
    detached: bool,
    io: Io,
) -> Result<Handle, Error> {
    start::refuse_process(process, &io)?;
    let order = Order {
        peer: *peer,
        process: process.clone(),
        privileged,
        detached,
    };
    let mut child = start::quiet(super::ENTER, None)?;
    let named = serde_json::to_string(peer);
    child.arg(named.map_err(|error| system("name the process", error))?);
    let (mut handle, _) = start::launch(child, None, &order, io)?;
    handle.tied = !detached;
    handle.dialer = Some(Dialer::new(|_| {
        let what = "connections are made by who started the first process";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }));
    Ok(handle)
}

/// The door.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { socket, args } = incoming;
    // What fails here fails below again, with a reason.
    let _ = execute_guarded(&socket, &args);
    door::serve(&socket, carry_out)
}

/// In a user namespace that this process may enter it may do what it could not outside: execute this
/// program anew from where nobody inside can write to it. Returns where there is no need, or no way.
fn execute_guarded(socket: &UnixStream, args: &[OsString]) -> Option<()> {
    if guard::is_guarded() {
        return None;
    }
    let named = args.first()?;
    let peer: Peer = serde_json::from_slice(named.as_encoded_bytes()).ok()?;
    let target = Target::open(&peer).ok()?;
    if !target.differ.contains(ThreadNameSpaceType::USER) {
        return None;
    }
    target.enter_user().ok()?;
    let own = guard::own().ok()?;
    let socket = OwnedFd::from(socket.try_clone().ok()?);
    let _ = Command::new(format!("/proc/self/fd/{}", own.as_raw_fd()))
        .arg0(CALL)
        .args([OsStr::new(super::ENTER), named])
        .stdin(socket)
        .exec();
    None
}

fn carry_out(control: &UnixStream, order: Order, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
    let detached = order.detached;
    let (streams, dial) = Streams::new(descriptors)?;
    let fork = || sys::fork().map_err(|error| system("fork", error));
    if detached && fork()?.is_some() {
        // The caller waits for this one alone.
        sys::exit(0);
    }
    let target = Target::open(&order.peer)?;
    if let Some(map) = &target.map {
        ids::mapped(&order.process.user, map)?;
    }
    target.enter_user()?;
    target.enter(ThreadNameSpaceType::PROCESS_ID)?;
    let (hear, tell) = door::ways(order.process.terminal)?;
    let Some(pid) = fork()? else {
        // Else it would not be told of this process's end.
        drop(hear);
        inside::reported(&tell, || execute(order, &target, &streams, &tell));
    };
    drop((streams, tell));
    let terminal = door::prepared(control, &hear, pid)?;
    let started = Reply::Started {
        pid: pid.as_raw_nonzero().get().unsigned_abs(),
        outward: None,
    };
    // A caller that has gone is seen when the process is watched.
    let _ = wire::send(control, &started, &door::beside(terminal.as_ref()));
    if detached {
        return watch::outlast(pid, terminal).map(drop);
    }
    drop(terminal);
    let ended = watch::watch(&Watched {
        control,
        dial: &dial,
        own_network: false,
        pid,
        exit: None,
    })?;
    let _ = wire::send(control, &Reply::Ended(ended.into()), &[]);
    Ok(())
}

/// The last steps of the process itself.
fn execute(order: Order, target: &Target, streams: &Streams, tell: &Tell) -> Result<(), Error> {
    let Order {
        process,
        privileged,
        detached,
        ..
    } = order;
    if !detached {
        inside::die_with_parent(&tell.report)?;
    }
    target.enter(BESIDE)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let pty = inside::terminal(&process, tell)?;
    let last = Last {
        process: &process,
        map: target.map.as_ref(),
        privileged,
        tied: !detached,
        streams,
        pty: pty.as_ref(),
        ulimits: &[],
    };
    last.execute(tell)
}

/// A process whose namespaces are to be entered.
pub(super) struct Target {
    peer: Peer,
    pidfd: OwnedFd,
    /// Those of its namespaces that are not ours.
    differ: ThreadNameSpaceType,
    /// The ids of its user namespace, where those are not all.
    map: Option<IdMap>,
}

const KINDS: &[(&str, ThreadNameSpaceType)] = &[
    ("user", ThreadNameSpaceType::USER),
    ("mnt", ThreadNameSpaceType::MOUNT),
    ("pid", ThreadNameSpaceType::PROCESS_ID),
    ("net", ThreadNameSpaceType::NETWORK),
    ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
    ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
];

/// What the process itself enters.
const BESIDE: ThreadNameSpaceType = ThreadNameSpaceType::MOUNT
    .union(ThreadNameSpaceType::NETWORK)
    .union(ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION)
    .union(ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME)
    .union(ThreadNameSpaceType::CONTROL_GROUP);

impl Target {
    /// From here on this process is not dumpable.
    pub(super) fn open(peer: &Peer) -> Result<Self, Error> {
        hide()?;
        let ended = || ended(peer.pid);
        let found = Self::of(peer.pid);
        // Looked at after it was opened, so that what was opened is this one.
        if !peer.is_running() {
            return Err(ended());
        }
        let found = match found {
            Err(Errno::ACCESS | Errno::PERM) => Self::of_child(peer.pid),
            found => found,
        };
        found.map_err(|error| match error {
            Errno::SRCH | Errno::NOENT => ended(),
            _ if is_ending(peer) => ended(),
            error => failed(io::Error::from(error)),
        })
    }

    fn of(pid: u32) -> Result<Self, Errno> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(number.ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
        let mut differ = ThreadNameSpaceType::empty();
        for (name, kind) in KINDS {
            let Ok(own) = fs::metadata(format!("/proc/self/ns/{name}")) else {
                // This kernel has no such namespaces.
                continue;
            };
            let theirs =
                fs::metadata(format!("/proc/{pid}/ns/{name}")).map_err(|error| errno(&error))?;
            if (own.dev(), own.ino()) != (theirs.dev(), theirs.ino()) {
                differ |= *kind;
            }
        }
        Ok(Self {
            peer: Peer::new(pid),
            pidfd,
            differ,
            map: id_map(pid)?,
        })
    }

    /// An init hides itself from everybody but the host's root; its process does not, and is in the
    /// same namespaces.
    fn of_child(pid: u32) -> Result<Self, Errno> {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let mut children = children
            .split_ascii_whitespace()
            .filter_map(|child| child.parse().ok());
        let first = children.next().ok_or(Errno::ACCESS)?;
        let found = Self::of(first)?;
        match stat(first) {
            Some(child) if child.parent == pid => Ok(found),
            _ => Err(Errno::SRCH),
        }
    }

    /// Enters those of `kinds` that are not ours.
    pub(super) fn enter(&self, kinds: ThreadNameSpaceType) -> Result<(), Error> {
        let kinds = kinds & self.differ;
        if kinds.is_empty() {
            return Ok(());
        }
        move_into_thread_name_spaces(self.pidfd.as_fd(), kinds).map_err(|error| match error {
            Errno::SRCH => ended(self.peer.pid),
            _ if is_ending(&self.peer) => ended(self.peer.pid),
            error => failed(error.into()),
        })
    }

    /// Enters its user namespace, where that is another: as user 0 with all capabilities.
    pub(super) fn enter_user(&self) -> Result<(), Error> {
        if !self.differ.contains(ThreadNameSpaceType::USER) {
            return Ok(());
        }
        self.enter(ThreadNameSpaceType::USER)?;
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)
            .and_then(|()| set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))
            .map_err(|error| failed(error.into()))?;
        hide()
    }
}

/// The ids of a process's user namespace, those inside at least as they are; `None` for all that
/// there are.
fn id_map(pid: u32) -> Result<Option<IdMap>, Errno> {
    let ranges = |name: &str| {
        let text =
            fs::read_to_string(format!("/proc/{pid}/{name}")).map_err(|error| errno(&error))?;
        text.lines()
            .map(|line| range(line).ok_or(Errno::IO))
            .collect::<Result<Vec<IdRange>, _>>()
    };
    let map = IdMap {
        uids: ranges("uid_map")?,
        gids: ranges("gid_map")?,
    };
    let all = map.uids.iter().any(|range| range.count == u32::MAX);
    Ok((!all).then_some(map))
}

fn range(line: &str) -> Option<IdRange> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(IdRange {
        inside: next()?,
        outside: next()?,
        count: next()?,
    })
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn hide() -> Result<(), Error> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| system("hide this process", error))
}

/// Whether it has ended or does so now: of such a one the kernel refuses to show anything, even before
/// it is seen that it has ended.
fn is_ending(peer: &Peer) -> bool {
    const LOOKS: u32 = 50;
    for _ in 0..LOOKS {
        if !peer.is_running() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn ended(pid: u32) -> Error {
    let what = format!("process {pid} does not run any more");
    Error::new(ErrorKind::Ended, what)
}

fn failed(error: io::Error) -> Error {
    system("enter the namespaces of the process", error)
}
