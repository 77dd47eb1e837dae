//! The layers of a pull or push, a line each when it has arrived, as docker prints them where there
//! is no terminal.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use kiln_build::{
    Transfer,
    image::{Digest, Taken},
};

use crate::host;

/// Tells of layers on standard output.
pub(crate) struct Layers {
    copied: &'static str,
    existed: &'static str,
    quiet: bool,
    told: Mutex<HashSet<Digest>>,
}

impl Layers {
    /// `copied` and `existed` are the words for a layer whose bytes travelled, and for one that was
    /// there.
    pub(crate) fn new(copied: &'static str, existed: &'static str, quiet: bool) -> Self {
        Self {
            copied,
            existed,
            quiet,
            told: Mutex::default(),
        }
    }

    pub(crate) fn tell(&self, transfer: &Transfer<'_>) {
        let Transfer::Taken(layer, how) = transfer else {
            return;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.quiet || !told.insert(layer.digest) {
            return;
        }
        let word = match how {
            Taken::Copied => self.copied,
            Taken::Existed => self.existed,
            Taken::Mounted => "Mounted",
        };
        // Progress is no result: a reader that went away does not stop the transfer.
        let _ = host::print(&format!("{}: {word}\n", layer.digest.short()));
    }
}
