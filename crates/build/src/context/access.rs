//! What a build shows to who it fetches from: secrets of the names that docker gave them, and the agent.
//! Refuses to ask for more than the host in question is to see.

#[cfg(unix)]
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use kiln_fetch::{Authorization, GitRequest, HttpRequest};
use kiln_graph::{Git, Http, Submodules};

#[cfg(unix)]
use crate::local::agent::Forward as Agent;
use crate::{Error, ErrorKind, RunSettings};

/// The agent that is asked.
#[cfg(unix)]
const AGENT: &str = "default";

/// How many sockets to agents there have been: each is in a folder of its own.
#[cfg(unix)]
static AGENTS: AtomicU32 = AtomicU32::new(0);

/// What is shown to the other side.
pub(crate) struct Access<'a> {
    pub(crate) run: &'a RunSettings,
    /// Has room for sockets.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "sockets of agents are on unix alone")
    )]
    pub(crate) lease: &'a kiln_store::Build,
    /// What was kept is not good enough.
    pub(crate) fresh: bool,
}

impl Access<'_> {
    /// A request for a file.
    pub(crate) fn http(&self, http: &Http) -> Result<HttpRequest, Error> {
        let host = host(&http.url);
        let header = self.secret(&format!("HTTP_AUTH_HEADER_{host}"))?;
        let token = self.secret(&format!("HTTP_AUTH_TOKEN_{host}"))?;
        let authorization = header.map(Authorization::header);
        Ok(HttpRequest {
            checksum: http.checksum,
            authorization: authorization.or(token.map(|token| Authorization::bearer(&token))),
            fresh: self.fresh,
            ..HttpRequest::new(&http.url)
        })
    }

    /// A request for a repository.
    pub(crate) fn git(&self, git: &Git, agent: Option<&Agent>) -> Result<GitRequest, Error> {
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
    pub(crate) fn agent(&self, git: &Git) -> Result<Option<Agent>, Error> {
        let agents = &self.run.agents;
        if !is_ssh(&git.remote) || !agents.has(AGENT) {
            return Ok(None);
        }
        let number = AGENTS.fetch_add(1, Ordering::Relaxed);
        let folder = self.lease.tmp()?.join(format!("git-agent-{number}"));
        Agent::new(&folder, Arc::clone(agents), AGENT).map(Some)
    }

    #[cfg(not(unix))]
    pub(crate) fn agent(&self, _: &Git) -> Result<Option<Agent>, Error> {
        Ok(None)
    }

    fn secret(&self, id: &str) -> Result<Option<String>, Error> {
        let Some(secret) = self.run.secrets.get(id)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(secret.bytes()).map_err(|_| {
            let what = format!("secret `{id}` is shown to a server, and is no text");
            Error::new(ErrorKind::Input, what)
        })?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// There are none here.
#[cfg(not(unix))]
pub(crate) enum Agent {}

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
