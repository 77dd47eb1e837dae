#![doc = include_str!("../README.md")]

mod entry;
mod error;
mod files;
mod merge;
mod pack;
mod path;
mod root;
mod tree;

pub use entry::{Entry, File, Kind, Meta, Time};
pub use error::{Error, ErrorKind};
pub use files::{Files, InMemory};
pub use merge::flatten;
pub use path::LayerPath;
pub use root::{Resolved, Root, RootLayer};
pub use tree::{Children, Tree};
