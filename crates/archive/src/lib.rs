#![doc = include_str!("../README.md")]

mod docker;
mod files;
mod folder;
mod index;
mod names;
mod reader;
mod writer;

pub use folder::LayoutDirectory;
pub use reader::{Entry, Reader};
pub use writer::Writer;
