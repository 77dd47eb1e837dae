#![doc = include_str!("../README.md")]

mod bodies;
mod body;
#[cfg(target_os = "linux")]
mod changes;
#[cfg(target_os = "linux")]
mod commit;
mod committed;
mod cores;
#[cfg(target_os = "linux")]
mod disk;
mod error;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod ids;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod make;
mod maker;
#[cfg(target_os = "linux")]
mod measure;
pub mod network_files;
pub mod owner;
#[cfg(target_os = "linux")]
mod plan;
mod prepared;
mod repeated;
mod roots;
#[cfg(target_os = "linux")]
mod spread;
mod stream;
#[cfg(target_os = "linux")]
mod unpack;
#[cfg(target_os = "linux")]
mod upper;

pub use bodies::{Bodies, Commit, Direct, Measure, bodies};
pub use committed::Committed;
pub use error::{Error, ErrorKind};
#[cfg(target_os = "linux")]
pub use keeper::{DOORS, Keeper};
pub use network_files::NetworkFiles;
pub use prepared::{Point, Prepared};
pub use repeated::Repeated;
pub use roots::{MAX_LAYERS, Roots};

/// The doors of this crate, for [`kiln_sandbox::entry`]: none on this system.
#[cfg(not(target_os = "linux"))]
pub const DOORS: &[kiln_sandbox::Door] = &[];
