//! Build contexts and Dockerfiles that are elsewhere: git repositories, files at HTTP addresses. Refuses
//! to take what was kept for what is there, where nobody can be asked.

use std::{fs, io::Read as _};

use kiln_fetch::{Download, Watch};
use kiln_frontend::{Remote, without_passwords};
use kiln_graph::Cancel;
use kiln_layer::Archive;

use super::{
    FilesContext,
    files::{TEXT, too_long},
};
use crate::{
    Builder, Error, ErrorKind, Event, RunSettings, context::access::Access, executor::elsewhere,
};

/// What something is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// The main context. `keep_git_dir` leaves a `.git` among the files of a repository.
    Context {
        /// Whether there is to be one.
        keep_git_dir: bool,
    },
    /// The context of that name.
    Named(&'a str),
    /// The Dockerfile.
    Dockerfile,
}

/// What was fetched for a build.
pub enum Fetched {
    /// The files of a repository.
    Repository(FilesContext),
    /// A file.
    File(FetchedFile),
}

/// A file that was fetched for a build: an archive, a Dockerfile, anything.
pub struct FetchedFile {
    download: Download,
    name: String,
}

impl Builder {
    /// Fetches what an address names; `None` for a path. Of `run`, the secrets and agents that ADD would
    /// show are shown. Tells `on` how far it is: [`Event::Fetching`].
    ///
    /// # Errors
    /// When it is not to be had, or the address is one that nobody should follow.
    pub fn fetch(
        &self,
        (address, purpose): (&str, Purpose<'_>),
        run: &RunSettings,
        cancel: &Cancel,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Option<Fetched>, Error> {
        let remote = Remote::of_context(address);
        let remote =
            remote.map_err(|(what, help)| Error::new(ErrorKind::Input, what).hint(help))?;
        let Some(remote) = remote else {
            return Ok(None);
        };
        let what = purpose.shown(address);
        let fetched = elsewhere::told(&what, cancel, on, |watch| {
            self.fetch_remote(remote, purpose, run, watch)
        })?;
        Ok(Some(fetched))
    }

    fn fetch_remote(
        &self,
        remote: Remote,
        purpose: Purpose<'_>,
        run: &RunSettings,
        watch: &Watch<'_>,
    ) -> Result<Fetched, Error> {
        let lease = self.store().begin()?;
        let access = Access {
            run,
            lease: &lease,
            fresh: false,
        };
        match remote {
            Remote::Git(mut git) => {
                git.keep_git_dir |= purpose == Purpose::Context { keep_git_dir: true };
                let agent = access.agent(&git)?;
                let request = access.git(&git, agent.as_ref())?;
                let checkout = self.fetcher()?.git(&request, watch)?;
                let context = FilesContext::new(checkout.files(), purpose.repository());
                Ok(Fetched::Repository(context.made(Some(checkout.time()))))
            }
            Remote::Http(http) => {
                let download = self.fetcher()?.http(&access.http(&http)?, watch)?;
                Ok(Fetched::File(FetchedFile {
                    name: download.name().unwrap_or(&http.file_name).to_owned(),
                    download,
                }))
            }
            _ => {
                let what = "what the address names is not fetched";
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }
}

impl Purpose<'_> {
    /// What people are shown while it is fetched.
    fn shown(self, address: &str) -> String {
        let address = without_passwords(address);
        match self {
            Purpose::Context { .. } => "[internal] load remote build context".to_owned(),
            Purpose::Named(name) => format!("[context {name}] load {address}"),
            Purpose::Dockerfile => format!("[internal] load {address}"),
        }
    }

    /// What the files of a repository are the files of, for messages.
    fn repository(self) -> String {
        match self {
            Purpose::Named(name) => format!("the repository that is the context `{name}`"),
            _ => "the repository that is the context".to_owned(),
        }
    }
}

impl FetchedFile {
    /// The files of the archive that it is; `None` when it is none. `scratch` is as for
    /// [`FilesContext::archive`].
    ///
    /// # Errors
    /// When the archive is broken, or has what no image can have.
    pub fn archive(&self, scratch: fs::File) -> Result<Option<FilesContext>, Error> {
        let mut head = Vec::new();
        self.download
            .reader()
            .take(512)
            .read_to_end(&mut head)
            .map_err(|e| Error::io("read what was fetched", e))?;
        if !Archive::begins(&head) {
            return Ok(None);
        }
        let what = "the archive that was fetched";
        let context = FilesContext::archive(self.download.reader(), scratch, what)?;
        Ok(context.map(|context| {
            let newest = || context.newest();
            let time = self.download.last_modified().or_else(newest);
            context.made(time)
        }))
    }

    /// When it was changed, in seconds since 1970, as the other side says.
    pub fn time(&self) -> Option<i64> {
        self.download.last_modified()
    }

    /// All of it: a Dockerfile, say.
    ///
    /// # Errors
    /// When it is longer than a Dockerfile can be.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        if self.download.size() > TEXT {
            return Err(too_long(&self.name).hint("a context is a tar"));
        }
        let mut bytes = Vec::new();
        self.download
            .reader()
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read what was fetched", e))?;
        Ok(bytes)
    }

    /// The file alone, under its name.
    ///
    /// # Errors
    /// When its name is none that a file can have.
    pub fn alone(&self) -> Result<FilesContext, Error> {
        let files = self.download.files(&self.name)?;
        let context = FilesContext::new(files, format!("`{}`, which was fetched", self.name));
        Ok(context.made(self.download.last_modified()))
    }
}
