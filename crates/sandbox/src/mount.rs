//! One mount beside the sandbox's own, as a plain value. What is secret in it is not printed.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{RootSpec, bytes};

/// One mount beside the sandbox's own. A target that is missing is made where it lies in another
/// mount; in the root only with [`Spec::make_targets`](crate::Spec::make_targets).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Mount {
    /// A file or directory of the host, with what is mounted below it.
    Bind {
        /// On the host.
        #[serde(with = "bytes::one")]
        source: PathBuf,
        /// Inside; symbolic links in it are followed inside the root.
        #[serde(with = "bytes::one")]
        target: PathBuf,
        /// Read-only, with what is mounted below it.
        read_only: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Inside.
        #[serde(with = "bytes::one")]
        target: PathBuf,
        /// At most so many bytes; half of the memory where `None`.
        size: Option<u64>,
        /// The mode of its top directory, `0o1777` for a `/tmp`.
        mode: u32,
        /// Programs in it can be executed.
        exec: bool,
    },
    /// A file or directory of another root, which is mounted for this alone: nobody else sees it.
    Part {
        /// The other root. What is written to it goes where it says.
        root: RootSpec,
        /// In the other root; symbolic links, its last component included, are followed inside it.
        #[serde(with = "bytes::one")]
        path: PathBuf,
        /// Inside.
        #[serde(with = "bytes::one")]
        target: PathBuf,
        /// Read-only: but missing targets of other mounts are made in it before.
        read_only: bool,
    },
    /// A file in memory that cannot be written to.
    File {
        /// What it says.
        content: Hidden,
        /// Inside.
        #[serde(with = "bytes::one")]
        target: PathBuf,
        /// Whose it is.
        owned: Owned,
    },
    /// A socket of the host.
    Socket {
        /// On the host. It is given owner and mode.
        #[serde(with = "bytes::one")]
        source: PathBuf,
        /// Inside.
        #[serde(with = "bytes::one")]
        target: PathBuf,
        /// Whose it is.
        owned: Owned,
    },
}

impl Mount {
    /// Where it is inside the root.
    pub fn target(&self) -> &Path {
        match self {
            Self::Bind { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Part { target, .. }
            | Self::File { target, .. }
            | Self::Socket { target, .. } => target,
        }
    }

    /// Whether an OCI runtime has words for it.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Bind { .. } | Self::Tmpfs { .. })
    }
}

/// Owner and mode of a file, as they are inside the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Owned {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Bytes that are printed as `****`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(Vec<u8>);

impl Hidden {
    /// Hides these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.fill(0);
        // Else the compiler may leave it out: nobody reads what was written.
        std::hint::black_box(&self.0);
    }
}
