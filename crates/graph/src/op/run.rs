//! RUN and its mounts, as data. Refuses to hold the value of a secret.

use kiln_image::Platform;
use serde::{Deserialize, Serialize};

/// A process in a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// Where it starts; absolute.
    pub cwd: String,
    /// As whom: `user[:group]`; empty for root.
    pub user: String,
    /// What it can reach.
    pub network: Network,
    /// The name of the machine that it sees; `None` as the executor has it.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Environment that the process is given and that no key knows: proxies.
    pub hidden_env: Vec<(String, String)>,
    /// What it finds in its root that is no part of the result; later ones lie over earlier ones.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// What it may do.
    #[serde(default)]
    pub security: Security,
    /// Devices that it may use.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The platform that its root is for, where that is not the one that is built on.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// What a process can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Network {
    /// What the executor gives to those who do not ask.
    #[default]
    Default,
    /// The host's.
    Host,
    /// A loopback of its own.
    None,
}

/// What a process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Security {
    /// What programs in containers may do.
    #[default]
    Sandbox,
    /// Everything that the executor itself may.
    Insecure,
}

/// A device by its CDI name: `vendor.com/class=name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The name, or a class of them.
    pub name: String,
    /// Whether it is an error where there is none.
    pub required: bool,
}

/// Something that a process finds in its root and that is no part of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where: absolute, cleaned. Empty where nothing is mounted: a secret that is a variable only.
    pub target: String,
    /// What.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MountKind {
    /// Files of an input.
    Bind {
        /// Which of the node's inputs.
        input: usize,
        /// What of it: a path within, cleaned, without a leading slash; `.` for its root.
        source: String,
        /// Whether the process may write: what it writes is lost.
        writable: bool,
    },
    /// A folder that outlives the build. Its content is in no key.
    Cache(CacheMount),
    /// Memory.
    Tmpfs {
        /// At most so many bytes; `None` as the executor has it.
        size: Option<u64>,
    },
    /// A secret. Its value is in no key.
    Secret(SecretMount),
    /// An agent's socket. The environment that names it is in [`Run::env`].
    Ssh(SshMount),
}

/// A folder that outlives the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMount {
    /// By what it is known: whoever says the same has the same folder.
    pub id: String,
    /// Who may have it at the same time.
    pub sharing: Sharing,
    /// Which of the node's inputs a new one begins with; `None`: it is empty.
    pub input: Option<usize>,
    /// What of that: a path within, `.` for its root.
    pub source: String,
    /// Permission bits of a new one.
    pub mode: u32,
    /// Owner of a new one.
    pub uid: u32,
    /// Group of a new one.
    pub gid: u32,
    /// Whether the process may only read.
    pub read_only: bool,
}

/// Who may have a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Whoever comes second gets another one.
    Private,
    /// Whoever comes second waits.
    Locked,
}

/// A secret, as a file, a variable, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMount {
    /// By what it is known.
    pub id: String,
    /// The file at the mount's target.
    pub file: Option<SecretFile>,
    /// The variable.
    pub env: Option<String>,
    /// Whether it is an error where there is none.
    pub required: bool,
}

/// The file that a secret is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// An agent's socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshMount {
    /// By what it is known.
    pub id: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether it is an error where there is none.
    pub required: bool,
}

impl MountKind {
    /// The input that it shows or begins with.
    pub fn input(&self) -> Option<usize> {
        match self {
            MountKind::Bind { input, .. } => Some(*input),
            MountKind::Cache(cache) => cache.input,
            MountKind::Tmpfs { .. } | MountKind::Secret(_) | MountKind::Ssh(_) => None,
        }
    }
}
