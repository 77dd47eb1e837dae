//! The image of one platform: its steps as they are told of, and the whole put together of what they
//! gave. What is carried out is carried out for all platforms at once, by `jobs`.

pub(crate) mod assemble;
pub(crate) mod beside;
mod fresh;
pub(crate) mod jobs;
pub(crate) mod lowering;
pub(crate) mod progress;
pub(crate) mod records;
mod squash;

use kiln_frontend::Lowered;
use kiln_graph::{NodeId, Op, SolveError, SolveErrorKind};
use kiln_image::{Digest, Platform, Raw};

use crate::{
    Builder, Error, ErrorKind, Event, Place, Request, StepInfo, Worker,
    bases::Bases,
    executor::output::Slots,
    export::{Made, PushedLayers},
    job::{assemble::Assembly, progress::Tracked, records::StoreRecords},
};

/// The image of one platform.
pub(crate) struct Job<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a Request,
    pub(crate) platform: Platform,
    pub(crate) lowered: &'a Lowered,
    pub(crate) assembly: Assembly<'a>,
    pub(crate) bases: &'a Bases<'a>,
    pub(crate) lease: &'a kiln_store::Build,
    pub(crate) worker: &'a dyn Worker,
    pub(crate) epoch: Option<i64>,
    pub(crate) on: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Job<'_> {
    pub(crate) fn records(&self) -> StoreRecords<'_> {
        StoreRecords {
            store: self.builder.store(),
            lease: self.lease,
        }
    }

    /// Puts the image together: the config after the last step, with labels and squashed layers where
    /// these are asked for.
    pub(crate) fn assembled(&self, slots: &Slots) -> Result<Made, Error> {
        let last = self
            .lowered
            .stages
            .iter()
            .find(|s| s.node == self.lowered.target);
        let stage = self.lowered.stages.last().or(last);
        let Some(step) = stage.and_then(|s| s.steps.end.checked_sub(1)) else {
            return Err(Error::new(
                ErrorKind::Input,
                "the Dockerfile has no instruction",
            ));
        };
        let mut config = self.assembly.config(step, slots);
        let outputs = &self.request.outputs;
        let mut parent = match self.request.settings.keep_steps {
            true => self.parent(step, slots)?,
            false => None,
        };
        if !outputs.labels.is_empty() {
            if self.request.settings.keep_steps {
                parent = Some(Raw::new(config.clone()).digest());
            }
            config.config.labels.extend(outputs.labels.iter().cloned());
        }
        if outputs.squash {
            let squashed = self.squashed(slots)?;
            squash::rewrite(&mut config, slots.base.len(), &squashed);
        }
        Ok(Made {
            platform: self.platform.clone(),
            config: Raw::new(config),
            parent,
            pushed: PushedLayers::default(),
        })
    }

    /// Keeps the image after a step.
    pub(crate) fn keep_step(
        &self,
        step: usize,
        slots: &Slots,
    ) -> Result<Option<(Digest, bool)>, Error> {
        if let Some(base) = self.base_id(step) {
            return Ok(Some((base, true)));
        }
        if self.is_scratch(step) {
            return Ok(None);
        }
        let config = Raw::new(self.assembly.config(step, slots));
        let existed = self
            .builder
            .store()
            .images()
            .by_id(&config.digest())?
            .is_some();
        let parent = self.parent(step, slots)?;
        let record = self.lease.put_image(&config, None, parent)?;
        Ok(Some((record.id, existed)))
    }

    /// The id of the image before a step.
    fn parent(&self, step: usize, slots: &Slots) -> Result<Option<Digest>, Error> {
        let Some(before) = self.assembly.before(step) else {
            return Ok(None);
        };
        if let Some(base) = self.base_id(before) {
            return Ok(Some(base));
        }
        if self.is_scratch(before) {
            return Ok(None);
        }
        // FROM of an earlier stage changes nothing: its image is that of the step before it.
        Ok(Some(Raw::new(self.assembly.config(before, slots)).digest()))
    }

    /// Whether a step is `FROM scratch`, after which there is no image yet.
    fn is_scratch(&self, step: usize) -> bool {
        let stage = &self.lowered.stages[self.lowered.steps[step].stage];
        step == stage.steps.start && matches!(stage.base, kiln_frontend::StageBase::Scratch)
    }

    /// For a FROM of an image: that image's id.
    fn base_id(&self, step: usize) -> Option<Digest> {
        let stage = &self.lowered.stages[self.lowered.steps[step].stage];
        match &stage.base {
            kiln_frontend::StageBase::Image { manifest, .. } if step == stage.steps.start => {
                self.bases.id(manifest)
            }
            _ => None,
        }
    }

    /// The id of the image that the whole stands on in the end.
    pub(crate) fn bottom(&self) -> Option<Digest> {
        let mut stage = self.lowered.stages.last()?;
        loop {
            match &stage.base {
                kiln_frontend::StageBase::Stage(earlier) => stage = &self.lowered.stages[*earlier],
                kiln_frontend::StageBase::Image { manifest, .. } => return self.bases.id(manifest),
                _ => return None,
            }
        }
    }

    /// The steps, as they are told of. `platform` stands before their stages.
    pub(crate) fn infos(&self, platform: bool) -> Vec<StepInfo> {
        let of = |(i, step): (usize, &kiln_frontend::Step)| {
            let stage = &self.lowered.stages[step.stage];
            let name = stage.name.clone();
            let mut name = name.unwrap_or_else(|| format!("stage-{}", stage.index));
            if platform {
                name = format!("{} {name}", self.for_whom(step.stage));
            }
            StepInfo {
                number: step.number as usize,
                total: self.lowered.total as usize,
                text: kiln_frontend::without_passwords(&step.text),
                stage: name,
                in_stage: i - stage.steps.start + 1,
                of_stage: stage.steps.len(),
                line: step.origin.line,
                trigger: step.trigger,
            }
        };
        self.lowered.steps.iter().enumerate().map(of).collect()
    }

    /// `linux/arm64`; for a stage that stands on another platform `linux/amd64->arm64`.
    fn for_whom(&self, stage: usize) -> String {
        let mut at = &self.lowered.stages[stage];
        while let kiln_frontend::StageBase::Stage(earlier) = &at.base {
            at = &self.lowered.stages[*earlier];
        }
        let first = self.lowered.steps.get(at.steps.start);
        let op = first.map(|step| &self.lowered.graph.node(step.node).op);
        match op {
            Some(Op::Image { platform, .. }) if !platform.serves(&self.platform) => {
                let to = self.platform.to_string();
                let to = match platform.os == self.platform.os {
                    true => to.split_once('/').map_or(to.as_str(), |(_, rest)| rest),
                    false => &to,
                };
                format!("{platform}->{to}")
            }
            _ => self.platform.to_string(),
        }
    }

    /// The nodes that make the layers of the image upon its base.
    pub(crate) fn layers(&self) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        let mut at = self.lowered.steps.len().checked_sub(1);
        while let Some(step) = at {
            let made = &self.lowered.steps[step];
            nodes.extend(made.makes_layer.then_some(made.node));
            at = self.assembly.before(step);
        }
        nodes
    }

    pub(crate) fn tracked(&self) -> Vec<Tracked> {
        let first = |step: usize| {
            let stage = &self.lowered.stages[self.lowered.steps[step].stage];
            let from_stage = matches!(stage.base, kiln_frontend::StageBase::Stage(_));
            step == stage.steps.start && !from_stage
        };
        let of = |(i, step): (usize, &kiln_frontend::Step)| {
            let seed = format!(
                "{} {} {i} {:?}",
                self.lease.id(),
                self.platform,
                std::time::SystemTime::now()
            );
            Tracked {
                node: step.node,
                own: step.makes_layer || first(i),
                upper: self.lowered.graph.node(step.node).upper(),
                made: self.assembly.made(i),
                before: self.assembly.before(i),
                id: Digest::sha256(seed.as_bytes()).hex(),
            }
        };
        self.lowered.steps.iter().enumerate().map(of).collect()
    }
}

/// What the graph says of a failed node, as an error of the build.
pub(crate) fn solve_error(e: SolveError<Error>) -> Error {
    let text = e.to_string();
    let place = e.origin().map(|origin| Place {
        start: origin.span.0,
        end: origin.span.1,
    });
    let error = match e.into_kind() {
        SolveErrorKind::Failed(e) => e,
        SolveErrorKind::Records(e) => Error::new(ErrorKind::Io, "use cache records").because(e),
        SolveErrorKind::Canceled => Error::new(ErrorKind::Canceled, "canceled"),
        _ => Error::new(ErrorKind::Io, text),
    };
    error.at(place)
}
