//! ADD of what is elsewhere: files from HTTP addresses, git repositories. What is there now is found out
//! before the plan is made, once for each; the files of a repository only when somebody takes them.
//! Refuses to build on what was kept when the other side cannot be asked.

#[cfg(unix)]
use std::sync::atomic::{AtomicU32, Ordering};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use kiln_fetch::{Authorization, Commit, Fetcher, GitRequest, HttpRequest, Watch};
use kiln_graph::{Cancel, Git, Graph, Http, NodeId, Op, Submodules};
use kiln_image::Digest;

use super::lock;
#[cfg(unix)]
use crate::local::agent::Forward as Agent;
use crate::{
    Error, ErrorKind, elsewhere,
    executor::{Carrier, Selected},
};

/// How many are asked at a time.
const AT_ONCE: usize = 6;

/// The agent that is asked.
#[cfg(unix)]
const AGENT: &str = "default";

/// How many sockets to agents there have been: each is in a folder of its own.
#[cfg(unix)]
static AGENTS: AtomicU32 = AtomicU32::new(0);

/// What was found elsewhere.
#[derive(Clone)]
enum Found {
    File(Arc<Selected>, Digest),
    Commit(Commit),
}

/// What was found for each operation, or the error that its node will have.
#[derive(Default)]
pub(super) struct FetchedBefore(Mutex<HashMap<String, Result<Found, Error>>>);

impl Carrier<'_> {
    /// Finds out what is there now, for all that the targets stand on, several at a time.
    pub(crate) fn fetch_ahead(&self, graph: &Graph, targets: &[NodeId], cancel: &Cancel) {
        let mut reached = vec![false; graph.len()];
        for target in targets {
            reached[target.index()] = true;
        }
        let mut asked: Vec<&Op> = Vec::new();
        // What is reached by who comes later is known by then.
        for (id, node) in graph.iter().rev() {
            if !reached[id.index()] {
                continue;
            }
            node.inputs.iter().for_each(|i| reached[i.index()] = true);
            if matches!(node.op, Op::Http(_) | Op::Git(_)) {
                asked.push(&node.op);
            }
        }
        let next = Mutex::new(asked.into_iter());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                let op = lock(&next).next();
                let Some(mut op) = op else { break };
                let next = &next;
                scope.spawn(move || {
                    loop {
                        let found = self.find(op, cancel);
                        lock(&self.known.fetched.0).insert(name(op), found);
                        match lock(next).next() {
                            Some(more) => op = more,
                            None => return,
                        }
                    }
                });
            }
        });
    }

    /// By what a file or a repository is known: the file's name and content, the commit and what is
    /// taken of it.
    pub(super) fn fetched_digest(&self, op: &Op) -> Result<Digest, Error> {
        match self.found(op, &Cancel::new())? {
            Found::File(_, digest) => Ok(digest),
            Found::Commit(commit) => {
                let Op::Git(git) = op else {
                    return Err(strange(op));
                };
                let which = Git {
                    remote: String::new(),
                    reference: String::new(),
                    checksum: None,
                    fetch_by_commit: false,
                    ..git.clone()
                };
                // Where there is a `.git`, it says from where and under which name it came.
                let from = (git.keep_git_dir && git.subdir.is_empty())
                    .then(|| (git.remote.clone(), commit.reference().map(str::to_owned)));
                let said = serde_json::to_vec(&("git", which, commit.id(), from));
                Ok(Digest::sha256(&said.expect("these are plain data")))
            }
        }
    }

    /// The files of an operation.
    pub(super) fn fetched_files(&self, op: &Op, cancel: &Cancel) -> Result<Arc<Selected>, Error> {
        match (self.found(op, cancel)?, op) {
            (Found::File(files, _), _) => Ok(files),
            (Found::Commit(commit), Op::Git(git)) => {
                let canceled = || cancel.is_canceled();
                let watch = Watch {
                    canceled: &canceled,
                    ..Watch::NOBODY
                };
                let agent = self.agent(git)?;
                let request = self.git_request(git, agent.as_ref())?;
                let checkout = self.fetcher()?.checkout(&request, &commit, &watch)?;
                Ok(Arc::new(Selected::fetched(checkout.files())))
            }
            (Found::Commit(_), op) => Err(strange(op)),
        }
    }

    fn found(&self, op: &Op, cancel: &Cancel) -> Result<Found, Error> {
        let known = &self.known.fetched.0;
        let before = lock(known).remove(&name(op));
        let found = before.unwrap_or_else(|| self.find(op, cancel))?;
        lock(known).insert(name(op), Ok(found.clone()));
        Ok(found)
    }

    /// Asks the other side.
    fn find(&self, op: &Op, cancel: &Cancel) -> Result<Found, Error> {
        let canceled = || cancel.is_canceled();
        let watch = Watch {
            canceled: &canceled,
            ..Watch::NOBODY
        };
        match op {
            Op::Http(http) => {
                let file = self.fetcher()?.http(&self.http_request(http)?, &watch)?;
                let said = format!("http\n{}\n{}", http.file_name, file.digest());
                let files = file.files(&http.file_name)?;
                let selected = Arc::new(Selected::fetched(files));
                Ok(Found::File(selected, Digest::sha256(said.as_bytes())))
            }
            Op::Git(git) => {
                let agent = self.agent(git)?;
                let request = self.git_request(git, agent.as_ref())?;
                Ok(Found::Commit(self.fetcher()?.commit(&request, &watch)?))
            }
            op => Err(strange(op)),
        }
    }

    fn http_request(&self, http: &Http) -> Result<HttpRequest, Error> {
        let host = host(&http.url);
        let header = self.secret(&format!("HTTP_AUTH_HEADER_{host}"))?;
        let token = self.secret(&format!("HTTP_AUTH_TOKEN_{host}"))?;
        let authorization = header.map(Authorization::header);
        Ok(HttpRequest {
            checksum: http.checksum,
            authorization: authorization.or(token.map(|token| Authorization::bearer(&token))),
            fresh: self.request.settings.no_cache,
            ..HttpRequest::new(&http.url)
        })
    }

    fn git_request(&self, git: &Git, agent: Option<&Agent>) -> Result<GitRequest, Error> {
        let host = host(&git.remote);
        let mut authorization = None;
        for suffix in [format!(".{host}"), String::new()] {
            let header = self.secret(&format!("GIT_AUTH_HEADER{suffix}"))?;
            let token = self.secret(&format!("GIT_AUTH_TOKEN{suffix}"))?;
            let basic = |token: String| Authorization::basic("x-access-token", &token);
            let shown = header.map(Authorization::header).or(token.map(basic));
            authorization = authorization.or(shown);
        }
        Ok(GitRequest {
            reference: git.reference.clone(),
            subdir: git.subdir.clone(),
            checksum: git.checksum.clone(),
            keep_git_dir: git.keep_git_dir,
            submodules: git.submodules == Submodules::All,
            commit_times: git.commit_times,
            authorization,
            agent: agent.map(|agent| agent.path().to_owned()),
            ..GitRequest::new(&git.remote)
        })
    }

    /// A socket to the agent that `--ssh` names, where ssh is what a repository is fetched by.
    #[cfg(unix)]
    fn agent(&self, git: &Git) -> Result<Option<Agent>, Error> {
        let agents = &self.request.run.agents;
        if !is_ssh(&git.remote) || !agents.has(AGENT) {
            return Ok(None);
        }
        let number = AGENTS.fetch_add(1, Ordering::Relaxed);
        let folder = self.lease.tmp()?.join(format!("git-agent-{number}"));
        Agent::new(&folder, Arc::clone(agents), AGENT).map(Some)
    }

    #[cfg(not(unix))]
    fn agent(&self, _: &Git) -> Result<Option<Agent>, Error> {
        Ok(None)
    }

    fn secret(&self, id: &str) -> Result<Option<String>, Error> {
        let Some(secret) = self.request.run.secrets.get(id)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(secret.bytes()).map_err(|_| {
            let what = format!("secret `{id}` is shown to a server, and is no text");
            Error::new(ErrorKind::Input, what)
        })?;
        Ok(Some(text.trim().to_owned()))
    }

    fn fetcher(&self) -> Result<Fetcher, Error> {
        elsewhere::fetcher(self.store)
    }
}

/// One text for each operation.
fn name(op: &Op) -> String {
    serde_json::to_string(op).expect("operations are plain data")
}

/// There are none here.
#[cfg(not(unix))]
enum Agent {}

#[cfg(not(unix))]
impl Agent {
    fn path(&self) -> &std::path::Path {
        match *self {}
    }
}

/// Whether ssh carries it: `ssh://…`, `user@host:path`.
#[cfg(unix)]
fn is_ssh(remote: &str) -> bool {
    let scheme = remote.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_none_or(|scheme| scheme == "ssh")
}

fn strange(op: &Op) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{op}` is not fetched"))
}

/// The host of `scheme://user@host:port/path` or `user@host:path`.
fn host(address: &str) -> &str {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None => address.split(':').next().unwrap_or_default(),
    };
    let host = rest.rsplit('@').next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts() {
        for (address, want) in [
            ("https://u:p@h.org:8443/a?b@c", "h.org"),
            ("http://h", "h"),
            ("git@h:a/b", "h"),
            ("git://[::1]:9/x", "[::1]"),
        ] {
            assert_eq!(host(address), want, "{address}");
        }
    }
}
