//! Work on the files of a root: a child that stands in it, by a door of the caller's.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, fstatfs, open, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};
use serde::{Deserialize, Serialize};

use super::door::{caught, system};
use super::enter::Target;
use super::{given, mounts, root, sys, userns, wire};
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
    let proc = open("/proc", FOLDER, Mode::empty())
        .map_err(|error| system("open `/proc` of the host", error))?;
    match order {
        Order::Running(peer) => running(peer)?,
        Order::Root { root, mounts } => prepared(root, mounts)?,
    }
    rustix::process::chdir("/").map_err(|error| system("enter the root", error))?;
    cover(proc).map_err(|error| system("leave the kernel's file systems out", error))
}

const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Puts nothing upon each `/proc`, wherever it is mounted: by links in it a path would lead out of
/// the root. And upon each `/sys`, because it is not the root's either. They cannot be taken away:
/// what a user bound of the host's is locked to what it lies in.
fn cover(proc: OwnedFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut text = String::new();
    File::from(openat(&proc, "self/mountinfo", flags, Mode::empty())?).read_to_string(&mut text)?;
    drop(proc);
    for path in text.lines().filter_map(kernels) {
        let found = match open(path, FOLDER, Mode::empty()) {
            Ok(found) => found,
            // Covered already, with what it lies in; or a single file, which leads nowhere.
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => return Err(error.into()),
        };
        if !KERNELS.contains(&i128::from(fstatfs(&found)?.f_type)) {
            continue;
        }
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        let empty = mounts::filesystem("tmpfs", &[("size", "4k"), ("mode", "755")], attributes)?;
        mounts::put(&empty, found)?;
    }
    Ok(())
}

/// As statfs(2) names proc and sysfs.
pub(super) const KERNELS: &[i128] = &[0x9fa0, 0x6265_6572];

/// Where a line of `mountinfo` (proc(5)) has one of the two mounted.
fn kernels(line: &str) -> Option<PathBuf> {
    let (mount, file_system) = line.split_once(" - ")?;
    let kind = file_system.split(' ').next()?;
    let path = mount.split(' ').nth(4)?;
    ["proc", "sysfs"]
        .contains(&kind)
        .then(|| OsString::from_vec(unescaped(path.as_bytes())).into())
}

/// Blanks and the like stand there as three octal digits behind a backslash.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| byte == b'\\');
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(number) => {
                plain.push(number);
                rest = &behind[3..];
            }
            None => {
                plain.push(byte);
                rest = behind;
            }
        }
    }
    plain
}

/// A copy of what the process sees.
fn running(peer: &Peer) -> Result<(), Error> {
    let target = Target::open(peer)?;
    target.enter_user()?;
    target.enter(ThreadNameSpaceType::MOUNT)?;
    own_mounts()
}

fn prepared(spec: &RootSpec, given: &[Mount]) -> Result<(), Error> {
    own_mounts()?;
    let root = root::mounted(spec, false, true)?;
    let given = given::made(given.iter(), false)?;
    root::attach(&root, Path::new("/"))?;
    given::given(&root, &given)?;
    root::enter(&root)
}

fn own_mounts() -> Result<(), Error> {
    sys::unshare(UnshareFlags::NEWNS).map_err(|error| system("make a mount namespace", error))?;
    root::unshare_mounts()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_file_systems_are_found() {
        let line = |path: &str, kind: &str| {
            format!("36 35 98:0 / {path} rw,noatime shared:1 - {kind} none rw,errors=continue")
        };
        for (path, plain) in [
            ("/proc", "/proc"),
            ("/a\\040b\\134", "/a b\\"),
            ("/a\\9", "/a\\9"),
        ] {
            assert_eq!(kernels(&line(path, "proc")), Some(plain.into()), "{path}");
        }
        assert_eq!(kernels(&line("/sys", "sysfs")), Some("/sys".into()));
        assert_eq!(kernels(&line("/proc", "tmpfs")), None);
    }
}
