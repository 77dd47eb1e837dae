//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // what is not run is said

mod support;

mod archive;
mod compress;
mod copy;
mod diff;
mod disk;
mod hostile;
mod indexed;
mod memory;
mod pack;
mod packing;
mod pipe;
mod properties;
mod scan;
mod sparse;
mod usage;
