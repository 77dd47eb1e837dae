//! The whole, end to end: the binary against real namespaces, real registries, and the tools that
//! others use.
#![allow(clippy::unwrap_used)]

mod build;
mod classic;
mod crowd;
mod demo;
mod disk;
mod images;
mod inspect;
mod interop;
mod kill;
mod login;
mod messages;
mod mirror;
mod reproducible;
mod run;
