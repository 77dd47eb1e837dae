//! Pulls, pushes, credentials and faults, against a registry in the process and Debian's.
#![allow(clippy::unwrap_used)]

mod auth;
mod debian;
mod errors;
#[cfg(unix)]
mod login;
#[cfg(target_os = "linux")]
mod memory;
mod mirrors;
mod pull;
mod push;
mod support;
mod tools;
