//! What a container sees beside its image: folders of the machine, volumes, file systems in memory.
//!
//! A [`Wish`] is what a person asks for; [`Mounted`] is what became of it when the container was
//! made. Reading wishes touches nothing; only a source that begins with `.` needs to know where the
//! caller stands. Refuses what it does not carry out: other volume drivers, propagation out of the
//! container, sub-paths of volumes.

mod mount_flag;
mod parse;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use parse::{check_name, clean};

/// One mount that is asked for. Targets are absolute, normalised paths inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Wish {
    /// A file or folder of the machine.
    Bind {
        /// Absolute, on the machine.
        source: PathBuf,
        /// Inside.
        target: String,
        /// Nothing in it can be changed from inside.
        read_only: bool,
        /// A source that is missing is made, as a folder (docker's `-v`; its `--mount` does not).
        create_source: bool,
    },
    /// A volume, made when there is none of this name.
    Volume {
        /// `None` for an anonymous one, which goes with the container where that is asked for.
        name: Option<String>,
        /// Inside.
        target: String,
        /// Nothing in it can be changed from inside.
        read_only: bool,
        /// An empty volume is not filled with what the image has at `target`.
        no_copy: bool,
        /// The labels of a volume that is made.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
    },
    /// An empty file system in memory, gone with the container's process.
    Tmpfs {
        /// Inside.
        target: String,
        /// At most so many bytes; half of the memory where `None`.
        size: Option<u64>,
        /// The mode of its top folder.
        mode: u32,
        /// Programs in it can be executed.
        #[serde(default)]
        exec: bool,
    },
}

impl Wish {
    /// Where it is to be, inside.
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. }
            | Self::Volume { target, .. }
            | Self::Tmpfs { target, .. } => target,
        }
    }
}

/// One mount of a container as it is: what `inspect` shows, and all that a start needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// What is mounted.
    #[serde(flatten)]
    pub kind: MountKind,
    /// The volume's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// On the machine; empty for a file system in memory.
    pub source: PathBuf,
    /// Inside.
    pub destination: String,
    /// It can be changed from inside.
    pub rw: bool,
}

/// What kind of thing is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MountKind {
    /// A file or folder of the machine.
    Bind,
    /// A volume.
    Volume {
        /// Made for this container alone; `rm -v` and `--rm` take it along.
        anonymous: bool,
    },
    /// A file system in memory.
    Tmpfs {
        /// At most so many bytes.
        size: Option<u64>,
        /// The mode of its top folder.
        mode: u32,
        /// Programs in it can be executed.
        #[serde(default)]
        exec: bool,
    },
}

impl MountKind {
    /// docker's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume { .. } => "volume",
            Self::Tmpfs { .. } => "tmpfs",
        }
    }
}
