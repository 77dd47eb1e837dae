#![doc = include_str!("../README.md")]

mod bases;
mod error;
mod history;
mod lower;
mod lowered;
mod onbuild;
mod options;
mod path;
mod scope;
mod stage;
mod suggest;

pub use bases::{Base, Bases, Resolved};
pub use lower::{Lowering, lower};
pub use lowered::{Lowered, Stage, StageBase, Step};
pub use options::Options;
