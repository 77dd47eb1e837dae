#![doc = include_str!("../README.md")]

mod directory;
mod encode;
mod error;
mod explain;
mod key;
mod memory;
mod record;
mod tiered;

pub use directory::Directory;
pub use error::{Error, ErrorKind};
pub use explain::{Difference, explain};
pub use key::{Key, KeyBuilder};
pub use memory::Memory;
pub use record::{Part, Record, Records};
pub use tiered::Tiered;
