//! The files of a commit of a git repository, by the `git` program. Nothing is checked out: they are
//! read from a bare repository that is kept, as they were put in. Refuses transports other than `http`,
//! `https`, `ssh` and `git`, and whatever of this user's configuration and credentials git would use.

mod checkout;
mod contents;
mod dot_git;
mod listing;
mod mirror;
mod modules;
mod program;
mod remote;
mod resolve;
mod talk;
mod trouble;

use std::path::PathBuf;

use crate::{Authorization, Error, Fetcher, Watch};
pub use checkout::Checkout;
pub use resolve::Commit;

/// The files of a repository that are asked for.
#[derive(Clone, Debug)]
pub struct GitRequest {
    /// `https://host/path`, `ssh://`, `git://`, or `user@host:path`.
    pub remote: String,
    /// A branch, tag or commit, which may be shortened; empty for what the repository has as its default.
    pub reference: String,
    /// The folder of the repository that becomes the root; empty for all of it.
    pub subdir: String,
    /// The commit that the reference has to stand for, or the beginning of its number; the number of an
    /// annotated tag is good as well.
    pub checksum: Option<String>,
    /// Whether there is to be a `.git` with what the commit needs and no history. None of
    /// a folder of the repository alone.
    pub keep_git_dir: bool,
    /// Whether the files of submodules are among the files, and theirs.
    pub submodules: bool,
    /// Files get the time of the commit, not that of now.
    pub commit_times: bool,
    /// What the host is shown, for `http` and `https`; wins over a user in the address. Hosts of
    /// submodules are shown it only if they are the same.
    pub authorization: Option<Authorization>,
    /// The socket of an agent with keys, for `ssh`.
    pub agent: Option<PathBuf>,
}

impl GitRequest {
    /// All of what `remote` has as its default, with submodules.
    pub fn new(remote: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            reference: String::new(),
            subdir: String::new(),
            checksum: None,
            keep_git_dir: false,
            submodules: true,
            commit_times: false,
            authorization: None,
            agent: None,
        }
    }
}

impl Fetcher {
    /// What the reference of a request stands for now. A commit's whole number stands for itself, and a
    /// checksum that is one for a commit that is kept: then nobody is asked.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an address or a reference that is none,
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such reference,
    /// [`Mismatch`](crate::ErrorKind::Mismatch) when it stands for another commit than the checksum says,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without the `git` program, and what a network does.
    pub fn commit(&self, request: &GitRequest, watch: &Watch<'_>) -> Result<Commit, Error> {
        resolve::commit(self, request, watch)
    }

    /// The files of what the reference of a request stands for now.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Refused`](crate::ErrorKind::Refused) for what is too big or unsafe.
    pub fn git(&self, request: &GitRequest, watch: &Watch<'_>) -> Result<Checkout, Error> {
        let commit = self.commit(request, watch)?;
        self.checkout(request, &commit, watch)
    }

    /// The files of a commit that a request was found to stand for.
    ///
    /// # Errors
    /// As [`git`](Self::git).
    pub fn checkout(
        &self,
        request: &GitRequest,
        commit: &Commit,
        watch: &Watch<'_>,
    ) -> Result<Checkout, Error> {
        checkout::checkout(self, request, commit, watch)
    }
}
