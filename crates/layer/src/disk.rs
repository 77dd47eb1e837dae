//! Trees whose files are on a disk: a folder, an unpacked layer, a plain tar.

#[cfg(unix)]
mod at;
#[cfg(unix)]
mod content;
#[cfg(unix)]
mod delete;
#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod meta;
#[cfg(unix)]
mod node;
#[cfg(unix)]
mod open;
#[cfg(not(unix))]
mod other;
mod plain;
#[cfg(unix)]
mod scan;

#[cfg(unix)]
pub use directory::Directory;
#[cfg(unix)]
pub use open::{Folder, Unpacked};
#[cfg(not(unix))]
pub use other::{Directory, Folder, Unpacked};
pub use plain::PlainTar;

use crate::LayerPath;

/// Opens a regular file of a directory, for [`Unpacked::by`].
pub type Opener =
    std::sync::Arc<dyn Fn(&LayerPath) -> std::io::Result<std::fs::File> + Send + Sync>;

/// What to do with an entry that a scan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Take it, and look inside.
    Yes,
    /// Leave it out, with all inside.
    No,
    /// Look inside without taking it; it is taken when something inside is.
    Look,
}

/// How a [`Directory`] takes whiteouts and opaque folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteouts {
    /// As overlayfs has them (with `userxattr`): a character device 0:0, and the attribute
    /// `user.overlay.opaque`. The directory holds one layer.
    Overlay,
    /// By removing what is there: the directory holds the layers below.
    Apply,
}

/// What the kernel did not let this process put on disk; the tree has it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry.
    pub path: LayerPath,
    /// The owner, the mode, an attribute or the whole entry, in words.
    pub what: String,
    /// The full name of the extended attribute, where it is one.
    pub attribute: Option<Vec<u8>>,
}
