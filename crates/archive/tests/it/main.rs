//! Archives written and read, by us and by the tools that people have.
#![allow(clippy::unwrap_used)]

mod hostile;
mod layout;
mod support;
mod tools;
mod writer;
