#![doc = include_str!("../README.md")]

mod apply;
mod archive;
mod compress;
pub mod copy;
mod diff;
mod disk;
mod entry;
mod error;
mod files;
#[cfg_attr(not(unix), allow(dead_code))] // scans are for unix
mod index;
pub mod indexed;
mod links;
mod merge;
mod pack;
mod path;
mod pipe;
mod root;
mod stack;
mod target;
mod tree;
pub mod usage;
mod watch;
mod xattrs;

pub use apply::{Applied, apply, apply_within};
pub use archive::{Archive, Limits};
pub use compress::{
    Compressed, Compressing, Compressor, compress, compress_with, decompress, levels,
};
pub use diff::{diff, upper_changes};
pub use disk::{
    Directory, Folder, Keep, Opener, PlainTar, Refusal, Scan, Scanned, Shown, Unpacked, Whiteouts,
};
pub use entry::{Entry, File, Kind, Meta, Time};
pub use error::{Error, ErrorKind};
pub use files::{Content, Files, InMemory, Opening};
pub use index::Index;
pub use merge::flatten;
pub use pack::{
    DIALECT, Packed, Packer, Packing, Previous, Times, pack, pack_changes, pack_entries,
};
pub use path::LayerPath;
pub use pipe::{PipeReader, PipeWriter, pipe, read_ahead};
pub use root::{Resolved, Root, RootLayer};
pub use target::{Nothing, Target, write};
pub use tree::{Children, Tree};
pub use watch::{Sighting, Watch, Watched};
pub use xattrs::keeps_attribute;
