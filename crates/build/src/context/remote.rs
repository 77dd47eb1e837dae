//! Build contexts and Dockerfiles that are elsewhere: git repositories, files at HTTP addresses. Refuses
//! to take what was kept for what is there, where nobody can be asked.

use std::{fs, io::Read as _};

use kiln_fetch::{Download, Watch};
use kiln_frontend::Remote;
use kiln_graph::Cancel;
use kiln_layer::Archive;

use super::FilesContext;
use crate::{Builder, Error, ErrorKind, RunSettings, context::access::Access};

/// The longest Dockerfile that is fetched, in bytes.
const TEXT: u64 = 2 << 20;

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
    /// Fetches what an address names; `None` for a path. `keep_git_dir` leaves a `.git` among the files
    /// of a repository. Of `run`, the secrets and agents that ADD would show are shown.
    ///
    /// # Errors
    /// When it is not to be had, or the address is one that nobody should follow.
    pub fn fetch(
        &self,
        address: &str,
        keep_git_dir: bool,
        run: &RunSettings,
        cancel: &Cancel,
    ) -> Result<Option<Fetched>, Error> {
        let canceled = || cancel.is_canceled();
        let watch = Watch {
            canceled: &canceled,
            ..Watch::NOBODY
        };
        let remote = Remote::of_context(address);
        let remote =
            remote.map_err(|(what, help)| Error::new(ErrorKind::Input, what).hint(help))?;
        let lease = self.store().begin()?;
        let access = Access {
            run,
            lease: &lease,
            fresh: false,
        };
        Ok(match remote {
            Some(Remote::Git(mut git)) => {
                git.keep_git_dir |= keep_git_dir;
                let agent = access.agent(&git)?;
                let request = access.git(&git, agent.as_ref())?;
                let checkout = self.fetcher()?.git(&request, &watch)?;
                let what = "the repository that is the context";
                let context = FilesContext::new(checkout.files(), what);
                Some(Fetched::Repository(context.made(Some(checkout.time()))))
            }
            Some(Remote::Http(http)) => {
                let download = self.fetcher()?.http(&access.http(&http)?, &watch)?;
                Some(Fetched::File(FetchedFile {
                    name: download.name().unwrap_or(&http.file_name).to_owned(),
                    download,
                }))
            }
            _ => None,
        })
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
        Ok(context.map(|context| context.made(self.download.last_modified())))
    }

    /// All of it: a Dockerfile, say.
    ///
    /// # Errors
    /// When it is longer than a Dockerfile can be.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        if self.download.size() > TEXT {
            let what = format!("`{}` is too long for a Dockerfile", self.name);
            return Err(Error::new(ErrorKind::Input, what).hint("a context is a tar"));
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
