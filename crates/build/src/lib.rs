#![doc = include_str!("../README.md")]

mod bases;
mod builder;
mod change;
mod check;
mod context;
mod error;
mod event;
mod executor;
mod export;
mod job;
mod local;
mod request;
mod secrets;
pub mod time;
mod transfer;
mod worker;

pub use builder::{Builder, Built, Options};
pub use change::change_config;
pub use check::{Checked, targets};
pub use context::{
    Fetched, FetchedFile, FilesContext, LayoutImage, LocalContext, Purpose, StoreIndexes,
};
pub use error::{Error, ErrorKind, Place, Report};
pub use event::{Event, Fetching, How, Sent, StepInfo, Stream, Transfer};
pub use local::Local;
pub use request::{
    Absent, Agents, Allow, Annotated, Annotation, ArchiveExport, Context, Destination, Entitlement,
    Export, FilesExport, FilesTo, ImageExport, ImageForm, Indexes, Look, Named, Nothing, Outputs,
    PushTo, Receiver, Request, RunSettings, Secret, Secrets, Settings, Talk, WithDigest, Writing,
};
pub use transfer::{From, Loaded, Pulled, Push, Pushed};
pub use worker::{Bounds, Layer, Network, Step, StepIo, Worker};

pub use kiln_durable as durable;
pub use kiln_fetch as fetch;
pub use kiln_frontend::{
    Argument, Given, Lines, NamedContext, Outline, Target, Targets, is_called, without_passwords,
};
pub use kiln_graph::{Cancel, Compression, Limits, Select};
pub use kiln_image as image;
pub use kiln_layer as layer;
pub use kiln_parser as parser;
pub use kiln_registry as registry;
pub use kiln_rootfs as rootfs;
pub use kiln_sandbox as sandbox;
pub use kiln_store as store;

/// The doors by which this program's own children come in; `main` hands them to
/// [`sandbox::entry`] before it does anything else.
pub const DOORS: &[sandbox::Door] = kiln_rootfs::DOORS;
