//! Who builds: a store, what runs processes, who carries out steps. A build begins here, with its
//! Dockerfile read and lowered; `job` takes it from there.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use kiln_graph::{Cancel, Limits};
use kiln_image::{Descriptor, Digest, Reference};
use kiln_registry::Client;
use kiln_rootfs::Roots;
use kiln_sandbox::{Native, Runner, UserNamespace};
use kiln_store::Store;

use crate::{
    Error, Event, Local, Request, Worker,
    bases::Bases,
    check,
    job::{
        Job,
        assemble::Assembly,
        jobs::Jobs,
        lowering::{lower_all, options_for, unite},
    },
};

/// What a [`Builder`] works with.
pub struct Options {
    /// Where the store is.
    pub root: PathBuf,
    /// The user namespace in which the files of layers are worked on; none for root. What runs
    /// processes must use the same one.
    pub namespace: Option<Arc<UserNamespace>>,
    /// What runs processes.
    pub runner: Arc<dyn Runner>,
    /// Who knows users and passwords, and where the names of registries lead.
    pub registries: kiln_registry::Options,
    /// How much goes on at a time.
    pub limits: Limits,
}

impl Options {
    /// The built-in runner, in a user namespace where this user is not root; credentials, mirrors and
    /// certificates from where docker and podman keep them.
    ///
    /// # Errors
    /// When this user's subordinate ids are there and cannot be read.
    pub fn usual(root: PathBuf) -> Result<Self, Error> {
        let namespace = UserNamespace::usual()?;
        Ok(Self {
            root,
            runner: Arc::new(Native::new(namespace.clone())),
            namespace,
            registries: kiln_registry::Options::usual(&|name| std::env::var_os(name)),
            limits: Limits::default(),
        })
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
    /// The names it now has of those that were asked for, in the store or in an archive.
    pub names: Vec<Reference>,
    /// The manifest or the index that went out, where one did: the last one.
    pub manifest: Option<Descriptor>,
    /// The names under which it is in registries now.
    pub pushed: Vec<Reference>,
    /// Whether an image went anywhere, and not only files.
    pub is_image: bool,
}

impl Builder {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// When the store cannot be made or read, or is of a newer layout.
    pub fn open(options: Options) -> Result<Self, Error> {
        let store = Store::open(&options.root)?;
        let bodies = kiln_rootfs::bodies(options.namespace.as_ref(), store.root());
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
        self.client
            .get_or_init(|| Client::new(self.options.registries.clone()))
    }

    /// A client for one who says that a registry need not prove who it is.
    pub(crate) fn client_for(&self, insecure: bool) -> Client {
        if !insecure {
            return self.client().clone();
        }
        let mut options = self.options.registries.clone();
        let usual = Arc::clone(&options.hosts);
        options.hosts = Arc::new(move |registry: &str, repository: &str| {
            let mut host = usual(registry, repository)?;
            let endpoints = host.endpoints.into_iter();
            host.endpoints = endpoints.map(kiln_registry::Endpoint::insecure).collect();
            Ok(host)
        });
        Client::new(options)
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
        let nobody = Cancel::new();
        let planned = self.with_build(request, (&nobody, on), |jobs| Ok(jobs.plan()?.to_string()));
        Ok(planned?.0)
    }

    /// Builds an image.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) with reports when the Dockerfile is at fault,
    /// [`Run`](crate::ErrorKind::Run) when a RUN is; with the place in the Dockerfile in either case.
    pub fn build(
        &self,
        request: &Request,
        cancel: &Cancel,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Built, Error> {
        crate::export::check(request)?;
        let (built, lease) = self.with_build(request, (cancel, on), |jobs| jobs.build(cancel))?;
        lease.seal()?;
        Ok(built)
    }

    /// Reads and lowers the Dockerfile, and hands what is needed from then on to `then`.
    fn with_build<T>(
        &self,
        request: &Request,
        (cancel, on): (&Cancel, &(dyn Fn(Event<'_>) + Sync)),
        then: impl FnOnce(&Jobs<'_>) -> Result<T, Error>,
    ) -> Result<(T, kiln_store::Build), Error> {
        let read = check::Read::new(request)?;
        let client = || self.client().clone();
        let bases = Bases::new(&self.store, &client, request)?;
        let mut known = kiln_frontend::Bases::new();
        let (mut lowered, mut times) = (Vec::new(), Vec::new());
        for platform in request.platforms() {
            let options = options_for(request, platform);
            let options = self.with_time(&read.file, options, request, &mut times, (cancel, on))?;
            lowered.push(lower_all(&read.file, &options, &mut known, &bases, on)?);
        }
        unite(&mut lowered);
        check::tell(&read, &lowered, on)?;
        // The graph is the same for all of them.
        for one in lowered.iter().take(1) {
            request.run.allow.check(&one.graph)?;
        }
        let epoch = lowered.iter().find_map(|one| one.epoch);
        let epoch = epoch.or(request.settings.reproducible.then_some(0));
        let lease = self.store.begin()?;
        let local;
        let worker = match &self.worker {
            Some(worker) => &**worker,
            None => {
                local = Local::new(
                    Arc::clone(&self.roots),
                    Arc::clone(&self.options.runner),
                    lease.tmp()?,
                )
                .without_root(self.options.namespace.clone());
                &local as &dyn Worker
            }
        };
        let created = |manifest: &Digest| bases.created(manifest);
        let platforms = request.platforms();
        let jobs = lowered
            .iter()
            .zip(platforms)
            .map(|(lowered, platform)| Job {
                builder: self,
                request,
                platform,
                lowered,
                assembly: Assembly::new(lowered, epoch, &created),
                bases: &bases,
                lease: &lease,
                worker,
                epoch,
                on,
            });
        let done = then(&Jobs::new(jobs.collect()))?;
        Ok((done, lease))
    }
}
