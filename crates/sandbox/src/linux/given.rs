//! What the caller mounts in the root. Targets are opened inside it (`RESOLVE_IN_ROOT`), and so is what
//! is taken of another root; mounts are moved upon what was opened. It makes missing targets where
//! the caller allows it, and in what is mounted upon the root, which is nobody's image.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chmod, chownat, fchmod, fchown,
    fstat, mkdirat, open, openat, openat2, readlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount,
};

use super::mounts::{SAFE, failed, filesystem, put};
use super::root::{self, Root};
use super::sys::{self, MountAttr};
use crate::{Error, ErrorKind, Mount, Owned, RootSpec};

/// A mount of the caller's, attached nowhere.
pub(crate) struct Given<'a> {
    mount: &'a Mount,
    tree: OwnedFd,
    is_directory: bool,
}

/// Makes the caller's mounts. It has to be done before the root is attached: a source that is all of
/// the host's tree would have the root upon it otherwise.
pub(crate) fn made<'a>(
    mounts: impl Iterator<Item = &'a Mount>,
    devices: bool,
) -> Result<Vec<Given<'a>>, Error> {
    let made = |mount| {
        let (tree, is_directory) = make(mount, devices)?;
        Ok(Given {
            mount,
            tree,
            is_directory,
        })
    };
    mounts.map(made).collect()
}

/// Puts the caller's mounts into the root, in order.
pub(crate) fn given(root: &Root, mounts: &[Given<'_>]) -> Result<(), Error> {
    for given in mounts {
        let path = given.mount.target();
        let target = target(root, path, given.is_directory);
        target
            .and_then(|target| {
                refuse_kernels(given.mount, &target)?;
                put(&given.tree, target)
            })
            .map_err(failed(path))?;
    }
    // Not before targets of later mounts were made in them.
    for given in mounts {
        if let Mount::Part {
            read_only: true, ..
        } = given.mount
        {
            let attr = MountAttr {
                set: sys::MOUNT_READ_ONLY,
                ..MountAttr::default()
            };
            sys::mount_setattr(given.tree.as_fd(), false, &attr)
                .map_err(failed(given.mount.target()))?;
        }
    }
    Ok(())
}

/// What the kernel shows of itself is covered by nobody, whatever links lead there: a process would take
/// other files for it. What is bound is the caller's to answer for.
fn refuse_kernels(mount: &Mount, target: &OwnedFd) -> io::Result<()> {
    let bound = matches!(mount, Mount::Bind { .. });
    let found = rustix::fs::fstatfs(target)?;
    if bound || !super::place::KERNELS.contains(&i128::from(found.f_type)) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it lies in what the kernel shows of itself",
    ))
}

/// A mount of the caller's, attached nowhere, and whether it is a directory.
fn make(mount: &Mount, devices: bool) -> Result<(OwnedFd, bool), Error> {
    match mount {
        Mount::Bind {
            source, read_only, ..
        } => bind(source, *read_only, devices).map_err(from(source, mount)),
        Mount::Tmpfs {
            size, mode, exec, ..
        } => {
            let made = tmpfs(*size, *mode, *exec);
            Ok((made.map_err(failed(mount.target()))?, true))
        }
        Mount::Part { root, path, .. } => part(root, path, mount, devices),
        Mount::File { content, owned, .. } => {
            let made = file(content.bytes(), owned);
            Ok((made.map_err(failed(mount.target()))?, false))
        }
        Mount::Socket { source, owned, .. } => {
            let made = socket(source, owned);
            Ok((made.map_err(from(source, mount))?, false))
        }
    }
}

fn from(source: &Path, mount: &Mount) -> impl FnOnce(io::Error) -> Error {
    let target = mount.target();
    let what = format!("mount `{}` on `{}`", source.display(), target.display());
    let error = Error::new(ErrorKind::Mount, what).at(target);
    |cause| error.because(cause)
}

fn bind(source: &Path, read_only: bool, devices: bool) -> io::Result<(OwnedFd, bool)> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, source, flags)?;
    let no_devices = if devices { 0 } else { sys::MOUNT_NO_DEV };
    let attr = MountAttr {
        set: no_devices | if read_only { sys::MOUNT_READ_ONLY } else { 0 },
        ..MountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), true, &attr)?;
    let is_directory = is_directory(&tree)?;
    Ok((tree, is_directory))
}

fn is_directory(tree: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(tree)?.st_mode) == FileType::Directory)
}

fn tmpfs(size: Option<u64>, mode: u32, exec: bool) -> io::Result<OwnedFd> {
    let mode = format!("{mode:o}");
    let size = size.map(|size| size.to_string());
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_deref().map(|size| ("size", size)));
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if !exec {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
    }
    filesystem("tmpfs", &options, attributes)
}

/// What is at `path` in a root of its own. Links lead nowhere else: the kernel follows them inside.
fn part(
    spec: &RootSpec,
    path: &Path,
    mount: &Mount,
    devices: bool,
) -> Result<(OwnedFd, bool), Error> {
    let whole = root::mounted(spec, devices, false)?;
    let attached = Attached::new(&whole.top).map_err(failed(mount.target()))?;
    let found = resolve(whole.top.as_fd(), path).map_err(io::Error::from);
    let found = found.and_then(|found| {
        let tree = again(&found)?;
        let is_directory = is_directory(&tree)?;
        Ok((tree, is_directory))
    });
    drop(attached);
    found.map_err(from(&Path::new("/").join(path), mount))
}

/// A file in memory, which cannot be written to.
fn file(content: &[u8], owned: &Owned) -> io::Result<OwnedFd> {
    let memory = unswapped().or_else(|_| filesystem("tmpfs", &[("mode", "700")], SAFE))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&memory, "file", flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(file);
    file.write_all(content)?;
    fchown(
        &file,
        Some(Uid::from_raw(owned.uid)),
        Some(Gid::from_raw(owned.gid)),
    )
    .map_err(|error| no_owner(error, owned))?;
    fchmod(&file, Mode::from_raw_mode(owned.mode))?;
    drop(file);
    let attached = Attached::new(&memory)?;
    let found = resolve(memory.as_fd(), Path::new("file"))?;
    let tree = again(&found)?;
    drop(attached);
    let attr = MountAttr {
        set: sys::MOUNT_READ_ONLY | sys::MOUNT_NO_SUID | sys::MOUNT_NO_DEV | sys::MOUNT_NO_EXEC,
        ..MountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), false, &attr)?;
    Ok(tree)
}

/// Memory that never goes to a swap device, where the kernel offers that.
fn unswapped() -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "mode", "700")?;
    rustix::mount::fsconfig_set_flag(&context, "noswap")?;
    rustix::mount::fsconfig_create(&context)?;
    let flags = rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC;
    Ok(rustix::mount::fsmount(&context, flags, SAFE)?)
}

/// A socket of the caller's, which gets the owner and mode that are asked for.
fn socket(source: &Path, owned: &Owned) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = open(source, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("it is not a socket"));
    }
    let (uid, gid) = (Uid::from_raw(owned.uid), Gid::from_raw(owned.gid));
    chownat(&found, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
        .map_err(|error| no_owner(error, owned))?;
    let by_number = format!("/proc/self/fd/{}", found.as_raw_fd());
    chmod(by_number, Mode::from_raw_mode(owned.mode))?;
    again(&found)
}

fn no_owner(error: Errno, owned: &Owned) -> io::Error {
    let error = io::Error::from(error);
    let (uid, gid) = (owned.uid, owned.gid);
    let what = format!(
        "give it to user {uid} and group {gid}: {}",
        crate::error::plain(&error)
    );
    io::Error::new(error.kind(), what)
}

/// A second mount of what is open.
fn again(found: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(found, "", flags)?)
}

/// A mount that is attached for as long as this lives, where no path leads to it: the kernel makes
/// second mounts of parts of what is attached only.
struct Attached<'a>(&'a OwnedFd);

impl<'a> Attached<'a> {
    fn new(mount: &'a OwnedFd) -> io::Result<Self> {
        // What is mounted upon the root itself is not seen by who has it as root already.
        move_mount(mount, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(Self(mount))
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        // What stays goes with this mount namespace.
        let by_number = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        let _ = unmount(by_number, UnmountFlags::DETACH);
    }
}

/// Opens a target inside the root, or makes it where that is allowed.
fn target(root: &Root, path: &Path, is_directory: bool) -> io::Result<OwnedFd> {
    match resolve(root.top.as_fd(), path) {
        Err(Errno::NOENT) => {
            make_target(root, path, is_directory, LINKS)?;
            Ok(resolve(root.top.as_fd(), path)?)
        }
        result => Ok(result?),
    }
}

pub(super) fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it does not exist in the root")
}

/// Opens what is at a path inside a root; symbolic links are followed inside it.
pub(super) fn resolve(top: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // A rename elsewhere in the tree makes the kernel ask for another try.
    for _ in 0..32 {
        match openat2(top, path, flags, Mode::empty(), inside) {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// As many as the kernel follows one after another.
const LINKS: usize = 40;

/// Makes an entry and the directories above it, or what `links` links lead to there.
fn make_target(root: &Root, path: &Path, is_directory: bool, links: usize) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = target(root, parent, true)?;
    // A directory of an overlay has the overlay's device, whatever layer it is in.
    if !root.create && fstat(&parent)?.st_dev == fstat(&root.top)?.st_dev {
        return Err(missing());
    }
    let made = if is_directory {
        mkdirat(&parent, name, Mode::from_raw_mode(0o755))
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    };
    match made {
        // A link that leads to nothing yet.
        Err(Errno::EXIST) if links > 0 => {
            let to = readlinkat(&parent, name, Vec::new())?;
            let to = Path::new(OsStr::from_bytes(to.as_bytes()));
            let above = path.parent().unwrap_or(Path::new("/"));
            make_target(root, &above.join(to), is_directory, links - 1)
        }
        made => Ok(made?),
    }
}
