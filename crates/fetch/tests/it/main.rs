//! Files from servers that mean well and from others.
#![allow(clippy::unwrap_used)]


