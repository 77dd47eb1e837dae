//! The bare repository that is kept of a remote: a commit is fetched once, and alone. Refuses to be
//! worked on by two at a time.

use std::{fs, io::Read, path::Path};

use super::{
    GitRequest,
    program::{Failed, Git},
    remote::Remote,
    resolve::{Commit, is_id},
};
use crate::{
    Error, ErrorKind, Fetcher, Source, Watch,
    fetcher::{LABEL, Label},
    slot::{self, Slot},
};

const REPOSITORY: &str = "repository";
const TMP: &str = "tmp";

/// A remote's repository, taken.
pub(super) struct Mirror<'a> {
    slot: Slot,
    fetcher: &'a Fetcher,
    remote: &'a Remote,
    watch: &'a Watch<'a>,
}

/// The name by which a commit is kept.
fn name_of(id: &str) -> String {
    format!("refs/kiln/commit/{id}")
}

impl<'a> Mirror<'a> {
    pub(super) fn open(
        fetcher: &'a Fetcher,
        remote: &'a Remote,
        watch: &'a Watch<'a>,
    ) -> Result<Self, Error> {
        let slot = Slot::take(&fetcher.of(Source::Git), &remote.to_string(), watch)?;
        let label = Label {
            from: remote.to_string(),
            used: slot::now(),
        };
        slot.write(LABEL, &label)?;
        let tmp = slot.path(TMP);
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(|e| Error::io(slot::shown("remove", &tmp), e))?;
        }
        fs::create_dir(&tmp).map_err(|e| Error::io(slot::shown("make", &tmp), e))?;
        Ok(Self {
            slot,
            fetcher,
            remote,
            watch,
        })
    }

    /// Whether the commit is kept: looked up without waiting for anybody, and believed later only
    /// where the commit is there.
    pub(super) fn is_kept(fetcher: &Fetcher, remote: &Remote, id: &str) -> bool {
        let name = kiln_image::Digest::sha256(remote.to_string().as_bytes()).hex();
        let folder = fetcher.of(Source::Git).join(name);
        let id = id.to_ascii_lowercase();
        let of = |length: usize| folder.join(repository(length)).join(name_of(&id));
        of(id.len()).is_file()
    }

    /// Where it is from.
    pub(super) fn address(&self) -> String {
        self.remote.to_string()
    }

    /// A place for files that go when the mirror is closed.
    pub(super) fn tmp(&self) -> std::path::PathBuf {
        self.slot.path(TMP)
    }

    /// The repository with objects whose numbers are so long, made if need be.
    pub(super) fn git(&self, id: &str) -> Result<Git<'a>, Error> {
        let path = self.slot.path(repository(id.len()));
        if !path.join("HEAD").exists() {
            let new = self.tmp().join("new");
            let git = Git::new(self.fetcher, new.clone(), self.watch);
            let format = match id.len() {
                64 => "--object-format=sha256",
                _ => "--object-format=sha1",
            };
            git.run(&["init", "--quiet", "--bare", "--template=", format])?;
            // Half of one, left by a kill.
            let _ = fs::remove_dir_all(&path);
            fs::rename(&new, &path).map_err(|e| Error::io(slot::shown("make", &path), e))?;
        }
        Ok(Git::new(self.fetcher, path, self.watch))
    }

    /// The repository, with the commit in it.
    pub(super) fn with(&self, request: &GitRequest, commit: &Commit) -> Result<Git<'a>, Error> {
        let git = self.git(&commit.id)?;
        let name = name_of(&commit.id);
        if Self::has(&git, &name, &commit.id)? {
            return Ok(git);
        }
        sweep(&git);
        let one = ["--depth=1"];
        let first = self.fetch(&git, request, &one, &[format!("+{}:{name}", commit.id)]);
        let failed = match first {
            Ok(()) if Self::has(&git, &name, &commit.id)? => return Ok(git),
            Ok(()) => self.not_there(&commit.id),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Io) => e,
            Err(e) => return Err(e),
        };
        // It may not give commits by their number, but the reference leads there.
        let asked = "refs/kiln/asked";
        if let Some(reference) = &commit.reference {
            self.fetch(&git, request, &one, &[format!("+{reference}:{asked}")])?;
            if Self::has(&git, asked, &commit.id)? {
                git.run(&["update-ref", &name, &commit.id])?;
                return Ok(git);
            }
        }
        self.everything(&git, request)?;
        let found = git.run(&["update-ref", &name, &commit.id]);
        match found.is_ok() && Self::has(&git, &name, &commit.id)? {
            true => Ok(git),
            false => Err(match failed.kind() {
                ErrorKind::NotFound => self.not_there(&commit.id),
                _ => failed,
            }),
        }
    }

    fn not_there(&self, id: &str) -> Error {
        let what = format!("`{}`: there is no commit {id}", self.remote);
        Error::new(ErrorKind::NotFound, what)
    }

    /// Fetches the number of the annotated tag that leads to a commit, for those who want to see it.
    pub(super) fn with_tag(
        &self,
        git: &Git<'_>,
        request: &GitRequest,
        commit: &Commit,
    ) -> Result<(), Error> {
        let (Some(tag), Some(reference)) = (&commit.tag, &commit.reference) else {
            return Ok(());
        };
        let name = name_of(tag);
        if self.points(git, &name)?.as_ref() == Some(tag) {
            return Ok(());
        }
        self.fetch(
            git,
            request,
            &["--depth=1"],
            &[format!("+{reference}:{name}")],
        )
    }

    /// The number of the commit whose number begins so.
    pub(super) fn find(&self, request: &GitRequest, beginning: &str) -> Result<String, Error> {
        let git = self.git("")?;
        let look = |git: &Git<'_>| -> Result<Option<String>, Error> {
            let object = format!("{beginning}^{{commit}}");
            let found = git.read(&["rev-parse", "--verify", "--quiet", &object], &[], text)?;
            let found = found.ok().map(|id| id.trim().to_owned());
            Ok(found.filter(|id| is_id(id)))
        };
        // What is here may be one of several that begin so.
        self.everything(&git, request)?;
        look(&git)?.ok_or_else(|| {
            let what = format!(
                "`{}`: there is no branch, tag or commit `{beginning}`, or more than one",
                self.remote
            );
            Error::new(ErrorKind::NotFound, what)
        })
    }

    /// All branches and tags with their histories.
    fn everything(&self, git: &Git<'_>, request: &GitRequest) -> Result<(), Error> {
        let whole: &[&str] = match git.repository().join("shallow").exists() {
            true => &["--unshallow"],
            false => &[],
        };
        let all = ["heads", "tags"].map(|kind| format!("+refs/{kind}/*:refs/kiln/all/{kind}/*"));
        self.fetch(git, request, whole, &all)
    }

    fn fetch(
        &self,
        git: &Git<'_>,
        request: &GitRequest,
        options: &[&str],
        what: &[String],
    ) -> Result<(), Error> {
        let address = self.remote.to_string();
        let mut args = vec![
            "fetch",
            "--progress",
            "--no-tags",
            "--force",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--update-shallow",
        ];
        args.extend(options);
        args.extend(["--", address.as_str()]);
        args.extend(what.iter().map(String::as_str));
        let done = git.talk(self.remote, request.agent.as_deref(), &args);
        if done.is_err() {
            sweep(git);
        }
        done.map(drop)
    }

    /// Whether the name is there and leads to the commit, whose objects are all there.
    fn has(git: &Git<'_>, name: &str, id: &str) -> Result<bool, Error> {
        let object = format!("{name}^{{commit}}");
        let found = git.read(&["rev-parse", "--verify", "--quiet", &object], &[], text)?;
        Ok(found.is_ok_and(|found| found.trim() == id))
    }

    fn points(&self, git: &Git<'_>, name: &str) -> Result<Option<String>, Error> {
        let found = git.read(&["rev-parse", "--verify", "--quiet", name], &[], text)?;
        let found: Option<String> = found.map_err(|Failed(_)| ()).ok();
        Ok(found.map(|id| id.trim().to_owned()))
    }
}

impl Drop for Mirror<'_> {
    fn drop(&mut self) {
        // What stays is removed by the next.
        let _ = fs::remove_dir_all(self.slot.path(TMP));
    }
}

/// What git left behind that was ended in the middle: objects that came in parts, and locks. Nobody else
/// works here.
fn sweep(git: &Git<'_>) {
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    for folder in below(&git.repository().join("objects")) {
        for entry in below(&folder.path()) {
            if entry.file_name().to_string_lossy().starts_with("tmp_") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    for lock in [
        "shallow.lock",
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
    ] {
        let _ = fs::remove_file(git.repository().join(lock));
    }
}

fn repository(length: usize) -> &'static str {
    match length {
        64 => "repository-sha256",
        _ => REPOSITORY,
    }
}

pub(super) fn text(out: &mut impl Read) -> Result<String, Error> {
    let mut text = String::new();
    out.take(1 << 20)
        .read_to_string(&mut text)
        .map_err(|e| Error::io("read what git writes", e))?;
    Ok(text)
}
