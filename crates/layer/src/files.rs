//! [`Files`]: a [`Tree`] and a way to read its files, whatever they are kept in.

use std::io::{self, Cursor, Read};

use crate::{Entry, Error, ErrorKind, Kind, LayerPath, Tree};

/// The content of a file, from its beginning to its end.
pub type Content = Box<dyn Read + Send>;

/// Opens files one after the other: see [`Files::opening`].
pub type Opening<'a> = Box<dyn FnMut(&LayerPath) -> io::Result<Content> + 'a>;

/// A tree whose files can be read: a folder, a tar, an unpacked layer, an image, a stage.
pub trait Files: Send + Sync {
    /// What there is.
    fn tree(&self) -> &Tree;

    /// Opens the regular file at `path`; a hard link is followed to its file, a symbolic link is
    /// not. The reader gives exactly the size that the tree says.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) when there is no such file; else what reading gives.
    /// An [`Error`] travels inside the [`io::Error`].
    fn open(&self, path: &LayerPath) -> io::Result<Content>;

    /// A way to open many files one after the other on one thread, as [`open`](Files::open) does:
    /// cheaper where files that come together lie together.
    fn opening(&self) -> Opening<'_> {
        Box::new(|path| self.open(path))
    }

    /// Reads all regular files that `select` wants in one pass, in the order in which they are
    /// stored; a hard link is not a file of its own here.
    ///
    /// # Errors
    ///
    /// The first error of reading, or of `each`.
    fn read(
        &self,
        select: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut selected: Vec<_> = self
            .tree()
            .iter()
            .filter(|e| e.file().is_some() && select(e))
            .collect();
        selected.sort_by_key(|e| e.file().map_or(0, crate::File::position));
        for entry in selected {
            each(entry, &mut *self.open(&entry.path)?)?;
        }
        Ok(())
    }
}

/// The error for a path at which there is no regular file.
pub(crate) fn not_a_file(path: &LayerPath, found: Option<&Kind>) -> io::Error {
    let error = match found {
        None => Error::new(ErrorKind::NotFound, "no such file"),
        Some(kind) => Error::new(
            ErrorKind::Conflict,
            format!("is a {}, not a regular file", kind.name()),
        ),
    };
    error.at(path).into()
}

/// A tree and its files' content in memory: for tests, generated files and small sources.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    pub(crate) tree: Tree,
    pub(crate) contents: std::collections::BTreeMap<LayerPath, std::sync::Arc<[u8]>>,
}

impl InMemory {
    /// Without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a regular file in its place, with its size and digest.
    pub fn file(&mut self, path: LayerPath, meta: crate::Meta, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        self.tree.insert(Entry {
            path: path.clone(),
            meta,
            kind: Kind::File(crate::File {
                size: content.len() as u64,
                digest: crate::tree::blake3_of(content),
                offset: 0,
                inline: crate::pack::kept_inline(&path, content.len() as u64)
                    .then(|| content.into()),
            }),
        });
        self.contents.insert(path, content.into());
    }

    /// Puts an entry that has no content in its place; a file's content must be known by
    /// [`InMemory::file`].
    pub fn entry(&mut self, entry: Entry) {
        self.tree.insert(entry);
    }
}

impl Files for InMemory {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Content> {
        let found = self.tree.file(path).map(|(entry, _)| &entry.path);
        match found.and_then(|p| self.contents.get(p)) {
            Some(content) => Ok(Box::new(Cursor::new(content.clone()))),
            None => Err(not_a_file(path, self.tree.get(path).map(|e| &e.kind))),
        }
    }
}
