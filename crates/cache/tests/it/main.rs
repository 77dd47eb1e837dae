//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "records in files are looked at"
)]

mod keys;
mod places;
mod records;
