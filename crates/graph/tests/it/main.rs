//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

mod cache;
mod counters;
mod keys;
mod late;
mod running;
mod shape;
