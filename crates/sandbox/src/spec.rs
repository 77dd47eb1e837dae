//! What to run, as a plain value that can be written down and read back.
//!
//! Paths called `target`, `cwd` and the program's are inside the root; all others are the host's.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::mount::Mount;
use crate::terminal::Size;
use crate::{Capability, Limits, bytes};

/// One process and the world that it sees.
///
/// ```
/// use kiln_sandbox::{Network, Process, RootSpec, Spec};
/// let mut spec = Spec::new(RootSpec::Directory("/srv/root".into()), Process::new(["/bin/true"]));
/// spec.hostname = Some("kiln".into());
/// spec.network = Network::None;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spec {
    /// The root file system.
    pub root: RootSpec,
    /// The process.
    pub process: Process,
    /// Mounts beside the sandbox's own ([`mount_points`]), in order: a later one may lie in an earlier.
    pub mounts: Vec<Mount>,
    /// The host name inside; the host's where `None`.
    pub hostname: Option<String>,
    /// The network.
    pub network: Network,
    /// With an init: process 1 reaps what the process leaves behind and forwards signals to it.
    /// Without, the process itself is process 1.
    pub init: bool,
    /// No system call filter, nothing masked, `/proc` and `/sys` writable. Capabilities are separate
    /// ([`Process::capabilities`]), and so are devices: `/dev` holds no more than usual.
    pub privileged: bool,
    /// The root itself cannot be written to; what is mounted in it says so for itself. Other file
    /// systems that lie in a [`RootSpec::Directory`] stay as they are.
    #[serde(default)]
    pub read_only: bool,
    /// Missing mount points are made, in an overlay as well: a directory of mode 755, or an empty
    /// file. For containers; the layer of a build step would show them.
    #[serde(default)]
    pub make_targets: bool,
    /// Bounds on what it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Devices of the host beside the usual ones, in order.
    #[serde(default)]
    pub devices: Vec<Device>,
}

impl Spec {
    /// A process in a root: no more mounts, the host's name and network, no init, not privileged.
    pub fn new(root: RootSpec, process: Process) -> Self {
        Self {
            root,
            process,
            mounts: Vec::new(),
            hostname: None,
            network: Network::Host,
            init: false,
            privileged: false,
            read_only: false,
            make_targets: false,
            limits: Limits::default(),
            devices: Vec::new(),
        }
    }
}

/// A device of the host that the process may open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// On the host; links in it are followed.
    #[serde(with = "bytes::one")]
    pub source: PathBuf,
    /// Inside: below `/dev`.
    #[serde(with = "bytes::one")]
    pub target: PathBuf,
}

/// The root file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RootSpec {
    /// An overlay, mounted where only the sandbox sees it.
    Overlay {
        /// The layers below, the topmost first; at least one, at most 500.
        #[serde(with = "bytes::many")]
        lowers: Vec<PathBuf>,
        /// Receives exactly the changes.
        #[serde(with = "bytes::one")]
        upper: PathBuf,
        /// An empty directory on the file system of `upper`, for overlayfs alone.
        #[serde(with = "bytes::one")]
        work: PathBuf,
        /// Do not write `upper` to the disk at the end, nor when the process asks for it. For steps
        /// of a build, whose caller syncs once for all; without it each end syncs the whole file
        /// system. A mark that an earlier volatile mount left in `work` is removed: whether `upper`
        /// is to be trusted after a crash of the machine is for the caller to know.
        volatile: bool,
    },
    /// A directory, changed in place. Missing targets of mounts are made in it.
    Directory(#[serde(with = "bytes::one")] PathBuf),
}

/// The process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Process {
    /// Program and arguments. A program without a slash is looked for in the `PATH` of `env`.
    #[serde(with = "bytes::many")]
    pub argv: Vec<OsString>,
    /// All of the environment.
    #[serde(with = "bytes::pairs")]
    pub env: Vec<(OsString, OsString)>,
    /// The working directory; it must exist.
    #[serde(with = "bytes::one")]
    pub cwd: PathBuf,
    /// Who it runs as.
    pub user: User,
    /// With a terminal of its own, which is its standard streams, its controlling terminal and
    /// `/dev/console`; the streams that the caller gives must be null.
    /// [`Running::terminal`](crate::Running::terminal) is the other side of it.
    pub terminal: bool,
    /// The size of the terminal from the beginning.
    #[serde(default)]
    pub size: Option<Size>,
    /// Upper bound of what it may do; effective at once only for user 0.
    pub capabilities: Vec<Capability>,
    /// Set-user-id programs and file capabilities give it nothing.
    pub no_new_privileges: bool,
}

impl Process {
    /// A process of root in `/` with an empty environment and docker's capabilities.
    pub fn new<T: Into<OsString>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: "/".into(),
            user: User::default(),
            terminal: false,
            size: None,
            capabilities: Capability::DEFAULT.to_vec(),
            no_new_privileges: false,
        }
    }
}

/// Numeric ids as they are inside the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The network that the process sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Network {
    /// The host's.
    Host,
    /// A namespace of its own with nothing but loopback.
    None,
    /// A namespace of its own that reaches outward as far as the machine allows; which way was found
    /// is told by [`Running::outward`](crate::Running::outward).
    Private,
}

/// A directory or file that must exist in the root before something is mounted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MountPoint {
    /// Absolute, inside the root.
    pub path: &'static str,
    pub kind: PointKind,
}

/// What kind of entry a mount stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PointKind {
    Directory,
    File,
}

/// What the sandbox itself mounts on, beside [`Spec::mounts`]: an overlay's lowest layer must offer
/// these where the image does not. Everything else of the sandbox lies within them.
pub fn mount_points() -> &'static [MountPoint] {
    const fn directory(path: &'static str) -> MountPoint {
        MountPoint {
            path,
            kind: PointKind::Directory,
        }
    }
    const POINTS: [MountPoint; 3] = [directory("/dev"), directory("/proc"), directory("/sys")];
    &POINTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_json() {
        let root = RootSpec::Overlay {
            lowers: vec!["/a".into(), "/b".into()],
            upper: "/u".into(),
            work: "/w".into(),
            volatile: true,
        };
        let mut spec = Spec::new(root, Process::new(["sh", "-c", "true"]));
        spec.process.env = vec![("A".into(), "b=c".into())];
        spec.mounts.push(Mount::Tmpfs {
            target: "/tmp".into(),
            size: Some(1 << 20),
            mode: 0o1777,
            exec: false,
        });
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_text_survive_json() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'a', 0xff, b'b']);
        let mut spec = Spec::new(
            RootSpec::Directory(odd.clone().into()),
            Process::new([odd.clone()]),
        );
        spec.process.env = vec![("X".into(), odd)];
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }
}
