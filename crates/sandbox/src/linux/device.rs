//! `/dev`: a handful of devices, terminals and shared memory of its own.
//!
//! The devices lie on a file system of their own, attached nowhere in the end, and are mounted one by one upon files:
//! so the directory itself can forbid devices, and a process that may make nodes can open none.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};

use super::mounts::{again, entry, filesystem, own_target, put};
use super::root::Root;
use crate::IdMap;

const DEVICES: &[(&str, u32, u32)] = &[
    ("full", 1, 7),
    ("null", 1, 3),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];

const LINKS: &[(&str, &str)] = &[
    ("core", "/proc/kcore"),
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// Mounts it.
pub(super) fn mount(root: &Root, privileged: bool, map: Option<&IdMap>) -> io::Result<()> {
    let no_suid = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let no_exec = no_suid | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let no_device = MountAttrFlags::MOUNT_ATTR_NODEV;
    let own = if privileged {
        no_suid
    } else {
        no_suid | no_device
    };
    let options = &[("mode", "755"), ("size", "65536k")];
    let dev = filesystem("tmpfs", options, own)?;
    for name in ["mqueue", "pts", "shm"] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
    }
    // As docker: the link to the kernel's memory only where the kernel has that.
    let leads = |to: &str| to != "/proc/kcore" || std::fs::exists(to).unwrap_or(false);
    for (name, to) in LINKS.iter().filter(|(_, to)| leads(to)) {
        symlinkat(*to, &dev, *name)?;
    }
    for (name, _, _) in DEVICES {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&dev, *name, flags, Mode::from_raw_mode(0o666))?;
    }
    put(&dev, own_target(root, "dev")?)?;
    devices(&dev)?;

    let mut terminals = vec![("ptmxmode", "0666"), ("mode", "0620")];
    // The group that terminals have everywhere, where there is such a group.
    if map.is_none_or(|map| map.has_gid(5)) {
        terminals.push(("gid", "5"));
    }
    put(
        &filesystem("devpts", &terminals, no_exec)?,
        entry(&dev, "pts")?,
    )?;
    let memory = &[("mode", "1777"), ("size", "65536k")];
    let shared = filesystem("tmpfs", memory, no_exec | no_device)?;
    put(&shared, entry(&dev, "shm")?)?;
    let queues = filesystem("mqueue", &[], no_exec | no_device)?;
    put(&queues, entry(&dev, "mqueue")?)
}

/// Nodes that the kernel made elsewhere serve where none may be made.
fn devices(dev: &OwnedFd) -> io::Result<()> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let nodes = filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], attributes)?;
    // Kernels before 6.15 mount again only what is attached, so for now it lies where the shared
    // memory will be.
    put(&nodes, entry(dev, "shm")?)?;
    for (name, major, minor) in DEVICES {
        let (mode, device) = (Mode::from_raw_mode(0o666), makedev(*major, *minor));
        let made = mknodat(&nodes, *name, FileType::CharacterDevice, mode, device);
        let node = match made {
            Ok(()) => again(&nodes, name)?,
            Err(rustix::io::Errno::PERM) => again(CWD, &format!("/dev/{name}"))?,
            Err(error) => return Err(error.into()),
        };
        put(&node, entry(dev, name)?)?;
    }
    let nodes = format!("/proc/self/fd/{}", nodes.as_raw_fd());
    Ok(unmount(nodes, UnmountFlags::DETACH)?)
}
