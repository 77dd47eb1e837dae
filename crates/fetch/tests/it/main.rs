//! Files and repositories from servers that mean well, and from others.
#![allow(clippy::unwrap_used)]

#[cfg(unix)]
mod git;
#[cfg(unix)]
mod hostile;
mod http;
mod support;
