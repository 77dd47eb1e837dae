#![doc = include_str!("../README.md")]

mod bytes;
mod capability;
#[cfg(target_os = "linux")]
pub mod descriptors;
mod enter;
mod entry;
mod error;
mod exit;
mod foreign;
pub mod host;
mod id_map;
mod installed;
mod io;
mod limits;
mod mount;
mod namespace;
mod native;
mod peer;
mod runner;
mod runtime;
mod spec;
pub mod terminal;

#[cfg(target_os = "linux")]
mod linux;

pub use capability::Capability;
#[cfg(unix)]
pub use enter::open_inside;
pub use enter::{Place, enter, enter_detached};
pub use entry::{Door, Incoming, entry};
#[cfg(unix)]
pub use entry::{Outgoing, open, open_in};
pub use error::{Error, ErrorKind};
pub use exit::Exit;
pub use id_map::{IdMap, IdRange};
pub use io::{Io, Stream};
pub use limits::{Cpu, Limits, Memory, Resource, Ulimit};
pub use mount::{Hidden, Mount, Owned};
pub use namespace::UserNamespace;
pub use native::Native;
pub use peer::Peer;
pub use runner::{Dialer, Outward, Runner, Running, Signaller};
pub use runtime::Runtime;
pub use spec::{
    Device, MountPoint, Network, PointKind, Process, RootSpec, Spec, User, mount_points,
};
