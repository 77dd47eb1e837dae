//! Checks of text that means something, though probably not what was wanted.
//!
//! They need nothing but the text itself: no values, no context, no file system.

mod assignment;
mod failed_json;
mod replaced;
mod typography;

pub(crate) use assignment::assignment;
pub(crate) use failed_json::failed_json;
pub(crate) use replaced::replaced;
pub(crate) use typography::{describe, typography};
