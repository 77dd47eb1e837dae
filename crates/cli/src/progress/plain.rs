//! All output as it comes, each line with the number of its step and the seconds since its start: a
//! log that can be read and searched afterwards.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use kiln_build::{Event, How, StepInfo};

use super::{Progress, fetches::Fetches, moving::Moving, tail::title};
use crate::{host, units};

/// Writes lines to standard error.
#[derive(Default)]
pub(crate) struct Plain {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: Vec<StepInfo>,
    started: HashMap<usize, Instant>,
    /// Unfinished lines.
    open: HashMap<usize, Vec<u8>>,
    moving: Moving,
    /// The step that was written of last.
    current: Option<usize>,
    fetches: Fetches,
}

/// A line this long is written before it has an end.
const LONGEST: usize = 1 << 16;

impl Plain {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Names a step before its lines, unless the last lines were its own.
    fn switch(&mut self, step: usize) {
        if self.current == Some(step) {
            return;
        }
        if self.current.is_some() {
            host::say("");
        }
        if let Some(info) = self.steps.get(step) {
            host::say(&format!("#{} {}", step + 1, title(info)));
        }
        self.current = Some(step);
    }

    /// A line of no step, between those of steps.
    fn aside(&mut self, text: &str) {
        if self.current.take().is_some() {
            host::say("");
        }
        host::say(text);
    }

    fn say(&mut self, step: usize, text: &str) {
        self.switch(step);
        host::say(&format!("#{} {text}", step + 1));
    }

    fn line(&mut self, step: usize, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let since = self.since(step);
        self.say(step, &format!("{since} {}", text.trim_end_matches('\r')));
    }

    /// Seconds since the start of a step: three digits behind the point, fewer for long ones.
    fn since(&self, step: usize) -> String {
        let seconds = self
            .started
            .get(&step)
            .map_or(0.0, |at| at.elapsed().as_secs_f64());
        match seconds {
            s if s < 10.0 => format!("{s:.3}"),
            s if s < 100.0 => format!("{s:.2}"),
            s => format!("{s:.1}"),
        }
    }

    fn output(&mut self, step: usize, bytes: &[u8]) {
        let mut open = self.open.remove(&step).unwrap_or_default();
        for piece in bytes.split_inclusive(|c| *c == b'\n') {
            open.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
            if piece.ends_with(b"\n") || open.len() > LONGEST {
                self.line(step, &open);
                open.clear();
            }
        }
        if !open.is_empty() {
            self.open.insert(step, open);
        }
    }

    fn end(&mut self, step: usize, text: &str) {
        if let Some(rest) = self.open.remove(&step) {
            self.line(step, &rest);
        }
        self.say(step, text);
        host::say("");
        self.current = None;
    }

    fn finished(&mut self, step: usize, how: How, layer: Option<u64>) {
        let took = self
            .started
            .get(&step)
            .map_or(0.0, |at| at.elapsed().as_secs_f64());
        let size = layer.map_or_else(String::new, |s| format!(", layer of {}", units::size(s, 3)));
        match how {
            How::Cached => self.end(step, "CACHED"),
            How::Verified => self.end(
                step,
                "CACHED (what it depends on was made anew, and is the same)",
            ),
            How::Ran => self.end(step, &format!("DONE {took:.1}s{size}")),
            How::Config => {}
        }
    }
}

impl Progress for Plain {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.lock();
        match event {
            Event::Steps { steps, .. } => state.steps = steps.to_vec(),
            Event::Fetching { what, state: how } => {
                state
                    .fetches
                    .line(what, *how)
                    .iter()
                    .for_each(|line| host::say(line));
            }
            Event::Resolving(name) => host::say(&format!("resolving {}", name.familiar())),
            Event::Started { step, .. } => {
                state.started.insert(*step, Instant::now());
            }
            Event::Pulling {
                step,
                blob,
                bytes: None,
            } => {
                let size = units::size(blob.size, 3);
                state.say(*step, &format!("{} {size} pulled", blob.digest));
            }
            Event::Pulling {
                step,
                blob,
                bytes: Some(bytes),
            } => {
                if let Some(line) = state.moving.so_far(blob, *bytes) {
                    state.say(*step, &line);
                }
            }
            Event::Pushing { to, blob, how } => {
                if let Some(line) = state.moving.pushing(to, blob, *how) {
                    state.aside(&line);
                }
            }
            Event::Output { step, bytes, .. } => state.output(*step, bytes),
            Event::Finished {
                step, how, layer, ..
            } => state.finished(*step, *how, layer.map(|(_, size)| size)),
            Event::Failed { step } => state.end(*step, "ERROR"),
            Event::Canceled { step } => state.end(*step, "CANCELED"),
            _ => {}
        }
    }

    fn finish(&self, _failed: bool) {}
}
