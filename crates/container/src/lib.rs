#![doc = include_str!("../README.md")]

mod containers;
mod create;
mod error;
mod forward;
mod holder;
mod names;
mod publish;
mod run;
mod state;
mod sweep;

pub use containers::{Container, Containers};
pub use create::{Base, Command, Create};
pub use error::{Error, ErrorKind};
pub use forward::Bound;
pub use publish::{Protocol, Publish};
pub use run::Running;
pub use state::{Details, State};
