//! One build, from the graph on: plan, solve, put the image together, seal.

use std::sync::Arc;

use kiln_frontend::Lowered;
use kiln_graph::{Cancel, NodeId, Plan, SolveError, SolveErrorKind};
use kiln_image::{Digest, Raw};

use crate::{
    Builder, Built, Error, ErrorKind, Event, Place, Request, StepInfo, Worker,
    assemble::Assembly,
    bases::Bases,
    executor::{Carrier, Late},
    export::{Made, PushedLayers, Target, export},
    output::{Output, Slots},
    progress::{Tracked, Tracker},
    records::StoreRecords,
    squash, time,
};

/// One build, from the graph on.
pub(crate) struct Job<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) request: &'a Request,
    pub(crate) lowered: &'a Lowered,
    pub(crate) assembly: Assembly<'a>,
    pub(crate) bases: &'a Bases<'a>,
    pub(crate) lease: kiln_store::Build,
    pub(crate) worker: &'a dyn Worker,
    pub(crate) epoch: Option<i64>,
    pub(crate) on: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Job<'_> {
    fn settings(&self) -> kiln_graph::Settings {
        let mut salt = vec![("tar dialect", kiln_layer::DIALECT.to_string())];
        salt.extend(self.epoch.map(|epoch| ("epoch", epoch.to_string())));
        if self.epoch.is_some() && self.request.outputs.keep_times {
            salt.push(("times", "kept".to_owned()));
        }
        if self.request.settings.reproducible {
            salt.push(("context modes", "plain".to_owned()));
        }
        kiln_graph::Settings {
            salt,
            no_cache: self.request.settings.no_cache,
            limits: self.builder.limits(),
        }
    }

    pub(crate) fn records(&self) -> StoreRecords<'_> {
        StoreRecords {
            store: self.builder.store(),
            lease: &self.lease,
        }
    }

    /// The root of the image; where each step is told of, the end of every stage.
    fn targets(&self) -> Vec<NodeId> {
        let mut targets = vec![self.lowered.target];
        if self.request.settings.keep_steps {
            targets.extend(self.lowered.stages.iter().map(|stage| stage.node));
        }
        targets
    }

    pub(crate) fn plan(&self) -> Result<Plan<Output>, Error> {
        let tracker = Tracker::new(Vec::new(), None, &|_| 0, &|_| {});
        self.plan_with(&self.carrier(&tracker, Late::none()))
    }

    fn carrier<'b>(&'b self, tracker: &'b Tracker<'b>, late: Late) -> Carrier<'b> {
        let now = time::now();
        let place = (self.builder.store(), &**self.builder.roots(), self.worker);
        Carrier::new(
            self.request,
            place,
            &self.lease,
            self.bases,
            tracker,
            late,
            (
                self.epoch.map_or(now, |epoch| now.min(epoch)),
                self.epoch.filter(|_| !self.request.outputs.keep_times),
            ),
        )
    }

    fn plan_with(&self, carrier: &Carrier<'_>) -> Result<Plan<Output>, Error> {
        let (settings, records) = (self.settings(), self.records());
        let graph = &self.lowered.graph;
        kiln_graph::plan(graph, &self.targets(), carrier, &records, &settings).map_err(solve_error)
    }

    /// Builds the image, brings it to where it is to go, and seals.
    pub(crate) fn build(self, cancel: &Cancel) -> Result<Built, Error> {
        let made = self.made(cancel)?;
        let target = Target {
            builder: self.builder,
            request: self.request,
            lease: &self.lease,
            epoch: self.epoch,
            on: self.on,
        };
        let built = export(&target, &[made])?;
        self.lease.seal()?;
        Ok(built)
    }

    /// Carries everything out, and puts the image together.
    pub(crate) fn made(&self, cancel: &Cancel) -> Result<Made, Error> {
        let slots = self.solve(cancel)?;
        self.assembled(&slots)
    }

    /// Plans, and carries the plan out; tells of each step.
    fn solve(&self, cancel: &Cancel) -> Result<Arc<Slots>, Error> {
        let infos = self.infos();
        (self.on)(Event::Steps {
            preamble: &self.lowered.preamble,
            steps: &infos,
        });
        let size = |diff_id: &Digest| {
            let layer = self.builder.store().layers().get(diff_id).ok().flatten();
            layer.map_or(0, |layer| layer.facts.content)
        };
        let keep = |step: usize, slots: &Slots| self.keep_step(step, slots);
        let keeping = self.request.settings.keep_steps;
        let keep: Option<&crate::progress::Keep<'_>> = if keeping { Some(&keep) } else { None };
        let tracker = Tracker::new(self.tracked(), keep, &size, self.on);
        let late = Late::of(&self.lowered.graph, self.request.settings.no_cache);
        let carrier = self.carrier(&tracker, late);
        carrier.fetch_ahead(&self.lowered.graph, &self.targets(), cancel);
        let plan = self.plan_with(&carrier)?;
        carrier.planned(&plan);
        let (settings, records) = (self.settings(), self.records());
        let context = kiln_graph::Context {
            records: &records,
            settings: &settings,
            cancel,
            on: &|event| tracker.event(event),
        };
        let solved = kiln_graph::solve(&context, plan, &carrier).map_err(solve_error)?;
        if let Some(e) = tracker.take_error() {
            return Err(e);
        }
        let Some(output) = solved.output(self.lowered.target) else {
            return Err(Error::new(ErrorKind::Canceled, "canceled"));
        };
        Ok(output.slots())
    }

    /// Puts the image together: the config after the last step, with labels and squashed layers where
    /// these are asked for.
    fn assembled(&self, slots: &Slots) -> Result<Made, Error> {
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
            platform: self.request.platform.clone(),
            config: Raw::new(config),
            parent,
            pushed: PushedLayers::default(),
        })
    }

    /// Keeps the image after a step.
    fn keep_step(&self, step: usize, slots: &Slots) -> Result<Option<(Digest, bool)>, Error> {
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

    fn infos(&self) -> Vec<StepInfo> {
        let of = |(i, step): (usize, &kiln_frontend::Step)| {
            let stage = &self.lowered.stages[step.stage];
            StepInfo {
                number: step.number as usize,
                total: self.lowered.total as usize,
                text: step.text.clone(),
                stage: stage
                    .name
                    .clone()
                    .unwrap_or_else(|| format!("stage-{}", stage.index)),
                in_stage: i - stage.steps.start + 1,
                of_stage: stage.steps.len(),
                line: step.origin.line,
                trigger: step.trigger,
            }
        };
        self.lowered.steps.iter().enumerate().map(of).collect()
    }

    fn tracked(&self) -> Vec<Tracked> {
        let first = |step: usize| {
            let stage = &self.lowered.stages[self.lowered.steps[step].stage];
            let from_stage = matches!(stage.base, kiln_frontend::StageBase::Stage(_));
            step == stage.steps.start && !from_stage
        };
        let of = |(i, step): (usize, &kiln_frontend::Step)| {
            let seed = format!("{} {i} {:?}", self.lease.id(), std::time::SystemTime::now());
            Tracked {
                node: step.node,
                own: step.makes_layer || first(i),
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
