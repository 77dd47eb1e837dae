//! `cp`: files out of a container and into it, whether it runs or not. What is mounted in it is seen;
//! `/proc` and `/sys` are not.
//!
//! Owners: what goes in belongs to user 0 unless its own owner is asked for; what comes out belongs
//! to the caller, likewise.

#[cfg(target_os = "linux")]
mod child;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod inside;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub(crate) use child::DOOR;

/// What is at a path of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// Its last name.
    pub name: String,
    /// In bytes; of a folder whatever its file system says.
    pub size: u64,
    /// The kind of file and its permissions, as stat(2) has them.
    pub mode: u32,
    /// When it was last changed, in seconds since 1970.
    pub mtime: i64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Where it leads, when it is a symbolic link.
    pub link: Option<String>,
}

/// How [`copy_from`](crate::Container::copy_from) and [`copy_to`](crate::Container::copy_to) copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Where the source itself is a symbolic link, what it leads to is copied (docker's `-L`).
    pub follow: bool,
    /// Numbers of users and groups stay as they are (docker's `-a`).
    pub keep_owner: bool,
}
