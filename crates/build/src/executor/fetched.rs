//! ADD of what is elsewhere: files from HTTP addresses, git repositories. What is there now is found out
//! before the plan is made, once for each; the files of a repository only when somebody takes them.
//! Refuses to build on what was kept when the other side cannot be asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use kiln_fetch::{Commit, Fetcher, Watch};
use kiln_graph::{Cancel, Git, Graph, NodeId, Op};
use kiln_image::Digest;

use super::lock;
use crate::{
    Error, ErrorKind,
    context::access::Access,
    executor::{Carrier, Selected, elsewhere},
};

/// How many are asked at a time.
const AT_ONCE: usize = 6;

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
    /// Finds out what is there now, for all that the targets stand on, several at a time. What is not to
    /// be had is the error of its node.
    pub(crate) fn fetch_ahead(
        &self,
        graph: &Graph,
        targets: &[NodeId],
        cancel: &Cancel,
    ) -> Result<(), Error> {
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
                        let what = elsewhere::shown(op);
                        let find = |watch: &Watch<'_>| self.find(op, watch);
                        let found = elsewhere::told(&what, cancel, self.tracker.on(), find);
                        lock(&self.known.fetched.0).insert(name(op), found);
                        match lock(next).next() {
                            Some(more) => op = more,
                            None => return,
                        }
                    }
                });
            }
        });
        match cancel.is_canceled() {
            true => Err(Error::new(ErrorKind::Canceled, "canceled")),
            false => Ok(()),
        }
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
                let access = self.access();
                let agent = access.agent(git)?;
                let request = access.git(git, agent.as_ref())?;
                let checkout = self.fetcher()?.checkout(&request, &commit, &watch)?;
                Ok(Arc::new(Selected::fetched(checkout.files())))
            }
            (Found::Commit(_), op) => Err(strange(op)),
        }
    }

    fn found(&self, op: &Op, cancel: &Cancel) -> Result<Found, Error> {
        let known = &self.known.fetched.0;
        let before = lock(known).remove(&name(op));
        let canceled = || cancel.is_canceled();
        let watch = Watch {
            canceled: &canceled,
            ..Watch::NOBODY
        };
        let found = before.unwrap_or_else(|| self.find(op, &watch))?;
        lock(known).insert(name(op), Ok(found.clone()));
        Ok(found)
    }

    /// Asks the other side.
    fn find(&self, op: &Op, watch: &Watch<'_>) -> Result<Found, Error> {
        match op {
            Op::Http(http) => {
                let file = self.fetcher()?.http(&self.access().http(http)?, watch)?;
                let said = format!("http\n{}\n{}", http.file_name, file.digest());
                let files = file.files(&http.file_name)?;
                let selected = Arc::new(Selected::fetched(files));
                Ok(Found::File(selected, Digest::sha256(said.as_bytes())))
            }
            Op::Git(git) => {
                let access = self.access();
                let agent = access.agent(git)?;
                let request = access.git(git, agent.as_ref())?;
                Ok(Found::Commit(self.fetcher()?.commit(&request, watch)?))
            }
            op => Err(strange(op)),
        }
    }

    /// What is shown to the other side.
    fn access(&self) -> Access<'_> {
        Access {
            run: &self.request.run,
            lease: self.lease,
            fresh: self.request.settings.no_cache,
        }
    }

    fn fetcher(&self) -> Result<Fetcher, Error> {
        elsewhere::fetcher(self.store)
    }
}

/// One text for each operation.
fn name(op: &Op) -> String {
    serde_json::to_string(op).expect("operations are plain data")
}

fn strange(op: &Op) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{op}` is not fetched"))
}
