//! Files of any kind as a build context: those of an archive, of a checkout, none at all. Nothing is left
//! out: an ignore file counts in folders of this machine only, as docker has it.

use std::{collections::BTreeSet, fs, io::Read, sync::Arc};

use kiln_graph::Select;
use kiln_layer::{Archive, Entry, Files, InMemory, LayerPath, Limits, Meta, Tree};

use super::as_root;
use crate::{Absent, Builder, Context, Error, ErrorKind, Look, context::retold::Retold};

/// The longest Dockerfile that is taken from elsewhere, in bytes.
pub(super) const TEXT: u64 = 2 << 20;

/// Files of any kind as a build context.
pub struct FilesContext {
    files: Arc<Retold>,
    /// What they are the files of, for messages: "the archive".
    what: String,
    owners: bool,
    time: Option<i64>,
}

impl FilesContext {
    /// `files`, which are those of `what`: as in "`a` is not in WHAT".
    pub fn new(files: Arc<dyn Files>, what: impl Into<String>) -> Self {
        Self {
            files: Arc::new(whole(files)),
            what: what.into(),
            owners: false,
            time: None,
        }
    }

    /// No files at all.
    pub fn empty(what: impl Into<String>) -> Self {
        Self::new(Arc::new(InMemory::new()), what)
    }

    /// The files of an archive, with the owners that they have there; see [`Archive::read`]. `None`
    /// when it is none.
    ///
    /// # Errors
    /// When the archive is broken, or has what no image can have.
    pub fn archive(
        from: impl Read + Send,
        scratch: fs::File,
        what: impl Into<String>,
    ) -> Result<Option<Self>, Error> {
        let archive = Archive::read(from, scratch, &Limits::default())?;
        Ok(archive.map(|archive| Self {
            owners: true,
            ..Self::new(Arc::new(archive), what)
        }))
    }

    /// When they were made: see [`Context::time`].
    #[must_use]
    pub fn made(self, time: Option<i64>) -> Self {
        Self { time, ..self }
    }

    /// When the newest of the files was changed, in seconds since 1970.
    pub fn newest(&self) -> Option<i64> {
        let files = self.files.tree.iter().filter(|e| e.file().is_some());
        files.map(|e| e.meta.mtime.seconds).max()
    }

    /// The content of a file that is a text for a build, links followed inside; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is longer than a Dockerfile can be.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let what = || format!("read `{path}` of {}", self.what);
        let files: Arc<dyn Files> = Arc::clone(&self.files) as _;
        let root = as_root(files);
        let found = root.resolve(&LayerPath::parse(path)?)?;
        if found.entry.is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let file = root.open(&found.path).map_err(|e| Error::io(what(), e))?;
        file.take(TEXT + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(what(), e))?;
        match bytes.len() as u64 > TEXT {
            true => Err(too_long(path)),
            false => Ok(Some(bytes)),
        }
    }

    /// The paths of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let files = self.files.tree.iter().filter(|e| !e.is_dir());
        files.map(|e| e.path.to_string())
    }
}

/// The error of what nobody has written by hand.
pub(super) fn too_long(name: &str) -> Error {
    let what = format!(
        "`{name}` is too long for a Dockerfile: more than {} MiB",
        TEXT >> 20
    );
    Error::new(ErrorKind::Input, what)
}

impl Context for FilesContext {
    fn files(&self, _: &Select, _: &Look<'_>) -> Result<Arc<dyn Files>, Error> {
        Ok(Arc::clone(&self.files) as _)
    }

    fn has_owners(&self) -> bool {
        self.owners
    }

    fn time(&self) -> Option<i64> {
        self.time
    }

    fn absent(&self, path: &str) -> Option<Absent> {
        let names = path.split('/').filter(|p| !matches!(*p, "" | "." | ".."));
        let names: Vec<&str> = names.collect();
        let files: Arc<dyn Files> = Arc::clone(&self.files) as _;
        let found = as_root(files).resolve(&LayerPath::parse(names.join("/")).ok()?);
        if found.is_ok_and(|found| found.path.is_root() || found.entry.is_some()) {
            return None;
        }
        let lower = names.join("/").to_lowercase();
        let all = self.files.tree.iter();
        let mut near = all.filter(|e| {
            let path = e.path.to_string();
            path != names.join("/") && path.to_lowercase() == lower
        });
        Some(match near.next() {
            Some(entry) => Absent {
                code: "copy-source-case",
                why: Some(format!(
                    "there is `{}`: letters have a case here",
                    entry.path
                )),
            },
            None => Absent {
                code: "copy-source-missing",
                why: Some(format!("the files are those of {}", self.what)),
            },
        })
    }

    fn missing(&self, path: &str) -> Option<String> {
        self.absent(path)?.why
    }
}

/// Files whose tree has an entry for each folder: archives need not have those above their files.
fn whole(files: Arc<dyn Files>) -> Retold {
    let tree = files.tree();
    let above = tree.iter().flat_map(|e| e.path.ancestors());
    let lacking: BTreeSet<LayerPath> = above
        .filter(|path| !path.is_root() && tree.get(path).is_none())
        .collect();
    let made = |path| Entry::folder(path, Meta::with_mode(0o755));
    let entries = tree.iter().cloned();
    let tree = Tree::from_entries(entries.chain(lacking.into_iter().map(made)).collect());
    Retold { files, tree }
}

impl Builder {
    /// An empty file without a name, for what is too big for memory: on the file system of the store,
    /// gone when it is closed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<fs::File, Error> {
        scratch(&self.store().begin()?)
    }
}

/// As [`Builder::scratch`].
pub(crate) fn scratch(lease: &kiln_store::Build) -> Result<fs::File, Error> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = lease.tmp()?.join(format!("scratch-{number}"));
    let failed = |e| Error::io("make a file to unpack to", e);
    let mut options = fs::File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(failed)?;
    // Where an open file keeps its name, it goes with the folder that it is in.
    match fs::remove_file(&path) {
        Err(e) if cfg!(unix) => {
            Err(Error::new(ErrorKind::Io, "make a file to unpack to").because(e))
        }
        _ => Ok(file),
    }
}
