//! The root file system: mounted in a namespace of its own, attached, entered.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, open, unlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, mount, mount_change, move_mount, open_tree, unmount,
};

use super::sys::{self, MountAttr};
use crate::{Error, ErrorKind, RootSpec};

/// More layers than this no kernel takes.
const LAYERS: usize = 500;

/// A mounted root.
pub(crate) struct Root {
    pub(crate) top: OwnedFd,
    /// Whether missing targets of mounts are made.
    pub(crate) create: bool,
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let what = format!("{what} `{}`", path.display());
    let path = path.to_owned();
    |error| Error::new(ErrorKind::Root, what).because(error).at(path)
}

/// Keeps what is mounted in this mount namespace from being seen outside.
pub(crate) fn unshare_mounts() -> Result<(), Error> {
    let whole = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", whole).map_err(|error| failed("unshare", Path::new("/"))(error.into()))
}

/// Mounts the root, attached nowhere.
///
/// Devices in it cannot be opened unless `devices`: an image, or a process that may make nodes, would
/// reach the host's disks by them. With `create` missing targets are made in an overlay too.
pub(crate) fn mounted(spec: &RootSpec, devices: bool, create: bool) -> Result<Root, Error> {
    let (top, create) = match spec {
        RootSpec::Overlay {
            lowers,
            upper,
            work,
            volatile,
        } => (
            Overlay::open(lowers, upper, work, *volatile)?.mount()?,
            create,
        ),
        RootSpec::Directory(path) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_RECURSIVE;
            let tree = open_tree(CWD, path, flags);
            let tree = tree.map_err(|error| failed("open the root", path)(error.into()))?;
            (tree, true)
        }
    };
    if !devices {
        let attr = MountAttr {
            set: sys::MOUNT_NO_DEV,
            ..MountAttr::default()
        };
        sys::mount_setattr(top.as_fd(), true, &attr).map_err(old_kernel)?;
    }
    Ok(Root { top, create })
}

/// Nothing can be written to the root from here on, but to what is mounted in it.
pub(crate) fn read_only(root: &Root) -> Result<(), Error> {
    let attr = MountAttr {
        set: sys::MOUNT_READ_ONLY,
        ..MountAttr::default()
    };
    sys::mount_setattr(root.top.as_fd(), false, &attr).map_err(old_kernel)
}

/// Attaches the root over a directory.
pub(crate) fn attach(root: &Root, at: &Path) -> Result<(), Error> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&root.top, "", CWD, at, flags)
        .map_err(|error| failed("attach the root to", at)(error.into()))
}

/// Says what the kernel lacks where it lacks it.
fn old_kernel(error: io::Error) -> Error {
    let kind = match error.raw_os_error() {
        Some(libc::ENOSYS) => ErrorKind::Unsupported,
        _ => ErrorKind::Root,
    };
    Error::new(kind, "set attributes of the root mount (needs Linux 5.12)").because(error)
}

/// Makes the root this process's own; nothing of the old one is left.
pub(crate) fn enter(root: &Root) -> Result<(), Error> {
    let enter = || {
        rustix::process::fchdir(&root.top)?;
        // The old root comes to lie upon the new one, where it is taken away.
        rustix::process::pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")
    };
    enter().map_err(|error| failed("enter the root at", Path::new("/"))(error.into()))
}

/// The parts of an overlay, each opened: so their names may be of any length and in any letters.
struct Overlay {
    lowers: Vec<OwnedFd>,
    upper: OwnedFd,
    work: OwnedFd,
    volatile: bool,
    at: PathBuf,
}

impl Overlay {
    fn open(lowers: &[PathBuf], upper: &Path, work: &Path, volatile: bool) -> Result<Self, Error> {
        if lowers.is_empty() || lowers.len() > LAYERS {
            let what = format!(
                "an overlay takes 1 to {LAYERS} layers, not {}",
                lowers.len()
            );
            return Err(Error::new(ErrorKind::Root, what));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let part = |path: &Path| {
            open(path, flags, Mode::empty())
                .map_err(|error| failed("open the layer", path)(error.into()))
        };
        let overlay = Self {
            lowers: lowers
                .iter()
                .map(|path| part(path))
                .collect::<Result<_, _>>()?,
            upper: part(upper)?,
            work: part(work)?,
            volatile,
            at: std::path::absolute(upper)
                .map_err(|error| failed("find the layer", upper)(error))?,
        };
        // Left by an earlier volatile mount; with it the kernel refuses the next one. Where it does
        // not lie there is nothing to remove.
        for (path, flags) in VOLATILE {
            let _ = unlinkat(&overlay.work, *path, *flags);
        }
        Ok(overlay)
    }

    /// Mounts it, attached nowhere. Parts are named by their number in `/proc/self/fd`, which is the
    /// working directory meanwhile.
    fn mount(&self) -> Result<OwnedFd, Error> {
        let mount = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let here = open(".", flags, Mode::empty())?;
            rustix::process::chdir("/proc/self/fd")?;
            let top = self.mount_by_parts()?;
            rustix::process::fchdir(&here)?;
            Ok(top)
        };
        mount().map_err(failed("mount an overlay with the upper", &self.at))
    }

    fn mount_by_parts(&self) -> io::Result<OwnedFd> {
        // Kernels that surely do not know how would complain in their log each time.
        if super::version(&rustix::system::uname().release().to_string_lossy()) < (6, 5) {
            return self.mount_by_text();
        }
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        match self.configure(context.as_fd()) {
            Ok(()) => {}
            Err(Step::Layer) => return self.mount_by_text(),
            // A kernel that takes every name, as those before 6.5 do, looks at them here.
            Err(Step::All(rustix::io::Errno::INVAL)) => {
                let tried = self.mount_by_text();
                return tried.map_err(|_| explained(context, rustix::io::Errno::INVAL));
            }
            Err(Step::All(error) | Step::Other(error)) => return Err(explained(context, error)),
        }
        let (flags, none) = (FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty());
        fsmount(&context, flags, none).map_err(|error| explained(context, error))
    }

    fn configure(&self, context: BorrowedFd<'_>) -> Result<(), Step> {
        let set = |name: &str, part: &OwnedFd| {
            fsconfig_set_string(context, name, part.as_raw_fd().to_string())
        };
        fsconfig_set_string(context, "source", "overlay")?;
        for lower in &self.lowers {
            set("lowerdir+", lower).map_err(|error| match error {
                // Kernels from 6.5 to 6.7 do not know the name.
                rustix::io::Errno::INVAL => Step::Layer,
                error => Step::Other(error),
            })?;
        }
        set("upperdir", &self.upper)?;
        set("workdir", &self.work)?;
        for (name, value) in OPTIONS {
            fsconfig_set_string(context, *name, *value)?;
        }
        fsconfig_set_flag(context, "userxattr")?;
        if self.volatile {
            fsconfig_set_flag(context, "volatile")?;
        }
        fsconfig_create(context).map_err(Step::All)
    }

    /// For older kernels, whose options are one text of at most a page.
    fn mount_by_text(&self) -> io::Result<OwnedFd> {
        let number = |part: &OwnedFd| part.as_raw_fd().to_string();
        let lowers: Vec<String> = self.lowers.iter().map(number).collect();
        let mut text = format!(
            "lowerdir={},upperdir={},workdir={},userxattr",
            lowers.join(":"),
            number(&self.upper),
            number(&self.work),
        );
        for (name, value) in OPTIONS {
            text.push_str(&format!(",{name}={value}"));
        }
        if self.volatile {
            text.push_str(",volatile");
        }
        let text = std::ffi::CString::new(text)?;
        // Any directory serves to mount on: it is left at once, and nobody else sees it.
        mount(
            "overlay",
            &self.at,
            "overlay",
            MountFlags::empty(),
            text.as_c_str(),
        )?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, &self.at, flags)?;
        unmount(&self.at, UnmountFlags::DETACH)?;
        Ok(tree)
    }
}

/// The mark of a volatile mount in the work directory, from the inside out.
const VOLATILE: &[(&str, AtFlags)] = &[
    ("work/incompat/volatile/dirty", AtFlags::empty()),
    ("work/incompat/volatile", AtFlags::REMOVEDIR),
];

/// Where the configuration of an overlay failed.
enum Step {
    /// At a layer.
    Layer,
    /// When all had been said.
    All(rustix::io::Errno),
    Other(rustix::io::Errno),
}

impl From<rustix::io::Errno> for Step {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Other(error)
    }
}

/// So that the upper directory is the whole difference, and nothing but that.
const OPTIONS: &[(&str, &str)] = &[("metacopy", "off"), ("index", "off"), ("xino", "off")];

/// The error with what the kernel wrote about it.
fn explained(context: OwnedFd, error: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(error);
    let mut text = [0; 512];
    match std::fs::File::from(context).read(&mut text) {
        Ok(length) if length > 2 => {
            let text = String::from_utf8_lossy(&text[2..length]);
            io::Error::new(
                error.kind(),
                format!("{} ({})", crate::error::plain(&error), text.trim()),
            )
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel before 6.8 would be asked.
    #[test]
    fn older_kernels_get_the_same_overlay() {
        if !rustix::process::geteuid().is_root() {
            println!("not run: mounting needs root");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let part = |name: &str| {
            let part = directory.path().join(name);
            std::fs::create_dir(&part).unwrap();
            part
        };
        let lowers: Vec<_> = (0..200).map(|n| part(&format!("l:{n},\\"))).collect();
        std::fs::write(lowers[0].join("file"), "top").unwrap();
        std::fs::write(lowers[1].join("file"), "below").unwrap();
        let (upper, work) = (part("upper"), part("work"));
        // The thread's namespace and working directory end with it.
        let content = std::thread::spawn(move || {
            sys::unshare(rustix::thread::UnshareFlags::NEWNS).unwrap();
            unshare_mounts().unwrap();
            let overlay = Overlay::open(&lowers, &upper, &work, true).unwrap();
            rustix::process::chdir("/proc/thread-self/fd").unwrap();
            let top = overlay.mount_by_text().unwrap();
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&top, "file", flags, Mode::empty()).unwrap();
            let mut text = String::new();
            std::fs::File::from(file).read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(content.join().unwrap(), "top");
    }
}
