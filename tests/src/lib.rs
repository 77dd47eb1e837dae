//! Support for tests: the binary with a store of its own, base images and registries made on the
//! spot, users of the machine, and a harness where the usual one cannot be.

#[cfg(unix)]
pub mod base;
#[cfg(unix)]
pub mod conformance;
#[cfg(unix)]
pub mod delegation;
pub mod entries;
pub mod harness;
#[cfg(unix)]
pub mod kiln;
#[cfg(unix)]
pub mod peers;
#[cfg(unix)]
pub mod pty;
pub mod registry;
pub mod until;
#[cfg(unix)]
pub mod users;
pub mod web;
#[cfg(unix)]
pub mod who;
