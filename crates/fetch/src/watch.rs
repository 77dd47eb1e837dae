//! How a caller looks on while something is fetched, and stops it.

use std::fmt;

use crate::Error;

/// How far a download or a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes that there will be, where that is known.
    pub total: Option<u64>,
}

/// Who looks on. Both are called from any thread, and often.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is told how far it is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Whether to stop. Looked at a few times a second.
    pub canceled: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch<'static> {
    /// Nobody looks on, and nobody stops it.
    pub const NOBODY: Self = Watch {
        progress: &|_| {},
        canceled: &|| false,
    };
}

impl Watch<'_> {
    pub(crate) fn check(&self) -> Result<(), Error> {
        match (self.canceled)() {
            true => Err(Error::canceled()),
            false => Ok(()),
        }
    }
}
