//! The user namespace: made by a child of its own, kept alive by a descriptor, entered by others.
//!
//! ```text
//! program ── child: unshare, passes the descriptor ── newuidmap, newgidmap ── the child ends
//! program ── any later child: gets the descriptor first of all, enters, and goes on by its door
//! ```

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, UnshareFlags, capabilities, move_into_link_name_space,
    set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};

use super::{guard, sys, wire};
use crate::entry::{command, spawn};
use crate::error::Report;
use crate::{
    Error, ErrorKind, IdMap, IdRange, Incoming, Outgoing, UserNamespace, descriptors, installed,
};

/// The name of the door by which a namespace is made.
pub(crate) const NAMESPACE: &str = "sandbox-namespace";

/// Ends every message about what a host lacks.
pub(crate) const DOCTOR: &str = "see `kiln doctor`";

/// Whether this program may do everything, in its own namespaces at least.
pub(crate) fn is_root() -> bool {
    let admin =
        |sets: rustix::thread::CapabilitySets| sets.effective.contains(CapabilitySet::SYS_ADMIN);
    rustix::process::geteuid().is_root() && capabilities(None).is_ok_and(admin)
}

/// What a child says: the namespace has been made (the descriptor is beside it), or entered.
#[derive(Serialize, Deserialize)]
enum Said {
    Done,
    Failed(Report),
}

pub(super) fn hear(from: &UnixStream) -> Result<Vec<OwnedFd>, Error> {
    match wire::receive(from).map_err(lost)? {
        Some((Said::Done, descriptors)) => Ok(descriptors),
        Some((Said::Failed(report), _)) => Err(report.into()),
        None => Err(lost(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Whether it went well and the parent knows it.
pub(super) fn say(to: &UnixStream, result: Result<Vec<OwnedFd>, Error>) -> bool {
    let (said, made) = match result {
        Ok(made) => (Said::Done, made),
        Err(error) => (Said::Failed(error.into()), Vec::new()),
    };
    let beside: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
    wire::send(to, &said, &beside).is_ok() && matches!(said, Said::Done)
}

fn lost(error: io::Error) -> Error {
    let what = "talk to the child that makes or enters the user namespace";
    Error::new(ErrorKind::System, what).because(error)
}

/// A namespace; it lasts as long as its descriptor.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) namespace: OwnedFd,
    /// This program's file, for children that are to be in it.
    pub(crate) program: Option<OwnedFd>,
}

/// Makes a namespace with these ids.
pub(crate) fn make(map: &IdMap) -> Result<Made, Error> {
    let mut command = command(NAMESPACE, None)?;
    command.stderr(Stdio::null());
    if map.is_single() {
        command.args([lines(&map.uids), lines(&map.gids)]);
    }
    let Outgoing { socket, mut child } = spawn(command, None)?;
    let made = hear(&socket).and_then(|descriptors| {
        let mut descriptors = descriptors.into_iter();
        let made = Made {
            namespace: descriptors
                .next()
                .ok_or_else(|| lost(io::ErrorKind::InvalidData.into()))?,
            program: descriptors.next(),
        };
        if !map.is_single() {
            give("newuidmap", child.id(), &map.uids)?;
            give("newgidmap", child.id(), &map.gids)?;
        }
        Ok(made)
    });
    drop(socket);
    child.wait().map_err(lost)?;
    made
}

/// As the kernel reads a map.
fn lines(ranges: &[IdRange]) -> String {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    ranges.iter().map(line).collect()
}

/// Has one of the two helpers, which may do what this user may not, write a map.
fn give(helper: &str, pid: u32, ranges: &[IdRange]) -> Result<(), Error> {
    let failed = |said: &str| {
        let what = format!("map the subordinate ids of this user: {said}\n{DOCTOR}");
        Error::new(ErrorKind::Unsupported, what)
    };
    let program = installed::program(helper)
        .ok_or_else(|| failed(&format!("`{helper}` is not installed")))?;
    let numbers = ranges
        .iter()
        .flat_map(|range| [range.inside, range.outside, range.count]);
    let ran = Command::new(program)
        .arg(pid.to_string())
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&format!("execute `{helper}`: {error}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    match said.trim() {
        "" => Err(failed(&format!("`{helper}` failed, {}", ran.status))),
        said => Err(failed(said)),
    }
}

/// The door by which a namespace is made.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { mut socket, args } = incoming;
    let made = || {
        sys::unshare(UnshareFlags::NEWUSER).map_err(|error| forbidden(&error))?;
        if let [uids, gids] = &args[..] {
            let write = |file: &str, text: &[u8]| fs::write(format!("/proc/self/{file}"), text);
            // The kernel's condition for a map that a user without privileges writes.
            write("setgroups", b"deny")
                .and_then(|()| write("uid_map", uids.as_encoded_bytes()))
                .and_then(|()| write("gid_map", gids.as_encoded_bytes()))
                .map_err(|error| forbidden(&error))?;
        }
        let own = fs::File::open("/proc/self/ns/user").map_err(|error| forbidden(&error))?;
        // Without it children are executed from the file as it lies there.
        Ok([own.into()].into_iter().chain(guard::own()).collect())
    };
    if !say(&socket, made()) {
        return 1;
    }
    // Until the ids are mapped, or the parent has gone.
    let _ = socket.read(&mut [0]);
    0
}

/// Gives the namespace to a child that waits for it in [`enter`], and hears whether it is inside.
pub(crate) fn lead_in(socket: &UnixStream, namespace: &UserNamespace) -> Result<(), Error> {
    namespace
        .held(|made| descriptors::send(socket, &[1], &[made.namespace.as_fd()]))?
        .map_err(lost)?;
    hear(socket).map(drop)
}

/// The child's side of [`lead_in`]: from here on it is root, in the namespace. The groups that it has
/// beside stay, unmapped, so that it can go where the user may go by them.
pub(crate) fn enter(socket: &UnixStream) -> bool {
    let enter = || {
        let (_, mut given) = descriptors::receive(socket, &mut [0])?;
        let namespace = given.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User))?;
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
        Ok(Vec::new())
    };
    let failed =
        |error: io::Error| Error::new(ErrorKind::System, "enter the user namespace").because(error);
    say(socket, enter().map_err(failed))
}

/// Why the kernel made no namespace, or one in which nothing is allowed.
pub(crate) fn forbidden(error: &io::Error) -> Error {
    let why = knob().map_or_else(String::new, |knob| {
        let (name, value, mend) = (knob.name(), knob.value, knob.mend);
        format!("`{name}` is {value} on this host: `sysctl -w {mend}` allows it\n")
    });
    let what = format!("make a user namespace: {}", crate::error::plain(error));
    Error::new(ErrorKind::Unsupported, format!("{what}\n{why}{DOCTOR}"))
}

/// A setting of the kernel that forbids user namespaces when it has this value.
pub(crate) struct Knob {
    file: &'static str,
    pub(crate) value: &'static str,
    /// What is to be set instead.
    pub(crate) mend: &'static str,
}

impl Knob {
    pub(crate) fn name(&self) -> String {
        self.file.replace('/', ".")
    }
}

const KNOBS: [Knob; 3] = [
    Knob {
        file: "user/max_user_namespaces",
        value: "0",
        mend: "user.max_user_namespaces=15000",
    },
    Knob {
        file: "kernel/unprivileged_userns_clone",
        value: "0",
        mend: "kernel.unprivileged_userns_clone=1",
    },
    Knob {
        file: "kernel/apparmor_restrict_unprivileged_userns",
        value: "1",
        mend: "kernel.apparmor_restrict_unprivileged_userns=0",
    },
];

/// The setting of this host that forbids them to its users.
pub(crate) fn knob() -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| {
        let text = fs::read_to_string(format!("/proc/sys/{}", knob.file));
        text.is_ok_and(|text| text.trim() == knob.value)
    })
}
