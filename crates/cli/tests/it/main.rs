//! The tests of this crate as a stranger sees it: through the program's own face. Nothing here needs
//! a store: what is wrong with a command line is said before one is opened.
#![allow(clippy::unwrap_used)]

mod usage;
