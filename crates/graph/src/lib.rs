#![doc = include_str!("../README.md")]

mod cancel;
mod error;
mod event;
mod executor;
mod graph;
mod key;
mod op;
mod plan;
mod solve;

pub use cancel::{Cancel, Guard};
pub use error::{SolveError, SolveErrorKind};
pub use event::{By, Event};
pub use executor::{Executor, Fresh, Limits, Settings};
pub use graph::{Graph, GraphBuilder, Node, NodeId, Origin};
pub use op::{
    CacheMount, Class, Compression, Copy, Device, Folder, Git, Http, Inline, InlineFile, Mount,
    MountKind, Network, Op, Pack, Run, SecretFile, SecretMount, Security, Select, Sharing,
    SshMount, Submodules, Taken, Upload,
};
pub use plan::{Answer, Plan, plan};
pub use solve::{Context, Solved, solve};
