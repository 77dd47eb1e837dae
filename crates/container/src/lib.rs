#![doc = include_str!("../README.md")]
// Where nothing can run, what only a monitor needs is not used; it compiles all the same.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod attach;
mod commit;
mod container;
mod containers;
mod control;
mod copy;
mod create;
mod detach;
mod diff;
mod error;
mod exec;
mod export;
mod files;
mod forward;
mod frame;
mod holder;
mod host;
mod life;
mod logs;
#[cfg(target_os = "linux")]
mod monitor;
pub mod mounts;
mod names;
mod publish;
mod removal;
mod root;
mod signal;
mod spawn;
mod state;
mod sweep;
mod time;
mod top;
mod volumes;

pub use attach::{Attach, AttachEnd, AttachIo, Attached, Resizer, Size};
pub use commit::Commit;
pub use containers::{Container, Containers};
pub use copy::{CopyOptions, PathStat};
pub use create::{Base, Command, Create};
pub use detach::{DetachKeys, Typed};
pub use diff::Change;
pub use error::{Error, ErrorKind};
pub use exec::Exec;
pub use files::{Landing, landing};
pub use forward::Bound;
pub use host::{HostConfig, NetworkMode, Restart, Stdin, extra_host};
pub use logs::{Line, LogQuery, LogStream, Logs};
pub use publish::{Protocol, Publish};
pub use signal::signal_number;
pub use state::{Details, State};
pub use top::Process;
pub use volumes::{Pruned, Volume, Volumes};

/// The doors by which this crate's own children come in, for
/// [`kiln_sandbox::entry`].
pub const DOORS: &[kiln_sandbox::Door] = &[
    #[cfg(target_os = "linux")]
    monitor::DOOR,
    #[cfg(target_os = "linux")]
    copy::DOOR,
];
