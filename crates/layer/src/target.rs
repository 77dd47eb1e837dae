//! [`Target`]: where the entries of an archive go. What comes here was checked against the rest of
//! the archive; a target still trusts no path.

use std::io::{self, Read};

use crate::{Entry, Error, InMemory, LayerPath, Tree};

/// Where [`apply`](crate::apply) puts the entries of a layer.
pub trait Target {
    /// Puts an entry in its place that is not a regular file: a folder (also one that is there
    /// already), a link, a device, a pipe, a whiteout. What else is in its place is replaced.
    ///
    /// # Errors
    ///
    /// What the place refuses.
    fn put(&mut self, entry: &Entry) -> Result<(), Error>;

    /// Puts a regular file in its place. Its digest is not known yet. What is not read of `content`
    /// is passed over.
    ///
    /// # Errors
    ///
    /// What the place refuses, and what reading gives.
    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error>;

    /// Takes away the entry at `path`, which this same layer has put there, and all beneath it.
    ///
    /// # Errors
    ///
    /// What the place refuses.
    fn remove(&mut self, path: &LayerPath) -> Result<(), Error>;

    /// Hides what the lower layers have in the folder `path`; what this layer (`own`) has put
    /// there already stays.
    ///
    /// # Errors
    ///
    /// What the place refuses.
    fn clear(&mut self, path: &LayerPath, own: &Tree) -> Result<(), Error>;

    /// Waits until all that came so far is in its place: a target may do its work later, in
    /// another order. It is called when the archive turns out to be bad, so that of several errors the
    /// first is told.
    ///
    /// # Errors
    ///
    /// What the place refused, of the first entry that it refused.
    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The last call: `tree` is what was put, with the folders' metadata, which count now.
    ///
    /// # Errors
    ///
    /// What the place refuses.
    fn finish(&mut self, tree: &Tree) -> Result<(), Error>;
}

/// Keeps nothing: for an index of an archive, or its digest alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Target for Nothing {
    fn put(&mut self, _: &Entry) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, _: &Entry, _: &mut dyn Read) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&mut self, _: &LayerPath) -> Result<(), Error> {
        Ok(())
    }

    fn clear(&mut self, _: &LayerPath, _: &Tree) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&mut self, _: &Tree) -> Result<(), Error> {
        Ok(())
    }
}

/// Keeps one layer, its contents included, in memory, where whatever it held before is gone.
impl Target for InMemory {
    fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        if let crate::Kind::Hardlink { target } = &entry.kind
            && let Some(content) = self.contents.get(target).cloned()
        {
            self.contents.insert(entry.path.clone(), content);
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read the file", e))?;
        self.contents.insert(entry.path.clone(), bytes.into());
        Ok(())
    }

    fn remove(&mut self, path: &LayerPath) -> Result<(), Error> {
        while let Some((inside, _)) = self.contents.range(path.clone()..).next() {
            if !inside.starts_with(path) {
                break;
            }
            let inside = inside.clone();
            self.contents.remove(&inside);
        }
        Ok(())
    }

    fn clear(&mut self, _: &LayerPath, _: &Tree) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), Error> {
        self.tree = tree.clone();
        Ok(())
    }
}

/// Writes all of `files` to `to`: the unpacked form of changes that were planned, without a tar.
///
/// # Errors
///
/// What the place refuses, and what reading gives.
pub fn write(files: &dyn crate::Files, to: &mut dyn Target) -> Result<(), Error> {
    let tree = files.tree();
    for entry in tree.iter() {
        let at = |e: Error| e.at(&entry.path);
        if entry.file().is_none() {
            to.put(entry).map_err(at)?;
            if matches!(entry.kind, crate::Kind::Dir { opaque: true }) {
                to.clear(&entry.path, &Tree::new()).map_err(at)?;
            }
            continue;
        }
        let opened: io::Result<_> = files.open(&entry.path);
        let mut content = opened.map_err(|e| at(Error::io("open the file", e)))?;
        to.file(entry, &mut *content).map_err(at)?;
    }
    to.finish(tree)
}
