//! A build from its request to its image: parse, lower, scan, plan, solve, put together, seal.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use kiln_frontend::{Lowered, Lowering, Resolved, lower};
use kiln_graph::{Cancel, Limits, NodeId, Plan, SolveError, SolveErrorKind};
use kiln_image::{Digest, Platform, Raw, Reference};
use kiln_registry::{Client, Credentials, DockerConfig};
use kiln_rootfs::{Direct, Roots};
use kiln_sandbox::{Native, Runner};
use kiln_store::Store;

use crate::{
    Error, ErrorKind, Event, Local, Place, Report, Request, StepInfo, Worker,
    assemble::Assembly,
    bases::Bases,
    executor::Carrier,
    output::{Output, Slots},
    progress::{Tracked, Tracker},
    records::StoreRecords,
    time,
};

/// What a [`Builder`] works with.
pub struct Options {
    /// Where the store is.
    pub root: PathBuf,
    /// What runs processes.
    pub runner: Arc<dyn Runner>,
    /// Who knows users and passwords.
    pub credentials: Arc<dyn Credentials>,
    /// How much goes on at a time.
    pub limits: Limits,
}

impl Options {
    /// The built-in runner, and credentials from where docker and podman keep them.
    pub fn usual(root: PathBuf) -> Self {
        let paths = DockerConfig::usual_paths(&|name| std::env::var_os(name));
        Self {
            root,
            runner: Arc::new(Native),
            credentials: Arc::new(DockerConfig::read(paths)),
            limits: Limits::default(),
        }
    }
}

/// Builds images, and moves them: over one store.
pub struct Builder {
    store: Store,
    roots: Arc<Roots>,
    options: Options,
    worker: Option<Arc<dyn Worker>>,
    client: OnceLock<Client>,
}

/// What a build gave.
#[derive(Clone, Debug)]
pub struct Built {
    /// The image id.
    pub id: Digest,
    /// The names it now has of those that were asked for.
    pub names: Vec<Reference>,
}

impl Builder {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// When the store cannot be made or read, or is of a newer layout.
    pub fn open(options: Options) -> Result<Self, Error> {
        let bodies = Arc::new(Direct);
        let store = Store::open(&options.root)?;
        let roots = Arc::new(Roots::new(store, bodies));
        Ok(Self {
            store: roots.store().clone(),
            roots,
            options,
            worker: None,
            client: OnceLock::new(),
        })
    }

    /// Has another worker than this machine carry out RUNs.
    #[must_use]
    pub fn with_worker(mut self, worker: Arc<dyn Worker>) -> Self {
        self.worker = Some(worker);
        self
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Layers as roots.
    pub fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    /// What runs processes.
    pub fn runner(&self) -> &Arc<dyn Runner> {
        &self.options.runner
    }

    pub(crate) fn limits(&self) -> Limits {
        self.options.limits
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::new(kiln_registry::Options {
                credentials: Arc::clone(&self.options.credentials),
                ..kiln_registry::Options::default()
            })
        })
    }

    /// What a build would do, as text: what is known already, what runs, what depends.
    ///
    /// # Errors
    /// As [`build`](Self::build), but that nothing is carried out.
    pub fn plan(
        &self,
        request: &Request,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<String, Error> {
        self.with_build(request, on, |job| Ok(job.plan()?.to_string()))
    }

    /// Builds an image.
    ///
    /// # Errors
    /// [`Input`](ErrorKind::Input) with reports when the Dockerfile is at fault,
    /// [`Run`](ErrorKind::Run) when a RUN is; with the place in the Dockerfile in either case.
    pub fn build(
        &self,
        request: &Request,
        cancel: &Cancel,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Built, Error> {
        self.with_build(request, on, |job| job.build(cancel))
    }

    /// Reads and lowers the Dockerfile, and hands what is needed from then on to `then`.
    fn with_build<T>(
        &self,
        request: &Request,
        on: &(dyn Fn(Event<'_>) + Sync),
        then: impl FnOnce(Job<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let parsed = kiln_parser::parse(&request.text);
        let (file, warnings) = parsed
            .into_result()
            .map_err(|found| Error::dockerfile(found.iter().map(Report::from).collect()))?;
        for warning in &warnings {
            on(Event::Warning(&warning.into()));
        }
        let client = || self.client().clone();
        let platform = &request.platform;
        let bases = Bases::new(&self.store, &client, platform, request.settings.pull);
        let lowered = lower_all(&file, request, &bases, on)?;
        for warning in &lowered.warnings {
            on(Event::Warning(&warning.into()));
        }
        let epoch = request.settings.epoch.or(lowered.epoch);
        let epoch = epoch.or(request.settings.epoch());
        let lease = self.store.begin()?;
        let local;
        let worker = match &self.worker {
            Some(worker) => &**worker,
            None => {
                local = Local::new(
                    Arc::clone(&self.roots),
                    Arc::clone(&self.options.runner),
                    lease.tmp()?,
                );
                &local as &dyn Worker
            }
        };
        then(Job {
            builder: self,
            request,
            lowered: &lowered,
            assembly: Assembly::new(&lowered, epoch),
            bases: &bases,
            lease,
            worker,
            epoch,
            on,
        })
    }
}

/// Calls the frontend until it needs no more base images.
fn lower_all(
    file: &kiln_parser::Dockerfile<'_>,
    request: &Request,
    bases: &Bases<'_>,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Lowered, Error> {
    let mut build_args: BTreeMap<String, String> = request.build_args.iter().cloned().collect();
    if let Some(epoch) = request.settings.epoch {
        build_args
            .entry("SOURCE_DATE_EPOCH".to_owned())
            .or_insert_with(|| epoch.to_string());
    }
    let options = kiln_frontend::Options {
        file: request.file.clone(),
        build_args,
        target: request.target.clone(),
        platform: request.platform.clone(),
        build_platform: Platform::host(),
        network: kiln_graph::Network::Default,
    };
    let mut known = kiln_frontend::Bases::new();
    loop {
        let lowering = lower(file, &options, &known)
            .map_err(|found| Error::dockerfile(found.iter().map(Report::from).collect()))?;
        let needed = match lowering {
            Lowering::Done(lowered) => return Ok(*lowered),
            Lowering::Need(needed) => needed,
        };
        for (base, found) in resolve_all(needed, bases, on) {
            let found = found.map_err(|e| at_base(e, &base))?;
            on(Event::Resolved(&base.reference, found.digest));
            let resolved = Resolved {
                manifest: found.digest,
                config: found.config.into_value(),
            };
            known.insert(base.reference, base.platform, resolved);
        }
    }
}

type Found = Result<crate::bases::Base, Error>;

/// Looks base images up, all at once.
fn resolve_all(
    needed: Vec<kiln_frontend::Base>,
    bases: &Bases<'_>,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Vec<(kiln_frontend::Base, Found)> {
    if let [_] = &needed[..] {
        // The usual case is worth no thread.
        return needed
            .into_iter()
            .map(|base| {
                on(Event::Resolving(&base.reference));
                let found = bases.resolve(&base.reference);
                (base, found)
            })
            .collect();
    }
    let found: Vec<Found> = std::thread::scope(|scope| {
        let one = |base: &kiln_frontend::Base| {
            on(Event::Resolving(&base.reference));
            bases.resolve(&base.reference)
        };
        let threads: Vec<_> = needed
            .iter()
            .map(|base| scope.spawn(move || one(base)))
            .collect();
        let lost = || Error::new(ErrorKind::Io, "a thread panicked");
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(lost())))
            .collect()
    });
    needed.into_iter().zip(found).collect()
}

fn at_base(e: Error, base: &kiln_frontend::Base) -> Error {
    let place = Place {
        start: base.span.start,
        end: base.span.end,
    };
    match &base.hint {
        Some(hint) => e.hint(hint.clone()).at(Some(place)),
        None => e.at(Some(place)),
    }
}

/// One build, from the graph on.
struct Job<'a> {
    builder: &'a Builder,
    request: &'a Request,
    lowered: &'a Lowered,
    assembly: Assembly<'a>,
    bases: &'a Bases<'a>,
    lease: kiln_store::Build,
    worker: &'a dyn Worker,
    epoch: Option<i64>,
    on: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Job<'_> {
    fn settings(&self) -> kiln_graph::Settings {
        let mut salt = vec![("tar dialect", kiln_layer::DIALECT.to_string())];
        salt.extend(self.epoch.map(|epoch| ("epoch", epoch.to_string())));
        if self.request.settings.reproducible {
            salt.push(("context modes", "plain".to_owned()));
        }
        kiln_graph::Settings {
            salt,
            no_cache: self.request.settings.no_cache,
            limits: self.builder.options.limits,
        }
    }

    fn records(&self) -> StoreRecords<'_> {
        StoreRecords {
            store: &self.builder.store,
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

    fn plan(&self) -> Result<Plan<Output>, Error> {
        let tracker = Tracker::new(Vec::new(), None, &|_| 0, &|_| {});
        self.plan_with(&self.carrier(&tracker))
    }

    fn carrier<'b>(&'b self, tracker: &'b Tracker<'b>) -> Carrier<'b> {
        let now = time::now();
        let place = (&self.builder.store, &*self.builder.roots, self.worker);
        Carrier::new(
            self.request,
            place,
            &self.lease,
            self.bases,
            tracker,
            (self.epoch.map_or(now, |epoch| now.min(epoch)), self.epoch),
        )
    }

    fn plan_with(&self, carrier: &Carrier<'_>) -> Result<Plan<Output>, Error> {
        let (settings, records) = (self.settings(), self.records());
        let graph = &self.lowered.graph;
        kiln_graph::plan(graph, &self.targets(), carrier, &records, &settings).map_err(solve_error)
    }

    fn build(self, cancel: &Cancel) -> Result<Built, Error> {
        let slots = self.solve(cancel)?;
        self.finish(&slots)
    }

    /// Plans, and carries the plan out; tells of each step.
    fn solve(&self, cancel: &Cancel) -> Result<Arc<Slots>, Error> {
        let infos = self.infos();
        (self.on)(Event::Steps {
            preamble: &self.lowered.preamble,
            steps: &infos,
        });
        let size = |diff_id: &Digest| {
            let layer = self.builder.store.layers().get(diff_id).ok().flatten();
            layer.map_or(0, |layer| layer.facts.content)
        };
        let keep = |step: usize, slots: &Slots| self.keep_step(step, slots);
        let keeping = self.request.settings.keep_steps;
        let keep: Option<&crate::progress::Keep<'_>> = if keeping { Some(&keep) } else { None };
        let tracker = Tracker::new(self.tracked(), keep, &size, self.on);
        let carrier = self.carrier(&tracker);
        let plan = self.plan_with(&carrier)?;
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

    /// Puts the image together, names it, and seals.
    fn finish(self, slots: &Slots) -> Result<Built, Error> {
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
        let config = Raw::new(self.assembly.config(step, slots));
        let parent = match self.request.settings.keep_steps {
            true => self.parent(step, slots)?,
            false => None,
        };
        let record = self.lease.put_image(&config, None, parent)?;
        for name in &self.request.tags {
            self.lease.name(name, &record)?;
        }
        self.lease.seal()?;
        Ok(Built {
            id: record.id,
            names: self.request.tags.clone(),
        })
    }

    /// Keeps the image after a step.
    fn keep_step(&self, step: usize, slots: &Slots) -> Result<(Digest, bool), Error> {
        if let Some(base) = self.base_id(step) {
            return Ok((base, true));
        }
        let config = Raw::new(self.assembly.config(step, slots));
        let existed = self
            .builder
            .store
            .images()
            .by_id(&config.digest())?
            .is_some();
        let parent = self.parent(step, slots)?;
        let record = self.lease.put_image(&config, None, parent)?;
        Ok((record.id, existed))
    }

    /// The id of the image before a step.
    fn parent(&self, step: usize, slots: &Slots) -> Result<Option<Digest>, Error> {
        let Some(before) = self.assembly.before(step) else {
            return Ok(None);
        };
        if let Some(base) = self.base_id(before) {
            return Ok(Some(base));
        }
        // FROM of an earlier stage changes nothing: its image is that of the step before it.
        Ok(Some(Raw::new(self.assembly.config(before, slots)).digest()))
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
