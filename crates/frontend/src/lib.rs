#![doc = include_str!("../README.md")]

mod bases;
mod check;
mod contexts;
mod epoch;
mod error;
mod history;
mod lower;
mod lowered;
mod onbuild;
mod options;
mod origin;
mod outline;
mod passwords;
mod path;
mod place;
mod scope;
mod stage;
mod suggest;
mod syntax;
mod target;
mod targets;
mod unneeded;

pub use bases::{Base, Bases, Resolved};
pub use check::{Checked, check};
pub use contexts::NamedContext;
pub use epoch::{Epoch, epoch};
pub use lower::{Lowering, Remote, lower};
pub use lowered::{Lowered, Stage, StageBase, Step};
pub use options::Options;
pub use outline::{Argument, Declared, Given, Outline, Source, outline};
pub use passwords::without_passwords;
pub use place::Lines;
pub use suggest::nearest;
pub use syntax::foreign;
pub use target::is_called;
pub use targets::{Target, Targets, targets};
