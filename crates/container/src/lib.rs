#![doc = include_str!("../README.md")]

mod containers;
mod create;
mod detach;
mod error;
mod forward;
mod holder;
mod host;
pub mod mounts;
mod names;
mod publish;
mod run;
mod state;
mod sweep;
mod volumes;

pub use containers::{Container, Containers};
pub use create::{Base, Command, Create};
pub use detach::{DetachKeys, Typed};
pub use error::{Error, ErrorKind};
pub use forward::Bound;
pub use host::{HostConfig, NetworkMode, Restart, Stdin, extra_host};
pub use publish::{Protocol, Publish};
pub use run::Running;
pub use state::{Details, State};
pub use volumes::{Pruned, Volume, Volumes};
