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

/// Tells of layers, on standard output where nobody asks for the other.
pub(crate) struct Layers {
    copied: &'static str,
    existed: &'static str,
    quiet: bool,
    on_stderr: bool,
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
            on_stderr: false,
            told: Mutex::default(),
        }
    }

    /// The same on standard error: where standard output is a container's.
    pub(crate) fn on_stderr(mut self) -> Self {
        self.on_stderr = true;
        self
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
        let line = format!("{}: {word}", layer.digest.short());
        if self.on_stderr {
            host::say(&line);
        } else {
            // Progress is no result: a reader that went away does not stop the transfer.
            let _ = host::print(&format!("{line}\n"));
        }
    }
}
