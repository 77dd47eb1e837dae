#![doc = include_str!("../README.md")]

mod bodies;
#[cfg(target_os = "linux")]
mod changes;
#[cfg(target_os = "linux")]
mod commit;
mod committed;
mod error;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod make;
#[cfg(target_os = "linux")]
mod measure;
pub mod network_files;
pub mod owner;
#[cfg(target_os = "linux")]
mod plan;
mod prepared;
mod roots;
mod stream;
#[cfg(target_os = "linux")]
mod upper;

pub use bodies::{Bodies, Direct, Measure, bodies};
pub use committed::Committed;
pub use error::{Error, ErrorKind};
pub use network_files::NetworkFiles;
pub use prepared::Prepared;
pub use roots::{MAX_LAYERS, Roots};
