//! The built-in runner.

use crate::{Error, Io, Runner, Running, Spec};

/// The built-in runner: needs Linux 5.12, root, and nothing installed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

#[cfg(target_os = "linux")]
impl Runner for Native {
    fn start(&self, spec: &Spec, io: Io) -> Result<Box<dyn Running>, Error> {
        crate::linux::start(crate::linux::SANDBOX, spec, io, None)
    }
}

#[cfg(not(target_os = "linux"))]
impl Runner for Native {
    fn start(&self, _: &Spec, _: Io) -> Result<Box<dyn Running>, Error> {
        Err(elsewhere())
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn elsewhere() -> Error {
    Error::new(
        crate::ErrorKind::Unsupported,
        "running a process in a root needs Linux",
    )
}
