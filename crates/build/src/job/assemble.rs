//! The image of a step: its config, the history so far with times, and the layers so far. Pure.

use kiln_frontend::{Lowered, StageBase};
use kiln_image::{Config, Digest, History};

use crate::{executor::output::Slots, time};

/// What is known of the steps of a build besides the frontend's answer.
pub(crate) struct Assembly<'a> {
    lowered: &'a Lowered,
    /// For each step: how many slots of its root are of steps up to it.
    made: Vec<usize>,
    /// For each stage: when the image was made that it stands on in the end.
    begun: Vec<Option<String>>,
    epoch: Option<i64>,
}

impl<'a> Assembly<'a> {
    /// `made` tells when the image with this manifest was made, as far as its config tells.
    pub(crate) fn new(
        lowered: &'a Lowered,
        epoch: Option<i64>,
        made: &dyn Fn(&Digest) -> Option<String>,
    ) -> Self {
        let mut begun: Vec<Option<String>> = Vec::with_capacity(lowered.stages.len());
        for stage in &lowered.stages {
            begun.push(match &stage.base {
                StageBase::Scratch | StageBase::Context(_) => None,
                StageBase::Image { manifest, .. } => made(manifest),
                StageBase::Stage(earlier) => begun[*earlier].clone(),
            });
        }
        let mut made = Vec::with_capacity(lowered.steps.len());
        for stage in &lowered.stages {
            let mut count = match stage.base {
                StageBase::Stage(earlier) => {
                    let end = lowered.stages[earlier].steps.end;
                    made.get(end.wrapping_sub(1)).copied().unwrap_or(0)
                }
                _ => 0,
            };
            for step in &lowered.steps[stage.steps.clone()] {
                count += usize::from(step.makes_layer);
                made.push(count);
            }
        }
        Self {
            lowered,
            made,
            begun,
            epoch,
        }
    }

    /// How many slots of its root are of a step and those before it.
    pub(crate) fn made(&self, step: usize) -> usize {
        self.made[step]
    }

    /// The step before: in its stage, or the last one of the stage that it is from.
    pub(crate) fn before(&self, step: usize) -> Option<usize> {
        let stage = &self.lowered.stages[self.lowered.steps[step].stage];
        if step > stage.steps.start {
            return Some(step - 1);
        }
        match stage.base {
            StageBase::Stage(earlier) => self.lowered.stages[earlier].steps.end.checked_sub(1),
            _ => None,
        }
    }

    /// The image after `step`, whose root, or a later one of its chain, is `slots`.
    pub(crate) fn config(&self, step: usize, slots: &Slots) -> Config {
        let mut config = self.lowered.config_at(step);
        let own = self.history(step);
        let base = config.history.len() - own.len();
        // Times of the base are kept, but no time is later than the epoch.
        for entry in &mut config.history[..base] {
            entry.created = entry.created.take().map(|t| self.clamp(t));
        }
        let stage = self.lowered.steps[step].stage;
        let mut last = self.base_created(stage, &config.history[..base]);
        let mut slot = slots.made.iter();
        for (entry, makes_layer) in config.history[base..].iter_mut().zip(&own) {
            if *makes_layer && let Some(slot) = slot.next() {
                last = Some(time::rfc3339(slot.created));
                entry.empty_layer = slot.layer.is_none();
            }
            entry.created.clone_from(&last);
        }
        config.created = last.or_else(|| Some(time::rfc3339(0)));
        if config.history.len() > base {
            let created = config.created.clone();
            let unset = |h: &&mut History| h.created.is_none();
            for entry in config.history[base..].iter_mut().filter(unset) {
                entry.created.clone_from(&created);
            }
        }
        config.rootfs.diff_ids = slots.layers_after(self.made(step));
        config
    }

    /// For each history entry that is not of the base image: whether its step makes a layer.
    fn history(&self, step: usize) -> Vec<bool> {
        let mut own = Vec::new();
        let mut at = Some(step);
        while let Some(step) = at {
            if self.lowered.steps[step].history.is_some() {
                own.push(self.lowered.steps[step].makes_layer);
            }
            at = self.before(step);
        }
        own.reverse();
        own
    }

    /// When the base image was made, as far as its config or its history tells.
    fn base_created(&self, stage: usize, history: &[History]) -> Option<String> {
        let told = self.begun[stage].clone().map(|t| self.clamp(t));
        told.or_else(|| history.last()?.created.clone())
    }

    fn clamp(&self, text: String) -> String {
        match (self.epoch, time::parse(&text)) {
            (Some(epoch), Some(seconds)) if seconds > epoch => time::rfc3339(epoch),
            _ => text,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
