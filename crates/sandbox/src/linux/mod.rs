//! Linux.

use std::path::Path;

use crate::{Door, Error, Io, Running, Spec};

pub(crate) const SANDBOX: &str = "sandbox";
pub(crate) const RUNTIME: &str = "runtime";
pub(crate) const DOORS: &[Door] = &[];

pub(crate) fn start(
    _door: &str,
    _spec: &Spec,
    _io: Io,
    _program: Option<&Path>,
) -> Result<Box<dyn Running>, Error> {
    Err(Error::new(
        crate::ErrorKind::Unsupported,
        "running a process is not carried out yet",
    ))
}
