//! The transcript of docker's classic builder, line for line. Steps that run at the same time are
//! shown in the order of the file: what a later one says waits for the earlier ones.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kiln_build::{Event, How, StepInfo, image::Digest};

use super::Progress;

/// Writes to standard output, as docker does.
#[derive(Default)]
pub(crate) struct Classic {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: Vec<StepInfo>,
    said: Vec<VecDeque<Said>>,
    /// The step whose turn it is, and whether its header is written.
    turn: usize,
    header: bool,
    /// The container that the step whose turn it is works in.
    container: Option<String>,
}

/// What a step said, until it is its turn.
enum Said {
    Started(String),
    Output(Vec<u8>),
    Finished(How, Option<Digest>),
    Failed,
}

impl Classic {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say(&mut self, step: usize, said: Said) {
        if let Some(queue) = self.said.get_mut(step) {
            queue.push_back(said);
        }
        let mut out = Vec::new();
        while self.write(&mut out) {}
        // A reader that went away does not stop the build.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&out).and_then(|()| stdout.flush());
    }

    /// Writes one thing of the step whose turn it is; false when there is nothing.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(said) = self.said.get_mut(self.turn).and_then(VecDeque::pop_front) else {
            return false;
        };
        let info = self.steps[self.turn].clone();
        if !self.header {
            self.header = true;
            if !info.trigger {
                line(
                    out,
                    &format!("Step {}/{} : {}", info.number, info.total, info.text),
                );
            }
        }
        let from = info.in_stage == 1;
        match said {
            // FROM, COPY and ADD work in no container.
            Said::Started(_) if from || copies(&info) => {}
            Said::Started(id) => {
                line(out, &format!(" ---> Running in {}", &id[..12]));
                self.container = Some(id);
            }
            Said::Output(bytes) => out.extend(bytes),
            Said::Failed => return false,
            Said::Finished(how, image) => {
                if let Some(id) = self.container.take() {
                    line(
                        out,
                        &format!(" ---> Removed intermediate container {}", &id[..12]),
                    );
                } else if !from && matches!(how, How::Cached | How::Verified) {
                    line(out, " ---> Using cache");
                }
                self.arrow(out, from, image);
                self.turn += 1;
                self.header = false;
            }
        }
        true
    }

    /// The image so far; of a FROM with triggers, after the last of these.
    fn arrow(&self, out: &mut Vec<u8>, from: bool, image: Option<Digest>) {
        let triggers = self.steps[self.turn + 1..]
            .iter()
            .take_while(|s| s.trigger)
            .count();
        if triggers > 0 {
            if from {
                let plural = if triggers == 1 { "" } else { "s" };
                line(
                    out,
                    &format!("# Executing {triggers} build trigger{plural}"),
                );
            }
            return;
        }
        line(
            out,
            &format!(" ---> {}", image.map(|id| id.short()).unwrap_or_default()),
        );
    }
}

fn copies(info: &StepInfo) -> bool {
    ["COPY ", "ADD "].iter().any(|k| info.text.starts_with(k))
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(b'\n');
}

impl Progress for Classic {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.lock();
        match event {
            Event::Steps { preamble, steps } => {
                state.steps = steps.to_vec();
                state.said = steps.iter().map(|_| VecDeque::new()).collect();
                let mut out = Vec::new();
                let total = steps.first().map_or(preamble.len(), |s| s.total);
                for (i, text) in preamble.iter().enumerate() {
                    line(&mut out, &format!("Step {}/{total} : {text}", i + 1));
                }
                // As above.
                let _ = io::stdout().lock().write_all(&out);
            }
            Event::Started { step, id } => state.say(*step, Said::Started((*id).to_owned())),
            Event::Output { step, bytes, .. } => state.say(*step, Said::Output(bytes.to_vec())),
            Event::Finished {
                step, how, image, ..
            } => state.say(*step, Said::Finished(*how, *image)),
            Event::Failed { step } => state.say(*step, Said::Failed),
            _ => {}
        }
    }

    /// What later steps said that ran beside the one that failed: it waited for a turn that will not
    /// come.
    fn finish(&self, _failed: bool) {
        let mut state = self.lock();
        let mut out = Vec::new();
        while state.turn < state.steps.len() {
            while state.write(&mut out) {}
            state.turn += 1;
            state.header = false;
            state.container = None;
        }
        // As above.
        let _ = io::stdout().lock().write_all(&out);
    }
}
