//! The conformance suite: cases as data, what a builder makes of them, and in what that differs from
//! what they ask for.
//!
//! A case is a table in a file below `tests/conformance/cases`; its README says what can stand in
//! one. Trees, config and history are compared, digests never: the same cases are given to kiln and
//! to the tools of others.

mod builder;
mod case;
mod check;
mod image;
mod line;
mod material;
mod served;
mod suite;

pub use builder::{Builder, Ours, Peer};
pub use case::{Case, cases, differences, gaps};
pub use suite::{Report, Suite};

use std::path::PathBuf;

/// Why something could not be done.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What can fail for any reason that a person will read.
pub type Result<T> = std::result::Result<T, Error>;

/// Where the cases lie.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance"))
}
