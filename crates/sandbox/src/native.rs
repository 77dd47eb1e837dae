//! The built-in runner.

use std::sync::Arc;

use crate::{Error, Io, Runner, Running, Spec, UserNamespace};

/// The built-in runner: needs Linux 5.12, and nothing installed. Without a namespace it needs root.
///
/// In a user namespace ids are those of the inside: user 0 is the caller on the host.
#[derive(Clone, Debug, Default)]
pub struct Native {
    namespace: Option<Arc<UserNamespace>>,
}

impl Native {
    /// Runs in this user namespace, or in none of its own.
    pub fn new(namespace: Option<Arc<UserNamespace>>) -> Self {
        Self { namespace }
    }

    /// As the user of this program needs it ([`UserNamespace::usual`]).
    ///
    /// # Errors
    ///
    /// Those of [`UserNamespace::usual`].
    pub fn usual() -> Result<Self, Error> {
        UserNamespace::usual().map(Self::new)
    }

    /// The user namespace.
    pub fn namespace(&self) -> Option<&Arc<UserNamespace>> {
        self.namespace.as_ref()
    }
}

#[cfg(target_os = "linux")]
impl Runner for Native {
    fn start(&self, spec: &Spec, io: Io) -> Result<Box<dyn Running>, Error> {
        let how = crate::linux::How::Native(self.namespace.as_deref());
        crate::linux::start(how, spec, io)
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
