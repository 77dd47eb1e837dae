//! The layers of a pull or push, a line each when it has arrived, as docker prints them where there
//! is no terminal; on one, how far each is that is under way.

use std::{
    collections::{HashMap, HashSet},
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kiln_build::{
    Transfer,
    image::{Descriptor, Digest, Taken},
};

use super::moving::part;
use crate::host;

/// Tells of layers, on standard output where nobody asks for the other.
pub(crate) struct Layers {
    copied: &'static str,
    existed: &'static str,
    quiet: bool,
    on_stderr: bool,
    told: Mutex<HashSet<Digest>>,
    /// What is drawn of those under way, where there is somebody to see it.
    drawn: Option<MultiProgress>,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
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
            drawn: (!quiet && io::stderr().is_terminal()).then(MultiProgress::new),
            bars: Mutex::default(),
        }
    }

    /// The same on standard error: where standard output is a container's.
    pub(crate) fn on_stderr(mut self) -> Self {
        self.on_stderr = true;
        self
    }

    pub(crate) fn tell(&self, transfer: &Transfer<'_>) {
        match transfer {
            Transfer::Bytes(layer, bytes) => self.draw(layer, *bytes),
            Transfer::Taken(layer, how) => self.taken(layer, *how),
            _ => {}
        }
    }

    fn draw(&self, layer: &Descriptor, bytes: u64) {
        let Some(drawn) = &self.drawn else { return };
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(layer.digest).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_prefix(layer.digest.short());
            let style = ProgressStyle::with_template("{prefix}: {wide_msg}");
            drawn.add(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            })
        });
        bar.set_message(part(layer, bytes));
    }

    fn taken(&self, layer: &Descriptor, how: Taken) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(&layer.digest) {
            bar.finish_and_clear();
        }
        drop(bars);
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
        match &self.drawn {
            Some(drawn) => drawn.suspend(|| self.say(&line)),
            None => self.say(&line),
        }
    }

    fn say(&self, line: &str) {
        if self.on_stderr {
            host::say(line);
        } else {
            // Progress is no result: a reader that went away does not stop the transfer.
            let _ = host::print(&format!("{line}\n"));
        }
    }
}
