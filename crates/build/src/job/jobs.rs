//! One build, from the graph on, for all its platforms at once: plan, solve, put the images together,
//! bring them where they are to go. What several platforms share is carried out once, and told of once.

use std::collections::HashMap;

use kiln_graph::{Answer, Cancel, Node, NodeId, Op, Plan};
use kiln_image::{Digest, Platform};

use crate::{
    Built, Error, ErrorKind, Event, StepInfo,
    executor::{
        Carrier, Late,
        output::{Output, Slots},
        place,
    },
    export::{Made, Target, export},
    job::{
        Job,
        beside::Beside,
        fresh,
        progress::{Keep, Tracked, Tracker},
        solve_error,
    },
    time,
};

/// One build, from the graph on: a job for each platform, all of one graph.
pub(crate) struct Jobs<'a> {
    jobs: Vec<Job<'a>>,
    /// For each step that is told of: whose it is.
    shown: Vec<(usize, usize)>,
    /// For each job and each of its steps: which of those it is.
    index: Vec<Vec<usize>>,
}

impl<'a> Jobs<'a> {
    /// Of at least one job.
    pub(crate) fn new(jobs: Vec<Job<'a>>) -> Self {
        let (mut shown, mut index) = (Vec::new(), Vec::<Vec<usize>>::new());
        // A step that gives what that of an earlier platform gives is that step.
        let mut known: HashMap<(usize, usize, NodeId, &str), usize> = HashMap::new();
        for (number, job) in jobs.iter().enumerate() {
            let mut of_job = vec![0; job.lowered.steps.len()];
            for stage in &job.lowered.stages {
                for (at, place_in_job) in stage.steps.clone().enumerate() {
                    let step = &job.lowered.steps[place_in_job];
                    let same = (stage.index, at, step.node, step.text.as_str());
                    of_job[place_in_job] = *known.entry(same).or_insert_with(|| {
                        shown.push((number, place_in_job));
                        shown.len() - 1
                    });
                }
            }
            index.push(of_job);
        }
        Self { jobs, shown, index }
    }

    /// What all of them have in common.
    fn first(&self) -> &Job<'a> {
        self.jobs.first().expect("a build has a platform")
    }

    fn settings(&self) -> kiln_graph::Settings {
        let job = self.first();
        let mut salt = vec![("tar dialect", kiln_layer::DIALECT.to_string())];
        salt.extend(job.epoch.map(|epoch| ("epoch", epoch.to_string())));
        if job.epoch.is_some() && job.request.outputs.keep_times {
            salt.push(("times", "kept".to_owned()));
        }
        if job.request.settings.reproducible {
            salt.push(("context modes", "plain".to_owned()));
        }
        // What was let through once is no answer to those who do not allow it.
        if job.request.run.allow_secret_in_layer {
            salt.push(("secrets in layers", "allowed".to_owned()));
        }
        kiln_graph::Settings {
            salt,
            fresh: fresh::fresh(
                &job.request.settings,
                self.jobs.iter().map(|job| job.lowered),
            ),
            limits: job.builder.limits(),
        }
    }

    /// The root of each image; where each step is told of, the end of every stage.
    fn targets(&self) -> Vec<NodeId> {
        let mut targets: Vec<NodeId> = self.jobs.iter().map(|job| job.lowered.target).collect();
        if self.first().request.settings.keep_steps {
            let stages = self.jobs.iter().flat_map(|job| &job.lowered.stages);
            targets.extend(stages.map(|stage| stage.node));
        }
        targets
    }

    pub(crate) fn plan(&self) -> Result<Plan<Output>, Error> {
        let tracker = Tracker::new(Vec::new(), None, &|_| 0, &|_| {});
        self.plan_with(&self.carrier(&tracker, Late::none()))
    }

    fn carrier<'b>(&'b self, tracker: &'b Tracker<'b>, late: Late) -> Carrier<'b> {
        let (job, now) = (self.first(), time::now());
        let place = (job.builder.store(), &**job.builder.roots(), job.worker);
        Carrier::new(
            job.request,
            place,
            job.lease,
            job.bases,
            tracker,
            late,
            (
                job.epoch.map_or(now, |epoch| now.min(epoch)),
                job.epoch.filter(|_| !job.request.outputs.keep_times),
            ),
        )
    }

    fn plan_with(&self, carrier: &Carrier<'_>) -> Result<Plan<Output>, Error> {
        let (settings, records) = (self.settings(), self.first().records());
        let graph = &self.first().lowered.graph;
        kiln_graph::plan(graph, &self.targets(), carrier, &records, &settings).map_err(solve_error)
    }

    /// The plan, with what brings layers to registries while others are made.
    fn with_uploads(
        &self,
        plan: Plan<Output>,
        carrier: &Carrier<'_>,
    ) -> Result<Plan<Output>, Error> {
        let steps: Vec<NodeId> = self.jobs.iter().flat_map(Job::layers).collect();
        let Some((graph, uploads)) = carrier.uploads(&plan, &steps) else {
            return Ok(plan);
        };
        let (settings, records) = (self.settings(), self.first().records());
        let targets = [self.targets(), uploads].concat();
        kiln_graph::plan(&graph, &targets, carrier, &records, &settings).map_err(solve_error)
    }

    /// Builds the images, and brings them to where they are to go. To be sealed.
    pub(crate) fn build(&self, cancel: &Cancel) -> Result<Built, Error> {
        let made = self.made(cancel)?;
        let job = self.first();
        let target = Target {
            builder: job.builder,
            request: job.request,
            lease: job.lease,
            epoch: job.epoch,
            cancel,
            on: job.on,
        };
        export(&target, &made)
    }

    /// Plans, and carries the plan out; tells of each step. Gives the images.
    fn made(&self, cancel: &Cancel) -> Result<Vec<Made>, Error> {
        let job = self.first();
        (job.on)(Event::Steps {
            preamble: &job.lowered.preamble,
            steps: &self.infos(),
        });
        let size = |diff_id: &Digest| {
            let layer = job.builder.store().layers().get(diff_id).ok().flatten();
            layer.map_or(0, |layer| layer.facts.content)
        };
        let keep = |step: usize, slots: &Slots| {
            let (job, step) = self.shown[step];
            self.jobs[job].keep_step(step, slots)
        };
        let keeping = job.request.settings.keep_steps;
        let keep: Option<&Keep<'_>> = if keeping { Some(&keep) } else { None };
        let tracker = Tracker::new(self.tracked(), keep, &size, job.on);
        let settings = self.settings();
        let late = Late::of(&job.lowered.graph, &settings.fresh);
        let beside = Beside::of(job.request, job.builder);
        let carrier = self.carrier(&tracker, late).pushing(beside);
        carrier.fetch_ahead(&job.lowered.graph, &self.targets(), cancel)?;
        let plan = self.plan_with(&carrier)?;
        self.can_run(&plan)?;
        let plan = self.with_uploads(plan, &carrier)?;
        carrier.planned(&plan);
        let records = job.records();
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
        let mut made = Vec::new();
        for job in &self.jobs {
            let Some(output) = solved.output(job.lowered.target) else {
                return Err(Error::new(ErrorKind::Canceled, "canceled"));
            };
            made.push(Made {
                pushed: carrier.pushed(),
                ..job.assembled(&output.slots())?
            });
        }
        Ok(made)
    }

    /// Refuses a plan with RUNs for platforms that this machine cannot run, before anything is carried
    /// out: also those that might be saved by what they stand on giving what it gave before. It is
    /// better to know at once than when all of that was done.
    fn can_run(&self, plan: &Plan<Output>) -> Result<(), Error> {
        let runs = |node: &Node| match &node.op {
            Op::Run(run) => run.platform.clone(),
            _ => None,
        };
        let foreign: Vec<(&Node, Platform)> = plan
            .graph()
            .iter()
            .filter(|(id, _)| matches!(plan.answer(*id), Answer::Runs | Answer::Depends))
            .filter_map(|(_, node)| Some((node, runs(node)?)))
            .collect();
        for (node, platform) in foreign {
            let worker = self.first().worker;
            worker.can_run(&platform).map_err(|e| e.at(place(node)))?;
        }
        Ok(())
    }

    fn infos(&self) -> Vec<StepInfo> {
        let several = self.jobs.len() > 1;
        let infos: Vec<Vec<StepInfo>> = self.jobs.iter().map(|job| job.infos(several)).collect();
        let shown = self.shown.iter();
        let mut shown: Vec<StepInfo> = shown.map(|(job, at)| infos[*job][*at].clone()).collect();
        if several {
            let total = shown.len();
            for (number, info) in (1..).zip(&mut shown) {
                (info.number, info.total) = (number, total);
            }
        }
        shown
    }

    fn tracked(&self) -> Vec<Tracked> {
        let tracked: Vec<Vec<Tracked>> = self.jobs.iter().map(Job::tracked).collect();
        let of = |(job, at): &(usize, usize)| {
            let mut one = tracked[*job][*at].clone();
            one.before = one.before.map(|before| self.index[*job][before]);
            one
        };
        self.shown.iter().map(of).collect()
    }
}
