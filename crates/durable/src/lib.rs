#![doc = include_str!("../README.md")]

mod disk;
mod error;
mod file;
mod folder;
mod lease;

pub use disk::FileSystem;
pub use error::{Error, ErrorKind};
pub use file::{NewFile, replace, replace_by, replace_synced};
pub use folder::{sync_file, sync_folder, syncfs};
pub use lease::{Lease, Lock};
