//! What the sandbox itself mounts in the root: `/proc`, `/sys` and `/dev` as docker has them. It never
//! goes by a path of the host's into the root: targets are opened inside it, and mounts are moved upon
//! what was opened.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::device;
use super::given::missing;
use super::root::Root;
use super::sys::{self, MountAttr};
use super::userns;
use crate::{Error, ErrorKind, IdMap, Spec};

pub(super) const SAFE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// What of `/proc` tells too much of the host.
pub(super) const MASKED: &[&str] = &[
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// What of `/proc` would change the host.
pub(super) const READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// The same of `/sys`, which is read-only as a whole.
pub(super) const MASKED_SYS: &[&str] = &["firmware", "devices/virtual/powercap"];

pub(super) fn failed(target: &Path) -> impl FnOnce(io::Error) -> Error {
    let target = target.to_owned();
    move |error| {
        let what = format!("mount on `{}`", target.display());
        Error::new(ErrorKind::Mount, what).because(error).at(target)
    }
}

/// The sandbox's own.
pub(crate) fn own(
    root: &Root,
    spec: &Spec,
    own_cgroup: bool,
    map: Option<&IdMap>,
) -> Result<(), Error> {
    proc(root, spec.privileged).map_err(|error| no_proc(error, map.is_some()))?;
    sys(root, spec.privileged, own_cgroup).map_err(failed(Path::new("/sys")))?;
    let shm = spec.limits.shm;
    device::mount(root, spec.privileged, shm, map).map_err(failed(Path::new("/dev")))
}

/// In a user namespace the kernel shows no more of `/proc` than is seen outside.
fn no_proc(error: io::Error, without_root: bool) -> Error {
    let target = Path::new("/proc");
    if !without_root || error.kind() != io::ErrorKind::PermissionDenied {
        return failed(target)(error);
    }
    let what = format!(
        "mount on `/proc`: {}\nparts of this host's own `/proc` are covered, as in a container, and \
         then the kernel allows no new one without root\n{}",
        crate::error::plain(&error),
        userns::DOCTOR,
    );
    Error::new(ErrorKind::Unsupported, what).at(target)
}

/// Looks whether the sandbox's own targets are there, for another who mounts on them.
pub(crate) fn own_targets(root: &Root) -> Result<(), Error> {
    for point in crate::mount_points() {
        let name = point.path.trim_start_matches('/');
        own_target(root, name).map_err(failed(Path::new(point.path)))?;
    }
    Ok(())
}

/// One of the sandbox's own targets: an ordinary directory, for a link there would only be meant to
/// mislead.
pub(super) fn own_target(root: &Root, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(&root.top, name, flags, Mode::empty());
    match open() {
        Err(Errno::NOENT) if root.create => {
            mkdirat(&root.top, name, Mode::from_raw_mode(0o755))?;
            Ok(open()?)
        }
        Err(Errno::NOENT) => Err(missing()),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "it must be an ordinary directory in the image",
        )),
        result => Ok(result?),
    }
}

/// A new file system, attached nowhere.
pub(super) fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", kind)?;
    for (name, value) in options {
        fsconfig_set_string(&context, *name, *value)?;
    }
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// Puts a mount upon what is open as `target`.
pub(super) fn put(mount: &OwnedFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// A second mount of what is at `path` below `directory`.
pub(super) fn again(directory: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(directory, path, flags)?)
}

/// An entry of one of the sandbox's own file systems.
pub(super) fn entry(directory: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(directory, path, flags, Mode::empty())?)
}

fn proc(root: &Root, privileged: bool) -> io::Result<()> {
    let proc = filesystem("proc", &[], SAFE)?;
    put(&proc, own_target(root, "proc")?)?;
    if privileged {
        return Ok(());
    }
    mask(&proc, MASKED)?;
    let attr = MountAttr {
        set: sys::MOUNT_READ_ONLY | sys::MOUNT_NO_SUID | sys::MOUNT_NO_DEV | sys::MOUNT_NO_EXEC,
        ..MountAttr::default()
    };
    for path in READ_ONLY {
        let Some(target) = present(entry(&proc, path))? else {
            continue;
        };
        let mount = again(&proc, path)?;
        sys::mount_setattr(mount.as_fd(), true, &attr)?;
        put(&mount, target)?;
    }
    Ok(())
}

/// Not every kernel has everything.
fn present(found: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Hides entries: an empty directory over a directory, the null device over anything else.
fn mask(within: &OwnedFd, paths: &[&str]) -> io::Result<()> {
    let mut cover = None;
    for path in paths {
        let Some(target) = present(entry(within, path))? else {
            continue;
        };
        if FileType::from_raw_mode(fstat(&target)?.st_mode) != FileType::Directory {
            put(&again(CWD, "/dev/null")?, target)?;
            continue;
        }
        match &cover {
            Some(cover) => put(&again(cover, "")?, target)?,
            None => {
                let attributes = SAFE | MountAttrFlags::MOUNT_ATTR_RDONLY;
                let made = filesystem("tmpfs", &[("size", "4k"), ("mode", "755")], attributes)?;
                put(&made, target)?;
                cover = Some(made);
            }
        }
    }
    Ok(())
}

fn sys(root: &Root, privileged: bool, own_cgroup: bool) -> io::Result<()> {
    let (attributes, kept) = if privileged {
        (SAFE, MountAttrFlags::empty())
    } else {
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
        (SAFE | read_only, read_only)
    };
    let sys = match filesystem("sysfs", &[], attributes) {
        // Without root it needs a network of its own; the host's shows the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => host_sys(privileged)?,
        made => made?,
    };
    put(&sys, own_target(root, "sys")?)?;
    if own_cgroup && unified() {
        // Without it programs take it that they have no limits, which is so.
        let cgroup = filesystem("cgroup2", &[], SAFE | kept);
        let target = entry(&sys, "fs/cgroup");
        if let (Ok(cgroup), Ok(target)) = (cgroup, target) {
            put(&cgroup, target)?;
        }
    }
    if privileged {
        return Ok(());
    }
    mask(&sys, MASKED_SYS)
}

/// The host's, with what is mounted below it.
fn host_sys(privileged: bool) -> io::Result<OwnedFd> {
    let sys = again(CWD, "/sys")?;
    let read_only = if privileged { 0 } else { sys::MOUNT_READ_ONLY };
    let attr = MountAttr {
        set: read_only | sys::MOUNT_NO_SUID | sys::MOUNT_NO_DEV | sys::MOUNT_NO_EXEC,
        ..MountAttr::default()
    };
    sys::mount_setattr(sys.as_fd(), true, &attr)?;
    Ok(sys)
}

/// Whether the host has nothing but the second version of cgroups.
fn unified() -> bool {
    const CGROUP2: i128 = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|found| i128::from(found.f_type) == CGROUP2)
}
