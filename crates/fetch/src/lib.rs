#![doc = include_str!("../README.md")]

mod error;
mod fetcher;
mod git;
mod http;
mod secret;
mod slot;
mod spool;
mod watch;

pub use error::{Error, ErrorKind};
pub use fetcher::{Fetcher, Kept, Limits, Options, Source};
pub use git::{Checkout, Commit, GitRequest};
pub use http::{Download, HttpRequest};
pub use secret::Authorization;
pub use spool::Range;
pub use watch::{Progress, Watch};
