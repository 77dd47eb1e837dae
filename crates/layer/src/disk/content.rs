//! Writing a file's content so that long runs of zeros become holes, which take no space on disk.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use crate::Error;

/// A run of zeros as long as this, at a multiple of its length, becomes a hole.
const HOLE: usize = 32 << 10;

/// Copies `content` to `file`, which is empty. `buffer` is a multiple of [`HOLE`] long.
pub(super) fn write(
    content: &mut dyn Read,
    file: &mut File,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let mut holes = Holes { file, hole: 0 };
    loop {
        let n = fill(content, buffer)?;
        holes.write(&buffer[..n]).map_err(writing)?;
        if n < buffer.len() {
            return holes.finish().map_err(writing);
        }
    }
}

/// Writes a content that is there in whole.
pub(super) fn write_all(content: &[u8], file: &mut File) -> Result<(), Error> {
    let mut holes = Holes { file, hole: 0 };
    holes.write(content).map_err(writing)?;
    holes.finish().map_err(writing)
}

fn writing(e: io::Error) -> Error {
    Error::io("write the file", e)
}

struct Holes<'a> {
    file: &'a mut File,
    /// How many zeros were not written since the last byte that was.
    hole: i64,
}

impl Holes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut from = 0;
        for at in (0..bytes.len()).step_by(HOLE) {
            let end = bytes.len().min(at + HOLE);
            if end - at < HOLE || !is_zero(&bytes[at..end]) {
                if self.hole > 0 {
                    self.file.seek(SeekFrom::Current(self.hole))?;
                    (self.hole, from) = (0, at);
                }
                continue;
            }
            if self.hole == 0 {
                self.file.write_all(&bytes[from..at])?;
            }
            self.hole += HOLE as i64;
        }
        if self.hole == 0 && from < bytes.len() {
            self.file.write_all(&bytes[from..])?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        if self.hole > 0 {
            let end = self.file.seek(SeekFrom::Current(self.hole))?;
            self.file.set_len(end)?;
        }
        Ok(())
    }
}

/// Fills `buffer`; less only at the end.
pub(super) fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut done = 0;
    while done < buffer.len() {
        match content.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read the content", e)),
        }
    }
    Ok(done)
}

fn is_zero(bytes: &[u8]) -> bool {
    // The first bytes nearly always tell.
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|w| u128::from_ne_bytes(*w) == 0) && rest.iter().all(|b| *b == 0)
}
