//! Trees whose files are on a disk: a folder, an unpacked layer, a plain tar.

#[cfg(unix)]
mod at;
#[cfg(unix)]
mod closed;
#[cfg(unix)]
mod content;
#[cfg(unix)]
mod crew;
#[cfg(unix)]
mod delete;
#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod made;
#[cfg(unix)]
mod meta;
#[cfg(unix)]
mod near;
#[cfg(unix)]
mod node;
#[cfg(unix)]
mod open;
#[cfg(not(unix))]
mod other;
mod plain;
#[cfg(unix)]
mod refusals;
#[cfg(unix)]
mod same;
#[cfg(unix)]
mod scan;

#[cfg(unix)]
pub use directory::Directory;
#[cfg(unix)]
pub use open::{Folder, Unpacked};
#[cfg(not(unix))]
pub use other::{Directory, Folder, Unpacked};
pub use plain::PlainTar;
pub(crate) use plain::read_at;

use crate::{Entry, Index, LayerPath};

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

/// What a scan makes of an entry as it is on disk: owners that a build context does not have, for one.
pub type Shown<'a> = &'a (dyn Fn(&mut Entry) + Sync);

/// How a folder is looked through.
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    /// How many threads look and read; 0: as many as there are processors.
    pub threads: usize,
    /// What was found out before.
    pub index: Option<&'a Index>,
    /// Contents that the index does not know are read when they have at most this many bytes
    /// together, where each counts 4 KiB more than it has; else all of them stay
    /// [`File::unread`](crate::File::unread).
    pub read_up_to: u64,
    /// Changes entries before they come into the tree; not their paths or kinds.
    pub shown: Option<Shown<'a>>,
}

impl Default for Scan<'_> {
    /// Reads everything, on all processors.
    fn default() -> Self {
        Self {
            threads: 0,
            index: None,
            read_up_to: u64::MAX,
            shown: None,
        }
    }
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("threads", &self.threads)
            .field("index", &self.index.map(Index::len))
            .field("read_up_to", &self.read_up_to)
            .finish_non_exhaustive()
    }
}

/// What a scan found out about contents.
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// How many files the index knew.
    pub known: usize,
    /// How many were read.
    pub read: usize,
    /// How many stayed unread.
    pub unread: usize,
    /// The index with what is new, if something is.
    pub index: Option<Index>,
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
