//! Work on the files of a root: a child that stands in it, by a door of the caller's.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::Mode;
use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};
use serde::{Deserialize, Serialize};

use super::door::{caught, system};
use super::enter::Target;
use super::{mounts, root, sys, userns, wire};
use crate::entry::{PLACED, command, spawn};
use crate::{Error, ErrorKind, Mount, Outgoing, Peer, Place, RootSpec};

/// What the caller says.
#[derive(Serialize, Deserialize)]
enum Order<'a> {
    Running(Peer),
    Root {
        root: Cow<'a, RootSpec>,
        mounts: Cow<'a, [Mount]>,
    },
}

/// The caller's side.
pub(crate) fn open_inside<A: AsRef<OsStr>>(
    place: Place<'_>,
    name: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<Outgoing, Error> {
    let (order, namespace) = match place {
        Place::Running(peer) => (Order::Running(*peer), None),
        Place::Root {
            root,
            mounts,
            namespace,
        } => {
            let (root, mounts) = (Cow::Borrowed(root), Cow::Borrowed(mounts));
            (Order::Root { root, mounts }, namespace)
        }
    };
    let mut command = command(PLACED, namespace)?;
    command.arg(name).args(args).stderr(Stdio::inherit());
    let Outgoing { socket, mut child } = spawn(command, namespace)?;
    let inside = wire::send(&socket, &order, &[])
        .map_err(|error| system("give a child its order", error))
        .and_then(|()| userns::hear(&socket));
    if let Err(error) = inside {
        drop(socket);
        // Its code says no more than the error.
        let _ = child.wait();
        return Err(error);
    }
    Ok(Outgoing { socket, child })
}

/// The child's side, before its door. Whether it stands in the root.
pub(crate) fn come_in(socket: &UnixStream) -> bool {
    let work = || match wire::receive::<Order<'_>>(socket) {
        Ok(Some((order, _))) => enter(&order),
        Ok(None) => Err(Error::new(ErrorKind::System, "the caller has gone")),
        Err(error) => Err(system("receive the order", error)),
    };
    userns::say(socket, caught(work).map(|()| Vec::new()))
}

fn enter(order: &Order<'_>) -> Result<(), Error> {
    rustix::process::umask(Mode::empty());
    match order {
        Order::Running(peer) => running(peer)?,
        Order::Root { root, mounts } => prepared(root, mounts)?,
    }
    rustix::process::chdir("/").map_err(|error| system("enter the root", error))
}

/// A copy of what the process sees. The kernel's own file systems are not in it: by links in them a
/// path could lead out of the root, into the file of the init for one.
fn running(peer: &Peer) -> Result<(), Error> {
    let target = Target::open(peer)?;
    target.enter_user()?;
    target.enter(ThreadNameSpaceType::MOUNT)?;
    own_mounts()?;
    for path in ["/proc", "/sys"] {
        match unmount(path, UnmountFlags::DETACH) {
            // Nothing is mounted there.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(system("leave the kernel's file systems out", error)),
        }
    }
    Ok(())
}

fn prepared(spec: &RootSpec, given: &[Mount]) -> Result<(), Error> {
    own_mounts()?;
    let root = root::mounted(spec, false, true)?;
    let given = mounts::open(given.iter(), false)?;
    root::attach(&root, Path::new("/"))?;
    mounts::given(&root, given)?;
    root::enter(&root)
}

fn own_mounts() -> Result<(), Error> {
    sys::unshare(UnshareFlags::NEWNS).map_err(|error| system("make a mount namespace", error))?;
    root::unshare_mounts()
}
