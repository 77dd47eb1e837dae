//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

mod keys;
mod places;
mod records;
