//! The face that the rest of the world sees: a client, and a repository of a registry as a source
//! and a sink of images. Blocks; all that is asynchronous is on a thread of its own.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use kiln_image::{
    Descriptor, Digest, Error, ErrorKind, Location, Open, Reference, Sink, Source, Taken, media,
};

use crate::{
    Anonymous, Credentials, DockerConfig, Endpoint, Host, Registries, Serves, auth::Scope, blob,
    pull, push, transport::Shared, upload::Upload, worker::Worker,
};

/// How a [`Client`] goes about it.
#[derive(Clone)]
pub struct Options {
    /// Where credentials come from; asked only when a registry asks.
    pub credentials: Arc<dyn Credentials>,
    /// Where the name of a repository leads; [`Host::standard`] by default,
    /// [`Registries`](crate::Registries) reads what users have configured.
    pub hosts: Arc<Hosts>,
    /// What the client calls itself.
    pub user_agent: String,
    /// How often a request is made before it has failed; 5 by default.
    pub tries: u32,
}

/// From the names of a registry and of a repository in it to the endpoints of that repository.
pub type Hosts = dyn Fn(&str, &str) -> Result<Host, Error> + Send + Sync;

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Arc::new(Anonymous),
            hosts: Arc::new(|registry: &str, _: &str| Host::standard(registry)),
            user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
            tries: 5,
        }
    }
}

impl Options {
    /// With credentials and hosts from where users have them, given the environment. Nothing is
    /// read before a registry is asked.
    pub fn usual(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let registries = Registries::usual(env);
        Self {
            credentials: Arc::new(DockerConfig::usual(env)),
            hosts: Arc::new(move |registry: &str, repository: &str| {
                registries.host(registry, repository)
            }),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user_agent", &self.user_agent)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

/// A client of registries. Cheap to make and to clone: the thread, the runtime and the certificates
/// come with the first request. Clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    worker: Mutex<Option<Arc<Worker>>>,
}

impl Client {
    /// A client. Starts nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(Shared::new(options)),
                worker: Mutex::new(None),
            }),
        }
    }

    /// The repository of `name`, as a source and a sink of images. Asks nobody yet.
    pub fn repository(&self, name: &Reference) -> Remote {
        Remote {
            client: self.clone(),
            registry: name.registry().into(),
            repository: name.repository().into(),
            manifests: Arc::default(),
        }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.inner.shared.clone()
    }

    /// An insecure endpoint with the scheme that it speaks, any other as it is.
    pub(crate) fn settled(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        match endpoint.is_unsettled() {
            true => self.worker()?.run(self.shared().settle(endpoint))?,
            false => Ok(endpoint),
        }
    }

    pub(crate) fn worker(&self) -> Result<Arc<Worker>, Error> {
        let mut slot = self
            .inner
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = &*slot {
            return Ok(worker.clone());
        }
        let worker = Arc::new(Worker::start()?);
        *slot = Some(worker.clone());
        Ok(worker)
    }
}

/// A repository of a registry: a [`Source`] and a [`Sink`].
///
/// Its methods block, and refuse to on a thread of an async runtime.
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    registry: Arc<str>,
    repository: Arc<str>,
    /// Manifests that were put, for the names that they will be given.
    manifests: Arc<Mutex<HashMap<Digest, Vec<u8>>>>,
}

impl Remote {
    /// The registry and the repository in it.
    pub fn location(&self) -> Location {
        Location {
            registry: self.registry.to_string(),
            repository: self.repository.to_string(),
        }
    }

    /// The tags of the repository, in the registry's order.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such repository.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        self.pulls(None, pull::tags)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Asks one endpoint after the other, for what a name stands for only those that serve such
    /// names; the answer, or the error of the last with those of the mirrors before it. `ask` is
    /// told what the repository is called there.
    fn pulls<T, F>(
        &self,
        named: Option<Serves>,
        ask: impl Fn(Arc<Shared>, Endpoint, String) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let worker = self.client.worker()?;
        let shared = self.client.shared();
        let host = shared.host(&self.registry, &self.repository)?;
        let (mut last, mut passed) = (None, Vec::new());
        for endpoint in host.endpoints {
            let serves = match endpoint.serves {
                Serves::All | Serves::Pulls => true,
                Serves::Pushes => false,
                some => named.is_none_or(|name| name == some),
            };
            if !serves {
                continue;
            }
            if let Some(why) = shared.gone(&endpoint) {
                passed.push(why);
                continue;
            }
            let (place, mirror) = (endpoint.clone(), endpoint.serves != Serves::All);
            let endpoint = self.settled(endpoint)?;
            let repository = endpoint.repository(&self.repository);
            match worker.run(ask(shared.clone(), endpoint, repository))? {
                Ok(found) => return Ok(found),
                Err(e) => {
                    if mirror && e.kind() == ErrorKind::Unreachable {
                        shared.give_up(&place, &e);
                    }
                    passed.extend(last.replace(e).map(|e| e.to_string()));
                }
            }
        }
        Err(match last {
            None if passed.is_empty() => self.no_endpoint("pulled from"),
            None => Error::new(ErrorKind::Unreachable, passed.join("; ")),
            Some(e) if passed.is_empty() => e,
            Some(e) => after(&passed, e),
        })
    }

    /// The endpoint that is pushed to.
    pub(crate) fn pushes(&self) -> Result<Endpoint, Error> {
        let host = self
            .client
            .shared()
            .host(&self.registry, &self.repository)?;
        let found = host
            .endpoints
            .into_iter()
            .find(|endpoint| matches!(endpoint.serves, Serves::All | Serves::Pushes));
        self.settled(found.ok_or_else(|| self.no_endpoint("pushed to"))?)
    }

    fn settled(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        self.client.settled(endpoint)
    }

    fn no_endpoint(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "registry `{}` has no endpoint that can be {what}",
                self.registry
            ),
        )
    }

    /// The same repository only: everything else is a mistake of the caller.
    fn check(&self, name: &Reference) -> Result<(), Error> {
        if name.registry() == &*self.registry && name.repository() == &*self.repository {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "`{}` is not in the repository `{}/{}`",
                name.familiar(),
                self.registry,
                self.repository
            ),
        ))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Vec<u8>>> {
        self.manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Remote {
    fn resolve(&self, what: &Reference) -> Result<Descriptor, Error> {
        self.check(what)?;
        let named = match what.digest() {
            Some(_) => Serves::Digests,
            None => Serves::Tags,
        };
        self.pulls(Some(named), |shared, endpoint, repository| {
            pull::resolve(shared, endpoint, repository, what.clone())
        })
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, Error> {
        self.pulls(None, |shared, endpoint, repository| {
            pull::document(shared, endpoint, repository, document.clone())
        })
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let worker = self.client.worker()?;
        let opened = self.pulls(None, |shared, endpoint, repository| {
            blob::open(shared, endpoint, repository, blob.clone(), from)
        })?;
        Ok(Box::new(blob::Stream::start(worker, opened)))
    }

    fn locations(&self, _blob: &Descriptor) -> Vec<Location> {
        vec![self.location()]
    }
}

impl Sink for Remote {
    fn put_blob(
        &self,
        blob: &Descriptor,
        open: Open<'_>,
        known: &[Location],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Taken, Error> {
        let neighbours = known
            .iter()
            .filter(|l| *l.registry == *self.registry && *l.repository != *self.repository)
            .map(|l| l.repository.clone())
            .collect();
        Upload::new(self, blob)?.run(open, neighbours, progress)
    }

    fn put_document(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let mut checked = kiln_image::Verifier::new(bytes, document.digest, document.size);
        io::copy(&mut checked, &mut io::sink())?;
        if !is_manifest(document) {
            let open = |from: u64| -> io::Result<Box<dyn Read + Send>> {
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Box::new(io::Cursor::new(bytes[from..].to_vec())))
            };
            Upload::new(self, document)?.run(&open, Vec::new(), &mut |_| {})?;
            return Ok(());
        }
        let name = document.digest.to_string();
        self.put_manifest(&document.media_type, &name, bytes.to_vec())?;
        self.held().insert(document.digest, bytes.to_vec());
        Ok(())
    }

    fn name(&self, document: &Descriptor, name: &Reference) -> Result<(), Error> {
        self.check(name)?;
        let Some(tag) = name.tag() else {
            // A digest names what has it.
            return Ok(());
        };
        let held = self.held().get(&document.digest).cloned();
        let bytes = match held {
            Some(bytes) => bytes,
            None => self.document(document)?,
        };
        self.put_manifest(&document.media_type, tag, bytes)
    }
}

impl Remote {
    fn put_manifest(&self, media_type: &str, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let worker = self.client.worker()?;
        let put = push::Manifest {
            scope: Scope::push(&self.repository),
            repository: self.repository.to_string(),
            media_type: media_type.to_owned(),
            name: name.to_owned(),
            bytes: bytes.into(),
        };
        worker.run(push::manifest(self.client.shared(), self.pushes()?, put))?
    }
}

/// The error of the last endpoint, with those of the mirrors that were asked before it.
fn after(passed: &[String], last: Error) -> Error {
    let said = format!("{last}; mirrors were asked before: {}", passed.join("; "));
    let error = Error::new(last.kind(), said);
    let error = match last.hint_text() {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.because(last)
}

/// Whether a document lies among the manifests of a repository, not among its blobs.
pub(crate) fn is_manifest(document: &Descriptor) -> bool {
    media::is_manifest(&document.media_type) || media::is_index(&document.media_type)
}
