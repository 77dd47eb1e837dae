//! Trees whose files are on a disk: a folder, an unpacked layer, a plain tar.

#[cfg(unix)]
mod at;
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
pub use directory::{Directory, Refusal, Whiteouts};
#[cfg(unix)]
pub use open::{Folder, Unpacked};
#[cfg(not(unix))]
pub use other::{Directory, Folder, Refusal, Unpacked, Whiteouts};
pub use plain::PlainTar;

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
