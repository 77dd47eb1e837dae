#![doc = include_str!("../README.md")]

mod config;
mod copy;
mod descriptor;
mod digest;
mod error;
mod image;
mod manifest;
pub mod media;
mod memory;
mod platform;
mod raw;
mod reference;
mod source;

pub use config::{Config, Empty, Healthcheck, History, RootFs, Runtime};
pub use copy::{Progress, Select, copy};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, HashingWriter, Verifier};
pub use error::{Error, ErrorKind};
pub use image::Image;
pub use manifest::{Index, Manifest};
pub use memory::Memory;
pub use platform::Platform;
pub use raw::Raw;
pub use reference::Reference;
pub use source::{Location, Open, Sink, Source, Taken};
