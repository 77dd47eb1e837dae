//! Who fetches: a folder to keep things in, and how strangers are treated. Listing and removing what is
//! kept. Refuses to decide what is old.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind,
    slot::{self, Slot},
};

/// How strangers are treated.
#[derive(Clone)]
pub struct Options {
    /// What one is called where one asks.
    pub user_agent: String,
    /// Certificates (PEM) that are trusted beside those of this machine.
    pub roots: Vec<Vec<u8>>,
    /// How often something is tried that may succeed the next time.
    pub tries: u32,
    /// The program that fetches from git repositories.
    pub git: PathBuf,
    /// What is too much.
    pub limits: Limits,
}

/// What is too much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The size of a file, in bytes.
    pub file: u64,
    /// What a repository may grow by in one fetch, and the size of all files of a checkout, in bytes.
    pub repository: u64,
    /// How many entries a checkout has.
    pub entries: usize,
    /// How deep submodules are in others, and a hundred times that is how many there are.
    pub submodules: usize,
}

impl Default for Limits {
    /// 32 GiB for a file and for a repository, two million entries, submodules ten deep.
    fn default() -> Self {
        Self {
            file: 32 << 30,
            repository: 32 << 30,
            entries: 2_000_000,
            submodules: 10,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: concat!("kiln-fetch/", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: Vec::new(),
            tries: 5,
            git: PathBuf::from("git"),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user_agent", &self.user_agent)
            .field("tries", &self.tries)
            .field("git", &self.git)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Fetches, and keeps what it fetched in a folder that any number of processes share.
#[derive(Clone, Debug)]
pub struct Fetcher {
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file from an HTTP address.
    Http,
    /// A git repository.
    Git,
}

/// Something that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// By what it is removed: unique in the folder, the same from one look to the next.
    pub id: String,
    /// What it is.
    pub source: Source,
    /// Where it is from, without passwords and queries. Empty where that is not known: a first
    /// download that was killed.
    pub from: String,
    /// How much space it takes, in bytes.
    pub size: u64,
    /// When it was fetched or asked for last, in seconds since 1970.
    pub used: i64,
}

/// What is known of a source whatever it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) from: String,
    pub(crate) used: i64,
}

pub(crate) const LABEL: &str = "source.json";

impl Fetcher {
    /// Keeps things in `folder`, which is made when something is.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when there is something else in its place.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if folder.exists() && !folder.is_dir() {
            let what = format!("`{}` is not a folder", folder.display());
            return Err(Error::new(ErrorKind::Io, what));
        }
        Ok(Self {
            folder: folder.to_owned(),
            options: Options::default(),
        })
    }

    /// The same with other options.
    #[must_use]
    pub fn with(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// All that is kept, in no order. What is under way is there too.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn kept(&self) -> Result<Vec<Kept>, Error> {
        let mut all = Vec::new();
        for source in [Source::Http, Source::Git] {
            let folder = self.of(source);
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let entry = entry.map_err(|e| Error::io(slot::shown("read", &folder), e))?;
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let label: Option<Label> = slot::read(&entry.path().join(LABEL));
                let Label { from, used } = label.unwrap_or_default();
                all.push(Kept {
                    id: format!("{}/{name}", source.name()),
                    source,
                    from,
                    size: size(&entry.path()),
                    used,
                });
            }
        }
        Ok(all)
    }

    /// Removes what is kept under an id, unless somebody works with it: whether it did. Files that
    /// were given out can be read on, where the system lets files that are open be removed.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for what is no id; when something cannot be removed.
    pub fn remove(&self, id: &str) -> Result<bool, Error> {
        let known = [Source::Http, Source::Git].into_iter().find_map(|source| {
            let name = id.strip_prefix(source.name())?.strip_prefix('/')?;
            let plain = name.bytes().all(|b| b.is_ascii_hexdigit()) && name.len() == 64;
            plain.then_some((source, name))
        });
        let Some((source, name)) = known else {
            let what = format!("`{id}` is not the id of something that is kept");
            return Err(Error::new(ErrorKind::Invalid, what));
        };
        let folder = self.of(source);
        if !folder.join(name).is_dir() {
            return Ok(false);
        }
        match Slot::try_take(&folder, name)? {
            Some(slot) => slot.clear().map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes what kills left behind and is of no use: locks of what is not kept.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn sweep(&self) -> Result<(), Error> {
        slot::sweep(&self.of(Source::Http))?;
        slot::sweep(&self.of(Source::Git))
    }

    pub(crate) fn of(&self, source: Source) -> PathBuf {
        self.folder.join(source.name())
    }
}

impl Source {
    /// `http` or `git`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Http => "http",
            Source::Git => "git",
        }
    }
}

/// The size of all files below. What goes meanwhile does not count.
pub(crate) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
