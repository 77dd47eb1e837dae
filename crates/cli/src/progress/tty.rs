//! One line a step, and below them what runs just now with its last line of output.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kiln_build::{
    Event, Fetching, How, Sent, StepInfo,
    image::{Descriptor, Reference, Taken},
};

use super::{
    Progress, Tail,
    fetches::amount,
    moving::{part, word},
    tail::title,
};
use crate::{host, units};

/// How many letters of a title are shown while its step runs.
const TITLE: usize = 48;

/// Draws on standard error.
pub(crate) struct Tty {
    bars: MultiProgress,
    state: Mutex<State>,
    tail: Tail,
}

#[derive(Default)]
struct State {
    steps: Vec<StepInfo>,
    running: HashMap<usize, (ProgressBar, Instant)>,
    /// What is fetched before there are steps.
    fetched: HashMap<String, (ProgressBar, Instant)>,
}

impl Tty {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            state: Mutex::default(),
            tail: Tail::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, state: &mut State, step: usize) {
        let Some(info) = state.steps.get(step) else {
            return;
        };
        let bar = self.bar(&title(info));
        state.running.insert(step, (bar, Instant::now()));
    }

    /// What is drawn for something that goes on.
    fn bar(&self, title: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed}  {wide_msg:.dim}");
        let bar = ProgressBar::new_spinner().with_prefix(cut(title));
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        let bar = self.bars.add(bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn fetching(&self, state: &mut State, what: &str, how: Fetching) {
        let (mark, word) = match how {
            Fetching::Started => {
                let bar = self.bar(what);
                state.fetched.insert(what.to_owned(), (bar, Instant::now()));
                return;
            }
            Fetching::Bytes { done, total } => {
                if let Some((bar, _)) = state.fetched.get(what) {
                    bar.set_message(amount(done, total));
                }
                return;
            }
            Fetching::Done => ("+", ""),
            Fetching::Failed => ("!", "failed"),
            Fetching::Canceled => ("-", "canceled"),
        };
        if let Some((bar, at)) = state.fetched.remove(what) {
            bar.finish_and_clear();
            let took = at.elapsed().as_secs_f64();
            let line = format!("{mark} {what}  {took:.1}s  {word}");
            self.bars.suspend(|| host::say(line.trim_end()));
        }
    }

    /// A layer on its way out, by what it is and where it goes.
    fn pushing(&self, state: &mut State, to: &Reference, blob: &Descriptor, how: Sent) {
        let to = to.familiar_repository();
        let what = format!("push {} to {to}", blob.digest.short());
        match how {
            Sent::Bytes(bytes) => {
                let bar = state.fetched.entry(what);
                let bar = bar.or_insert_with_key(|what| (self.bar(what), Instant::now()));
                bar.0.set_message(part(blob, bytes));
            }
            Sent::Done(how) => {
                let took = state.fetched.remove(&what).map(|(bar, at)| {
                    bar.finish_and_clear();
                    format!("  {:.1}s", at.elapsed().as_secs_f64())
                });
                let mark = if how == Taken::Copied { "+" } else { "=" };
                let size = units::size(blob.size, 3);
                let line = format!(
                    "{mark} {what}{}  {size} {}",
                    took.unwrap_or_default(),
                    word(how)
                );
                self.bars.suspend(|| host::say(&line));
            }
        }
    }

    /// Takes a step from what runs, and writes its line.
    fn end(&self, state: &mut State, step: usize, mark: &str, word: &str) {
        let Some(info) = state.steps.get(step) else {
            return;
        };
        let mut line = format!("{mark} {}", title(info));
        if let Some((bar, at)) = state.running.remove(&step) {
            bar.finish_and_clear();
            line.push_str(&format!("  {:.1}s", at.elapsed().as_secs_f64()));
        }
        if !word.is_empty() {
            line.push_str(&format!("  {word}"));
        }
        self.bars.suspend(|| host::say(&line));
    }
}

/// A title that leaves room for a line of output beside it.
fn cut(title: &str) -> String {
    let line: String = title.chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl Progress for Tty {
    fn event(&self, event: &Event<'_>) {
        self.tail.event(event);
        let mut state = self.lock();
        match event {
            Event::Steps { steps, .. } => state.steps = steps.to_vec(),
            Event::Fetching { what, state: how } => self.fetching(&mut state, what, *how),
            Event::Started { step, .. } => self.start(&mut state, *step),
            Event::Output { step, bytes, .. } => {
                let text = String::from_utf8_lossy(bytes);
                let last = text.lines().rev().find(|line| !line.trim().is_empty());
                if let (Some((bar, _)), Some(last)) = (state.running.get(step), last) {
                    let shown = last.chars().filter(|c| !c.is_control());
                    bar.set_message(shown.collect::<String>());
                }
            }
            Event::Pulling { step, blob, bytes } => {
                if let (Some((bar, _)), Some(bytes)) = (state.running.get(step), bytes) {
                    bar.set_message(format!("{} {}", blob.digest.short(), part(blob, *bytes)));
                }
            }
            Event::Pushing { to, blob, how } => self.pushing(&mut state, to, blob, *how),
            Event::Finished {
                step, how, layer, ..
            } => {
                let size = layer.map_or_else(String::new, |(_, s)| units::size(s, 3));
                match how {
                    How::Cached => self.end(&mut state, *step, "=", "cached"),
                    How::Verified => self.end(&mut state, *step, "=", "same as before"),
                    How::Ran => self.end(&mut state, *step, "+", &size),
                    How::Config => {
                        if let Some((bar, _)) = state.running.remove(step) {
                            bar.finish_and_clear();
                        }
                    }
                }
            }
            Event::Failed { step } => self.end(&mut state, *step, "!", "failed"),
            Event::Canceled { step } => self.end(&mut state, *step, "-", "canceled"),
            _ => {}
        }
    }

    fn finish(&self, failed: bool) {
        // A terminal that is gone is no reason to stop a build.
        let _ = self.bars.clear();
        self.tail.finish(failed);
    }
}
