//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

mod support;

mod compress;
mod copy;
mod diff;
mod disk;
mod hostile;
mod pack;
