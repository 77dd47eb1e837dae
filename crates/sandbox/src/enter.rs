//! Into what runs already: one more process beside another, and work on the files of a root.

#[cfg(unix)]
use std::ffi::OsStr;

#[cfg(unix)]
use crate::Outgoing;
use crate::{Error, Io, Mount, Peer, Process, RootSpec, Running, UserNamespace};

/// Starts one more process in the namespaces and the root of `peer`: with its own user, environment,
/// directory, capabilities and filter (none with `privileged`), and a terminal of its own where it
/// asks for one. As `docker exec` does.
///
/// It is killed when the handle is dropped or this program ends; what it started lives on until
/// `peer` ends. [`Running::dialer`] of it fails: that is the affair of who started `peer`.
#[cfg(target_os = "linux")]
pub fn enter(
    peer: &Peer,
    process: &Process,
    privileged: bool,
    io: Io,
) -> Result<Box<dyn Running>, Error> {
    let running = crate::linux::enter(peer, process, privileged, io)?;
    Ok(Box::new(running))
}

/// The same, and it lives on when this program ends. Its id; with a terminal, what it writes there is
/// lost.
#[cfg(target_os = "linux")]
pub fn enter_detached(
    peer: &Peer,
    process: &Process,
    privileged: bool,
    io: Io,
) -> Result<u32, Error> {
    crate::linux::enter_detached(peer, process, privileged, io)
}

/// An error on this platform.
#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Peer, _: &Process, _: bool, _: Io) -> Result<Box<dyn Running>, Error> {
    Err(crate::native::elsewhere())
}

/// An error on this platform.
#[cfg(not(target_os = "linux"))]
pub fn enter_detached(_: &Peer, _: &Process, _: bool, _: Io) -> Result<u32, Error> {
    Err(crate::native::elsewhere())
}

/// What a child is to see as its root.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The root of a process that runs, with what is mounted in it.
    Running(&'a Peer),
    /// A root that no process stands on, with these mounts and none of the sandbox's own. Missing
    /// mount points are made.
    #[allow(missing_docs)]
    Root {
        root: &'a RootSpec,
        mounts: &'a [Mount],
        /// In which the child is; that of this program where `None`.
        namespace: Option<&'a UserNamespace>,
    },
}

/// The same as [`open`](crate::open), with the child in a root before the door's `run` is called:
/// root and working directory are that of `place`, and no path leads out of it. Nothing of the root
/// is executed, and nobody in it sees the child, which has all capabilities, umask 0 and a single
/// thread. Each `/proc` and `/sys` is empty for it, also one that was bound of the host's. For work on files, as `docker cp` does.
///
/// It returns when the child is inside, so that what forbids it is an error here.
#[cfg(target_os = "linux")]
pub fn open_inside<A: AsRef<OsStr>>(
    place: Place<'_>,
    name: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<Outgoing, Error> {
    crate::linux::open_inside(place, name, args)
}

/// An error on this platform.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn open_inside<A: AsRef<OsStr>>(
    _: Place<'_>,
    _: &str,
    _: impl IntoIterator<Item = A>,
) -> Result<Outgoing, Error> {
    Err(crate::native::elsewhere())
}
