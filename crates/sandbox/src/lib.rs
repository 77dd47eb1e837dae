#![doc = include_str!("../README.md")]

mod bytes;
mod capability;
mod entry;
mod error;
mod exit;
pub mod host;
mod id_map;
mod installed;
mod io;
mod namespace;
mod native;
mod runner;
mod runtime;
mod spec;

#[cfg(target_os = "linux")]
mod linux;

pub use capability::Capability;
pub use entry::{Door, Incoming, entry};
#[cfg(unix)]
pub use entry::{Outgoing, open, open_in};
pub use error::{Error, ErrorKind};
pub use exit::Exit;
pub use id_map::{IdMap, IdRange};
pub use io::{Io, Stream};
pub use namespace::UserNamespace;
pub use native::Native;
pub use runner::{Dialer, Outward, Runner, Running, Signaller};
pub use runtime::Runtime;
pub use spec::{
    Mount, MountPoint, Network, PointKind, Process, RootSpec, Spec, User, mount_points,
};
