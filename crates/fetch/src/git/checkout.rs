//! From a commit to its files: listed, submodules put in their places, contents read. Refuses to hold two
//! repositories at a time: two processes could wait for each other.

use std::sync::Arc;

use kiln_layer::{Entry, Files, Kind, LayerPath, Meta, Time, Tree};

use super::{
    GitRequest,
    contents::{self, Contents},
    dot_git,
    listing::{self, Listed, ListedKind},
    mirror::Mirror,
    modules,
    program::Git,
    remote::Remote,
    resolve::{self, Commit},
};
use crate::{Error, ErrorKind, Fetcher, Source, Watch, slot, spool::Spool};

/// The files of a commit.
#[derive(Clone, Debug)]
pub struct Checkout {
    commit: Commit,
    time: i64,
    files: Arc<Spool>,
}

impl Checkout {
    /// The commit's number.
    pub fn commit(&self) -> &str {
        self.commit.id()
    }

    /// When it was committed, in seconds since 1970.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The files: of root, folders 755, files 644 or 755, as git has them. They are held open, and do not
    /// depend on what is kept.
    pub fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.files) as Arc<dyn Files>
    }
}

/// What comes together.
struct Gathering<'a> {
    fetcher: &'a Fetcher,
    request: &'a GitRequest,
    watch: &'a Watch<'a>,
    contents: Contents<'a>,
    entries: Vec<Entry>,
    subdir: LayerPath,
    time: i64,
    mtime: Time,
    submodules: usize,
}

/// A submodule that is still to be put in its place.
struct Waiting {
    remote: Remote,
    commit: Commit,
    at: LayerPath,
}

pub(super) fn checkout(
    fetcher: &Fetcher,
    request: &GitRequest,
    commit: &Commit,
    watch: &Watch<'_>,
) -> Result<Checkout, Error> {
    let remote = resolve::remote(request)?;
    let subdir = LayerPath::parse(&request.subdir).map_err(|e| {
        let what = format!("`{}` is no folder of a repository", request.subdir);
        Error::new(ErrorKind::Invalid, what).because(e)
    })?;
    let folder = fetcher.of(Source::Git);
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(slot::shown("make", &folder), e))?;
    let mut gathering = Gathering {
        fetcher,
        request,
        watch,
        contents: Contents::new(&folder, fetcher.options.limits.repository, watch)?,
        entries: Vec::new(),
        subdir,
        time: 0,
        mtime: Time::at(slot::now()),
        submodules: 0,
    };
    let first = Waiting {
        remote,
        commit: commit.clone(),
        at: LayerPath::root(),
    };
    gathering.all(first)?;
    let entries = gathering.below_subdir()?;
    let files = Spool {
        tree: Tree::from_entries(entries),
        file: gathering.contents.finish()?,
    };
    Ok(Checkout {
        commit: commit.clone(),
        time: gathering.time,
        files: Arc::new(files),
    })
}

impl Gathering<'_> {
    /// The repository, then its submodules, then theirs.
    fn all(&mut self, first: Waiting) -> Result<(), Error> {
        let limits = self.fetcher.options.limits;
        let mut level = vec![first];
        for depth in 0.. {
            let mut next = Vec::new();
            for waiting in level {
                next.extend(self.one(&waiting, depth == 0)?);
            }
            self.submodules += next.len();
            if next.is_empty() {
                return Ok(());
            }
            if depth >= limits.submodules || self.submodules > limits.submodules * 100 {
                let what = "the repository has too many submodules, or they are too deep";
                return Err(Error::new(ErrorKind::Refused, what)
                    .hint("leave them out: `?submodules=false` behind the address"));
            }
            level = next;
        }
        Ok(())
    }

    /// One repository at its place; the submodules that it has.
    fn one(&mut self, waiting: &Waiting, is_first: bool) -> Result<Vec<Waiting>, Error> {
        let Waiting { remote, commit, at } = waiting;
        let mirror = Mirror::open(self.fetcher, remote, self.watch)?;
        let git = mirror.with(self.request, commit)?;
        if is_first {
            self.time = commit_time(&git, &commit.id)?;
            if self.request.commit_times {
                self.mtime = Time::at(self.time);
            }
        }
        let room = self
            .fetcher
            .options
            .limits
            .entries
            .saturating_sub(self.entries.len());
        let listed = listing::list(&git, &commit.id, room)?;
        let waiting = self.submodules(&git, remote, at, &listed)?;
        self.entries(&git, at, listed)?;
        if is_first && self.request.keep_git_dir && self.subdir.is_root() {
            mirror.with_tag(&git, self.request, commit)?;
            let folder = dot_git::make(self.fetcher, &mirror, &git, commit, self.watch)?;
            let mut entries = dot_git::entries(&folder, self.mtime, &mut self.contents)?;
            self.entries.append(&mut entries);
        }
        Ok(waiting)
    }

    /// Whether it is in the folder that is wanted, or on the way there.
    fn is_wanted(&self, path: &LayerPath) -> bool {
        path.starts_with(&self.subdir) || self.subdir.starts_with(path)
    }

    fn submodules(
        &self,
        git: &Git<'_>,
        remote: &Remote,
        at: &LayerPath,
        listed: &[Listed],
    ) -> Result<Vec<Waiting>, Error> {
        let mut found = Vec::new();
        if !self.request.submodules || !listed.iter().any(|l| l.kind == ListedKind::Submodule) {
            return Ok(found);
        }
        let modules = listed.iter().find(|l| l.path.as_bytes() == b".gitmodules");
        let addresses = match modules {
            Some(Listed {
                kind: ListedKind::File { .. },
                object,
                ..
            }) => modules::addresses(git, object)?,
            _ => Default::default(),
        };
        for module in listed.iter().filter(|l| l.kind == ListedKind::Submodule) {
            let place = at.append(&module.path).map_err(refused)?;
            if !self.is_wanted(&place) {
                continue;
            }
            let Some(address) = addresses.get(module.path.as_bytes()) else {
                let what = format!("`{remote}`: there is no address for its submodule `{place}`");
                return Err(Error::new(ErrorKind::Refused, what)
                    .hint("leave submodules out: `?submodules=false` behind the address"));
            };
            let remote = remote.submodule(address).map_err(|e| {
                let what = format!("the address of submodule `{place}` is not taken");
                Error::new(ErrorKind::Refused, what).because(e)
            })?;
            found.push(Waiting {
                remote,
                commit: Commit {
                    id: module.object.clone(),
                    tag: None,
                    reference: None,
                },
                at: place,
            });
        }
        Ok(found)
    }

    /// The entries of one repository, with their contents.
    fn entries(&mut self, git: &Git<'_>, at: &LayerPath, listed: Vec<Listed>) -> Result<(), Error> {
        let mut wanted = Vec::with_capacity(listed.len());
        for mut entry in listed {
            entry.path = at.append(&entry.path).map_err(refused)?;
            if self.is_wanted(&entry.path) {
                wanted.push(entry);
            }
        }
        let of = |links: bool| {
            let is_file = |l: &&Listed| matches!(l.kind, ListedKind::File { .. });
            let is_link = |l: &&Listed| l.kind == ListedKind::Link;
            let fits = move |l: &&Listed| if links { is_link(l) } else { is_file(l) };
            let fits = wanted.iter().filter(fits);
            fits.map(|l| l.object.as_str()).collect::<Vec<_>>()
        };
        let files = self.contents.objects(git, &of(false))?;
        let targets = contents::targets(git, &of(true))?;
        for Listed { path, kind, object } in &wanted {
            let (mode, kind) = match kind {
                ListedKind::Folder | ListedKind::Submodule => (0o755, Kind::Dir { opaque: false }),
                ListedKind::File { executable } => {
                    let mode = if *executable { 0o755 } else { 0o644 };
                    (mode, Kind::File(files[object].clone()))
                }
                ListedKind::Link => {
                    let target = targets[object].clone();
                    (0o777, Kind::Symlink { target })
                }
            };
            self.entries.push(Entry {
                path: path.clone(),
                meta: Meta {
                    mtime: self.mtime,
                    ..Meta::with_mode(mode)
                },
                kind,
            });
        }
        Ok(())
    }

    /// The entries in the folder that is wanted, as seen from there.
    fn below_subdir(&mut self) -> Result<Vec<Entry>, Error> {
        let entries = std::mem::take(&mut self.entries);
        if self.subdir.is_root() {
            return Ok(entries);
        }
        let found = entries.iter().find(|entry| entry.path == self.subdir);
        let wrong = |why: &str| {
            let what = format!("`{}` {why} in the repository", self.subdir);
            Err(Error::new(ErrorKind::NotFound, what))
        };
        match found {
            None => return wrong("is not"),
            Some(entry) if !entry.is_dir() => return wrong("is not a folder"),
            Some(_) => {}
        }
        let inside = entries.into_iter().filter_map(|entry| {
            let path = entry.path.strip(&self.subdir)?;
            (!path.is_root()).then_some(Entry { path, ..entry })
        });
        Ok(inside.collect())
    }
}

fn refused(e: kiln_layer::Error) -> Error {
    Error::new(ErrorKind::Refused, "the commit is not taken").because(e)
}

fn commit_time(git: &Git<'_>, id: &str) -> Result<i64, Error> {
    let said = git.run(&["show", "--no-patch", "--format=%ct", id, "--"])?;
    let time = said.trim().parse();
    time.map_err(|_| Error::new(ErrorKind::Refused, "the commit has no time"))
}
