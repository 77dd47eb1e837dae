//! Support for the end-to-end tests: the binary with a store of its own, base images and registries
//! made on the spot.

pub mod base;
pub mod entries;
pub mod kiln;
pub mod peers;
pub mod pty;
pub mod registry;
pub mod until;
pub mod users;
