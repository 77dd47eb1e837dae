//! Files that lie one after the other in one file on disk. That file may be unlinked meanwhile, or
//! never have had a name: it is held open. Refuses to read beyond what its tree says.

use std::{
    fs, io,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
};

use kiln_layer::{Content, Files, LayerPath, Tree};

/// A part of an open file, read from its beginning to its end. Any number of them read one file at a
/// time: none has anything to do with the file's own position.
#[derive(Clone, Debug)]
pub struct Range {
    file: Arc<fs::File>,
    start: u64,
    at: u64,
    size: u64,
}

impl Range {
    pub(crate) fn new(file: Arc<fs::File>, start: u64, size: u64) -> Self {
        Self {
            file,
            start,
            at: 0,
            size,
        }
    }
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let got = read_at(&self.file, &mut buffer[..wanted], self.start + self.at)?;
        if got == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "what was fetched has become shorter",
            ));
        }
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for Range {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let beyond = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning");
        self.at = to.ok_or_else(beyond)?;
        Ok(self.at)
    }
}

#[cfg(unix)]
fn read_at(file: &fs::File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &fs::File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Files whose contents lie in one file, each at the offset that the tree says.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    pub(crate) tree: Tree,
    pub(crate) file: Arc<fs::File>,
}

impl Files for Spool {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Content> {
        match self.tree.file(path) {
            Some((_, file)) => {
                let range = Range::new(Arc::clone(&self.file), file.position(), file.size);
                Ok(Box::new(range))
            }
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no file `{path}`"),
            )),
        }
    }
}
