//! A small registry in this process, good enough for real tools to push to and pull from, with a
//! log of what it was asked and faults on request; and Debian's docker-registry as a child.
//! Refuses to be a registry for anything but tests: it forgets all names when it ends.

mod access;
mod debian;
mod handler;
mod http;
mod storage;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

pub use access::{Access, Tokens};
pub use debian::{Debian, docker_registry, docker_registry_with};

use storage::Storage;

/// How a [`Registry`] is started.
#[derive(Debug, Default)]
pub struct Options {
    /// Who may do what.
    pub access: Access,
    /// Where blobs lie; a temporary folder otherwise.
    pub folder: Option<PathBuf>,
}

/// A registry on a free port of 127.0.0.1. Ends when dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    address: SocketAddr,
    access: Access,
    storage: Storage,
    stopped: AtomicBool,
    faults: Mutex<Vec<(Rule, Fault)>>,
    log: Mutex<Vec<Request>>,
}

/// Which requests a [`Fault`] befalls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The method; any when empty.
    pub method: &'static str,
    /// What the path contains.
    pub path: String,
    /// How often.
    pub times: u32,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another status, with these headers and an empty body.
    Status(u16, Vec<(&'static str, String)>),
    /// The connection is closed after so many bytes of the answer's body.
    Cut(u64),
    /// The answer is whole, and its body only that long.
    Truncate(u64),
    /// The first byte of the answer's body is another one.
    Corrupt,
    /// The connection is closed after so many bytes of the request's body; an upload keeps them.
    CutRequest(u64),
    /// Range headers are not understood.
    NoRanges,
    /// Mounts are not done: an upload begins instead.
    NoMount,
}

/// What the registry was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Range` or `Content-Range`.
    pub range: Option<String>,
}

impl Registry {
    /// A registry that lets everybody do everything.
    ///
    /// # Panics
    /// When no port or folder can be had: a test cannot go on.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// A registry.
    ///
    /// # Panics
    /// When no port or folder can be had: a test cannot go on.
    pub fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            address,
            access: options.access,
            storage: Storage::new(options.folder).expect("a folder for blobs can be made"),
            stopped: AtomicBool::new(false),
            faults: Mutex::default(),
            log: Mutex::default(),
        });
        let serving = shared.clone();
        thread::spawn(move || serve(&listener, &serving));
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`: the name of the registry in references.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets `fault` befall the next requests that `rule` describes.
    pub fn inject(&self, rule: Rule, fault: Fault) {
        lock(&self.shared.faults).push((rule, fault));
    }

    /// What has been asked so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).clone()
    }

    /// Forgets what has been asked.
    pub fn forget_requests(&self) {
        lock(&self.shared.log).clear();
    }

    /// Whether the repository has the blob `digest` (`sha256:…`).
    pub fn has_blob(&self, repository: &str, digest: &str) -> bool {
        self.shared.storage.has(repository, digest)
    }

    /// Replaces the bytes of a manifest without telling anybody.
    pub fn tamper(&self, repository: &str, name: &str, bytes: &[u8]) {
        self.shared.storage.tamper(repository, name, bytes);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the listener up; when this fails it is gone already.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// The first fault that is meant for this request, used up by one.
    fn fault(&self, method: &str, path: &str, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let found = faults.iter_mut().find(|(rule, fault)| {
            rule.times > 0
                && (rule.method.is_empty() || rule.method == method)
                && path.contains(&rule.path)
                && wanted(fault)
        });
        found.map(|(rule, fault)| {
            rule.times -= 1;
            fault.clone()
        })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        // A connection that breaks is the client's to notice.
        thread::spawn(move || drop(converse(stream, &shared)));
    }
}

/// Requests and answers on one connection.
fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = http::Connection::new(stream)?;
    while let Some(mut request) = connection.next()? {
        if shared.stopped.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&shared.log).push(Request {
            method: request.method.clone(),
            path: request.target.clone(),
            authorization: request.header("authorization").map(str::to_owned),
            range: request
                .header("range")
                .or_else(|| request.header("content-range"))
                .map(str::to_owned),
        });
        let Some(answer) = handler::handle(shared, &mut request, &mut connection)? else {
            return connection.close();
        };
        connection.drain(&mut request)?;
        if !connection.answer(&request, answer)? {
            return connection.close();
        }
    }
    Ok(())
}
