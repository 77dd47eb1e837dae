//! `/dev`: a handful of devices, terminals and shared memory of its own.
//!
//! The devices lie on a file system of their own, attached nowhere in the end, and are mounted one by one upon files:
//! so the directory itself can forbid devices, and a process that may make nodes can open none.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};

use super::mounts::{again, entry, filesystem, own_target, put};
use super::root::Root;
use crate::{Device, Error, ErrorKind, IdMap};

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

/// How many bytes of shared memory there are where nobody says it, as docker.
const SHM: u64 = 64 << 20;

/// Mounts it.
///
/// `shm` is how many bytes of shared memory there are.
pub(super) fn mount(
    root: &Root,
    privileged: bool,
    shm: Option<u64>,
    map: Option<&IdMap>,
) -> io::Result<()> {
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
    let size = shm.unwrap_or(SHM).to_string();
    let memory = &[("mode", "1777"), ("size", size.as_str())];
    let shared = filesystem("tmpfs", memory, no_exec | no_device)?;
    put(&shared, entry(&dev, "shm")?)?;
    let queues = filesystem("mqueue", &[], no_exec | no_device)?;
    put(&queues, entry(&dev, "mqueue")?)
}

/// Puts devices of the host beside the usual ones.
pub(super) fn given(root: &Root, devices: &[Device]) -> Result<(), Error> {
    for device in devices {
        let (source, target) = (device.source.display(), device.target.display());
        put_one(root, device).map_err(|error| {
            let what = format!("give the device `{source}` as `{target}`");
            Error::new(ErrorKind::Mount, what)
                .because(error)
                .at(&device.target)
        })?;
    }
    Ok(())
}

fn put_one(root: &Root, device: &Device) -> io::Result<()> {
    let below = device.target.strip_prefix("/dev").ok();
    let ordinary = |c: Component<'_>| matches!(c, Component::Normal(_));
    let below = below.filter(|p| p.file_name().is_some() && p.components().all(ordinary));
    let below = below.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "it would not be below `/dev`")
    })?;
    let metadata = std::fs::metadata(&device.source)?;
    if !metadata.file_type().is_char_device() && !metadata.file_type().is_block_device() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no device",
        ));
    }
    let mut at = own_target(root, "dev")?;
    for part in below.parent().into_iter().flat_map(Path::components) {
        match mkdirat(&at, part.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = openat(&at, part.as_os_str(), flags, Mode::empty())?;
    }
    let name = below.file_name().unwrap_or_default();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&at, name, flags, Mode::from_raw_mode(0o666))?;
    let source = std::fs::canonicalize(&device.source)?;
    let tree = again(CWD, &source.to_string_lossy())?;
    put(
        &tree,
        openat(
            &at,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?,
    )
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
