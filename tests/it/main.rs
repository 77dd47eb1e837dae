//! The whole, end to end: the binary against real namespaces, real registries, and the tools that
//! others use.
#![allow(clippy::unwrap_used)]

mod build;
mod classic;
mod demo;
mod images;
mod inspect;
mod interop;
mod kill;
mod messages;
mod reproducible;
mod run;
