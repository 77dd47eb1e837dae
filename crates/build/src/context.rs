//! A folder on this machine as a build context: what `.dockerignore` leaves, and of that only what
//! some instruction selects.

mod absent;
pub(crate) mod access;
mod files;
mod indexes;
mod layout;
mod remote;
pub(crate) mod retold;
pub(crate) mod selection;

pub use files::FilesContext;
pub(crate) use files::scratch;
pub use indexes::StoreIndexes;
pub use layout::LayoutImage;
pub use remote::{Fetched, FetchedFile, Purpose};

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use kiln_graph::Select;
use kiln_image::Digest;
use kiln_layer::{
    Entry, Files, Folder, Index, Keep, Kind, LayerPath, Root, RootLayer, Scan, Scanned, Tree,
};
use kiln_parser::{Diagnostic, LineIndex, ignore::Ignore};

use crate::{
    Absent, Context, Error, ErrorKind, Look,
    context::selection::{Fit, Selection, expand, literal_part, literally},
};

/// How often a chain of symbolic links named by COPY is followed to files not yet selected.
const LINKS: usize = 40;

/// A folder as a build context. Everything in it is owned by 0:0, as docker has it.
#[derive(Debug)]
pub struct LocalContext {
    root: PathBuf,
    ignore: Ignore,
    ignore_file: String,
    plain_modes: bool,
    /// The name under which it is kept what was found out about it.
    canonical: PathBuf,
    known: Mutex<Known>,
}

/// What was found out about the folder.
#[derive(Debug, Default)]
struct Known {
    index: Option<Arc<Index>>,
    /// Files that were given with some of them unread, by what selected them.
    unread: HashMap<Select, Weak<Folder>>,
}

impl LocalContext {
    /// The folder `root`, with the ignore file that belongs to `dockerfile`:
    /// `<name of the Dockerfile>.dockerignore` beside it, else `.dockerignore` in the folder.
    ///
    /// # Errors
    /// When `root` is not a folder that can be read, or the ignore file cannot be.
    pub fn open(root: &Path, dockerfile: Option<&Path>) -> Result<Self, Error> {
        let meta = fs::metadata(root)
            .map_err(|e| Error::io(format!("read the build context `{}`", root.display()), e))?;
        if !meta.is_dir() {
            let what = format!("the build context `{}` is not a folder", root.display());
            return Err(Error::new(ErrorKind::Input, what)
                .hint("name the folder that COPY and ADD take files from; did you mean `.`?"));
        }
        let beside = dockerfile.map(|file| {
            let mut name = file.as_os_str().to_owned();
            name.push(".dockerignore");
            PathBuf::from(name)
        });
        let mut found = (String::new(), String::new());
        for path in beside.into_iter().chain([root.join(".dockerignore")]) {
            if let Some(text) = read_if_there(&path)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                found = (text, name.into_owned());
                break;
            }
        }
        let ignore = read_rules(&found.1, &found.0)?;
        let canonical = fs::canonicalize(root)
            .map_err(|e| Error::io(format!("read the build context `{}`", root.display()), e))?;
        Ok(Self {
            root: root.to_owned(),
            ignore,
            ignore_file: found.1,
            plain_modes: false,
            canonical,
            known: Mutex::default(),
        })
    }

    /// Modes become 644 or 755, so that the umask of a checkout does not matter.
    #[must_use]
    pub fn plain_modes(mut self, plain: bool) -> Self {
        self.plain_modes = plain;
        self
    }

    /// How many bytes a tar of the whole context would have: headers, contents, padding.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn tar_size(&self) -> Result<u64, Error> {
        let mut size = 1024;
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = self.root.join(&folder);
            let failed = |e| Error::io(format!("read `{}`", at.display()), e);
            for entry in fs::read_dir(&at).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name();
                let path = match folder.is_empty() {
                    true => name.to_string_lossy().into_owned(),
                    false => format!("{folder}/{}", name.to_string_lossy()),
                };
                let meta = entry.metadata().map_err(failed)?;
                let excluded = self.ignore.excludes(&path, meta.is_dir());
                if meta.is_dir() && (!excluded || self.ignore.has_negation()) {
                    folders.push(path);
                }
                if !excluded {
                    size += 512;
                    size += if meta.is_file() {
                        meta.len().next_multiple_of(512)
                    } else {
                        0
                    };
                }
            }
        }
        Ok(size)
    }

    fn keep(&self, selection: &Selection, path: &LayerPath, is_dir: bool) -> Keep {
        let fit = selection.fit(path, is_dir);
        if fit == Fit::Outside {
            return Keep::No;
        }
        let text = String::from_utf8_lossy(path.as_bytes());
        if !path.is_root() && self.ignore.excludes(&text, is_dir) {
            return match is_dir && self.ignore.has_negation() {
                true => Keep::Look,
                false => Keep::No,
            };
        }
        match fit {
            Fit::Selected => Keep::Yes,
            _ if is_dir => Keep::Look,
            // A symbolic link on the way to what is selected.
            _ => Keep::Yes,
        }
    }

    fn scan(&self, selection: &Selection, look: &Look<'_>) -> Result<(Folder, Scanned), Error> {
        let whole = selection.is_everything() && self.ignore.is_empty();
        let keep = |path: &LayerPath, is_dir: bool| match whole {
            true => Keep::Yes,
            false => self.keep(selection, path, is_dir),
        };
        let shown = |entry: &mut Entry| self.shown(entry);
        let index = self.index(look);
        let how = Scan {
            // As many as there are processors: more only get in each other's way.
            threads: 0,
            index: index.as_deref(),
            read_up_to: look.read_up_to,
            shown: Some(&shown),
        };
        let (folder, mut scanned) = Folder::scan_with(&self.root, &keep, &how).map_err(|e| {
            let what = format!("read the build context `{}`", self.root.display());
            let error = Error::new(ErrorKind::Io, what);
            match advice(&e) {
                Some(advice) => error.hint(advice),
                None => error,
            }
            .because(e)
        })?;
        if let Some(index) = scanned.index.take() {
            self.keep_index(index, look);
        }
        Ok((folder, scanned))
    }

    /// An entry as a context has it: owned by 0:0, and if asked with the mode of any checkout.
    fn shown(&self, entry: &mut Entry) {
        (entry.meta.uid, entry.meta.gid) = (0, 0);
        if self.plain_modes {
            let folder_or_program = entry.is_dir() || entry.meta.mode & 0o111 != 0;
            entry.meta.mode = if folder_or_program { 0o755 } else { 0o644 };
        }
    }

    /// What was found out before, by this process or another. What cannot be read is found out anew.
    fn index(&self, look: &Look<'_>) -> Option<Arc<Index>> {
        let mut known = self.known();
        if known.index.is_none() {
            let bytes = look.indexes.and_then(|i| i.get(&self.canonical))?;
            known.index = Index::decode(&bytes).ok().map(Arc::new);
        }
        known.index.clone()
    }

    fn keep_index(&self, index: Index, look: &Look<'_>) {
        if let Some(indexes) = look.indexes {
            indexes.put(&self.canonical, &index.encode());
        }
        self.known().index = Some(Arc::new(index));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do about something in a context that cannot be looked at.
fn advice(e: &kiln_layer::Error) -> Option<String> {
    let cause = std::error::Error::source(e).and_then(|e| e.downcast_ref::<io::Error>());
    if cause.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied) {
        return Some("make it readable, or name it in `.dockerignore`".to_owned());
    }
    e.hint_text().map(str::to_owned)
}

/// The text of a small file, `None` where there is none. A pipe or a device is not waited for.
/// The rules of an ignore file. A line that cannot be read fails the build: without it files would
/// get into images that its author wanted out.
fn read_rules(name: &str, text: &str) -> Result<Ignore, Error> {
    let (ignore, problems) = Ignore::parse(text);
    let Some(problem) = problems.into_iter().find(Diagnostic::is_error) else {
        return Ok(ignore);
    };
    let line = LineIndex::new(text).line(problem.span.start);
    let what = format!("{name}:{line}: {}", problem.message);
    let error = Error::new(ErrorKind::Input, what);
    Err(match problem.help {
        Some(help) => error.hint(help),
        None => error,
    })
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    let what = || format!("read `{}`", path.display());
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(what(), e)),
        Ok(meta) if !meta.is_file() => {
            return Err(Error::new(ErrorKind::Input, what()).because("it is not a regular file"));
        }
        Ok(_) => {}
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) => Err(Error::io(what(), e)),
    }
}

impl Context for LocalContext {
    fn files(&self, select: &Select, look: &Look<'_>) -> Result<Arc<dyn Files>, Error> {
        let mut more: Vec<String> = Vec::new();
        for _ in 0..LINKS {
            let selection = Selection::new(select, &more)?;
            let (files, scanned) = self.scan(&selection, look)?;
            let files = Arc::new(files);
            let asked = select.patterns.iter().map(|text| (text, select.deep));
            let asked = asked.chain(more.iter().map(|text| (text, false)));
            let targets = links_out(asked, &files)?;
            let is_new = |t: &String| !select.patterns.contains(t) && !more.contains(t);
            let new: Vec<String> = targets.into_iter().filter(is_new).collect();
            if new.is_empty() || select.patterns.is_empty() {
                if scanned.unread > 0 {
                    let unread = Arc::downgrade(&files);
                    self.known().unread.insert(select.clone(), unread);
                }
                return Ok(files);
            }
            more.extend(new);
        }
        Err(Error::new(
            ErrorKind::Input,
            "too many symbolic links in the build context",
        ))
    }

    fn learn(
        &self,
        select: &Select,
        look: &Look<'_>,
        digest: &dyn Fn(&LayerPath) -> Option<Digest>,
    ) {
        let unread = self.known().unread.remove(select);
        let Some(folder) = unread.and_then(|folder| folder.upgrade()) else {
            return;
        };
        let known = self.index(look);
        if let Some(index) = folder.learn(known.as_deref(), digest) {
            self.keep_index(index, look);
        }
    }

    fn identity(&self) -> Option<String> {
        Some(self.canonical.to_string_lossy().into_owned())
    }

    fn absent(&self, path: &str) -> Option<Absent> {
        absent::find(&self.root, &self.ignore, &self.ignore_file, path)
    }

    fn ignore(&self) -> Option<&Ignore> {
        Some(&self.ignore)
    }

    fn missing(&self, path: &str) -> Option<String> {
        self.absent(path)?.why
    }
}

/// The patterns that symbolic links among the selected sources, or on the way to them, point to.
fn links_out<'a>(
    patterns: impl Iterator<Item = (&'a String, bool)>,
    files: &Arc<Folder>,
) -> Result<Vec<String>, Error> {
    let tree = files.tree();
    let is_link = |e: &Entry| matches!(e.kind, Kind::Symlink { .. });
    let mut out = Vec::new();
    if !tree.iter().any(is_link) {
        return Ok(out);
    }
    let root = as_root(Arc::clone(files) as Arc<dyn Files>);
    for (pattern, deep) in patterns {
        let (literal, rest) = literal_part(pattern);
        if !rest.is_empty() {
            out.extend(link_on(tree, &literal, &rest));
        }
        for source in expand(&root, pattern, deep)? {
            out.extend(link_on(tree, &source.path, ""));
        }
    }
    Ok(out)
}

/// Where the first link on the way to `path` leads, with what comes behind it and then `rest`, which
/// is a pattern; `None` where there is no link.
fn link_on(tree: &Tree, path: &LayerPath, rest: &str) -> Option<String> {
    let mut at = LayerPath::root();
    let mut names = path.components();
    while let Some(name) = names.next() {
        let next = at.join(name).ok()?;
        if let Some(Kind::Symlink { target }) = tree.get(&next).map(|e| &e.kind) {
            return Some(beside(&at, target, names, rest));
        }
        at = next;
    }
    None
}

/// The pattern that `target`, a link's text read in the folder `at`, and then `names` and `rest` lead
/// to.
fn beside<'a>(
    at: &'a LayerPath,
    target: &'a [u8],
    names: impl Iterator<Item = &'a [u8]>,
    rest: &str,
) -> String {
    let mut parts: Vec<&[u8]> = match target.first() {
        Some(b'/') => Vec::new(),
        _ => at.components().collect(),
    };
    for part in target.split(|c| *c == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.extend(names);
    let literal = parts.iter().map(|name| literally(name));
    let rest = Some(rest.to_owned()).filter(|rest| !rest.is_empty());
    let text = literal.chain(rest).collect::<Vec<_>>().join("/");
    match text.is_empty() {
        true => ".".to_owned(),
        false => text,
    }
}

/// Any files as a root of one layer, for what looks paths up through symbolic links.
pub(crate) fn as_root(files: Arc<dyn Files>) -> Root {
    let diff_id = Digest::sha256(b"");
    Root::new(vec![RootLayer { diff_id, files }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
