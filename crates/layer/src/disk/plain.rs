//! An uncompressed tar and its tree: a file of it is one read at its offset.

use std::{
    fs,
    io::{self, Read},
    sync::Arc,
};

use crate::{Error, ErrorKind, Files, LayerPath, Tree, archive::sparse_content, files::not_a_file};

/// The files of an uncompressed tar, read at the offsets that its tree has.
///
/// The tree must be that of this tar; its bytes are not checked again.
#[derive(Clone, Debug)]
pub struct PlainTar {
    tar: Arc<fs::File>,
    tree: Arc<Tree>,
}

impl PlainTar {
    /// The files of `tar`, whose tree is `tree`.
    pub fn new(tar: fs::File, tree: Arc<Tree>) -> Self {
        Self {
            tar: Arc::new(tar),
            tree,
        }
    }
}

impl Files for PlainTar {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        let Some((_, file)) = self.tree.file(path) else {
            return Err(not_a_file(path, self.tree.get(path).map(|e| &e.kind)));
        };
        let mut slice = Slice {
            tar: self.tar.clone(),
            at: file.position(),
            left: file.size,
        };
        if file.is_sparse() {
            // Its headers say where what follows belongs.
            slice.left = u64::MAX;
            return Ok(Box::new(sparse_content(slice)?));
        }
        Ok(Box::new(slice))
    }
}

struct Slice {
    tar: Arc<fs::File>,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = want.min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let n = read_at(&self.tar, &mut buffer[..want], self.at)?;
        if n == 0 {
            return Err(Error::new(ErrorKind::Changed, "the tar is shorter than its tree").into());
        }
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(unix)]
pub(crate) fn read_at(file: &fs::File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &fs::File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
