//! The last lines of each step's output: shown when a step fails whose output was not.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kiln_build::{Event, StepInfo};

use super::Progress;
use crate::host;

/// How many lines are kept of each step.
const LINES: usize = 20;
/// How many bytes of a line are kept.
const WIDTH: usize = 2000;

/// Shows nothing, and remembers enough for a failure.
#[derive(Default)]
pub(crate) struct Tail {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: Vec<StepInfo>,
    lines: HashMap<usize, VecDeque<String>>,
    open: HashMap<usize, Vec<u8>>,
    failed: Option<usize>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last lines of the step that failed, under its name.
    pub(crate) fn text(&self) -> Option<String> {
        let mut state = self.lock();
        let step = state.failed?;
        if let Some(rest) = state.open.remove(&step) {
            state.push(step, &rest);
        }
        let lines = state.lines.get(&step)?;
        let info = state.steps.get(step)?;
        let mut text = format!("------\n > {}:\n", title(info));
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("------");
        Some(text)
    }
}

impl State {
    fn push(&mut self, step: usize, line: &[u8]) {
        let line = &line[..line.len().min(WIDTH)];
        let line = String::from_utf8_lossy(line)
            .trim_end_matches('\r')
            .to_owned();
        let lines = self.lines.entry(step).or_default();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

impl Progress for Tail {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.lock();
        match event {
            Event::Steps { steps, .. } => state.steps = steps.to_vec(),
            Event::Output { step, bytes, .. } => {
                let mut open = state.open.remove(step).unwrap_or_default();
                for piece in bytes.split_inclusive(|c| *c == b'\n') {
                    // A line without an end must not fill the memory.
                    if open.len() < WIDTH {
                        open.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
                    }
                    if piece.ends_with(b"\n") {
                        state.push(*step, &open);
                        open.clear();
                    }
                }
                if !open.is_empty() {
                    state.open.insert(*step, open);
                }
            }
            Event::Failed { step } => state.failed = Some(*step),
            _ => {}
        }
    }

    fn finish(&self, failed: bool) {
        if failed && let Some(text) = self.text() {
            host::say(&text);
        }
    }
}

/// What a step is called: `[build 2/7] RUN make`.
pub(crate) fn title(info: &StepInfo) -> String {
    format!(
        "[{} {}/{}] {}",
        info.stage, info.in_stage, info.of_stage, info.text
    )
}
