//! An installed OCI runtime as a runner.

use std::path::PathBuf;

use crate::{Error, Io, Runner, Running, Spec};

/// An installed OCI runtime (`runc`, `crun`): a [`Spec`] becomes a bundle, the runtime carries it
/// out. It refuses [`Spec::init`], for which it would have to bring a program into the root.
#[derive(Clone, Debug)]
pub struct Runtime {
    program: PathBuf,
}

impl Runtime {
    /// The runtime at this path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }
}

#[cfg(target_os = "linux")]
impl Runner for Runtime {
    fn start(&self, spec: &Spec, io: Io) -> Result<Box<dyn Running>, Error> {
        crate::linux::start(crate::linux::How::Runtime(&self.program), spec, io)
    }
}

#[cfg(not(target_os = "linux"))]
impl Runner for Runtime {
    fn start(&self, _: &Spec, _: Io) -> Result<Box<dyn Running>, Error> {
        let _ = &self.program;
        Err(crate::native::elsewhere())
    }
}
