#![doc = include_str!("../README.md")]

mod bytes;
mod capability;
mod entry;
mod error;
mod exit;
mod io;
mod native;
mod runner;
mod runtime;
mod spec;

#[cfg(target_os = "linux")]
mod linux;

pub use capability::Capability;
pub use entry::{Door, Incoming, entry};
#[cfg(unix)]
pub use entry::{Outgoing, open};
pub use error::{Error, ErrorKind};
pub use exit::Exit;
pub use io::{Io, Stream};
pub use native::Native;
pub use runner::{Dialer, Outward, Runner, Running, Signaller};
pub use runtime::Runtime;
pub use spec::{
    Mount, MountPoint, Network, PointKind, Process, RootSpec, Spec, User, mount_points,
};
