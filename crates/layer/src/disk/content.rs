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
    let writing = |e| Error::io("write the file", e);
    let mut hole = 0;
    loop {
        let n = fill(content, buffer)?;
        let mut written = 0;
        for at in (0..n).step_by(HOLE) {
            let end = n.min(at + HOLE);
            if end - at < HOLE || !is_zero(&buffer[at..end]) {
                if hole > 0 {
                    file.seek(SeekFrom::Current(hole)).map_err(writing)?;
                    (hole, written) = (0, at);
                }
                continue;
            }
            if hole == 0 {
                file.write_all(&buffer[written..at]).map_err(writing)?;
            }
            hole += HOLE as i64;
        }
        if hole == 0 {
            file.write_all(&buffer[written..n]).map_err(writing)?;
        }
        if n < buffer.len() {
            break;
        }
    }
    if hole > 0 {
        let end = file.seek(SeekFrom::Current(hole)).map_err(writing)?;
        file.set_len(end).map_err(writing)?;
    }
    Ok(())
}

/// Fills `buffer`; less only at the end.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
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
