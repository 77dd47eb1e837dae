//! The content of one file: chunk after chunk, each checked at its end.

use std::io::{self, BufReader, Read};

use flate2::bufread::GzDecoder;
use kiln_image::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};

use super::{super::Layout, Chunk, ReadAt};
use crate::{Error, ErrorKind};

/// How much is asked for at a time.
const RANGE: usize = 256 << 10;

pub(super) struct Reader<'a, R> {
    blob: &'a R,
    layout: Layout,
    chunks: std::slice::Iter<'a, Chunk>,
    current: Option<Current<'a, R>>,
}

struct Current<'a, R> {
    from: Plain<'a, R>,
    chunk: Chunk,
    left: u64,
    hash: Sha256,
}

type Packed<'a, R> = BufReader<Section<'a, R>>;

enum Plain<'a, R> {
    Gzip(Box<GzDecoder<Packed<'a, R>>>),
    Zstd(Box<zstd::Decoder<'static, Packed<'a, R>>>),
}

impl<'a, R: ReadAt> Reader<'a, R> {
    pub(super) fn new(blob: &'a R, layout: Layout, chunks: &'a [Chunk]) -> Self {
        Self {
            blob,
            layout,
            chunks: chunks.iter(),
            current: None,
        }
    }

    /// The next chunk, when there is one and the last is done.
    fn open(&mut self) -> io::Result<Option<&mut Current<'a, R>>> {
        if self.current.is_none() {
            let Some(chunk) = self.chunks.next() else {
                return Ok(None);
            };
            let section = Section {
                blob: self.blob,
                at: chunk.offset,
                end: chunk.end,
            };
            let len = usize::try_from(chunk.end - chunk.offset).unwrap_or(RANGE);
            let packed = BufReader::with_capacity(len.min(RANGE), section);
            let from = match self.layout {
                Layout::EStargz => Plain::Gzip(Box::new(GzDecoder::new(packed))),
                Layout::ZstdChunked => {
                    let mut decoder = zstd::Decoder::with_buffer(packed)?;
                    decoder.window_log_max(27)?;
                    Plain::Zstd(Box::new(decoder))
                }
            };
            self.current = Some(Current {
                from,
                chunk: *chunk,
                left: chunk.size,
                hash: Sha256::new(),
            });
        }
        Ok(self.current.as_mut())
    }
}

impl<R: ReadAt> Read for Reader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(current) = self.open()? else {
            return Ok(0);
        };
        let want = usize::try_from(current.left).map_or(buffer.len(), |n| n.min(buffer.len()));
        let n = match &mut current.from {
            Plain::Gzip(from) => from.read(&mut buffer[..want])?,
            Plain::Zstd(from) => from.read(&mut buffer[..want])?,
        };
        if n == 0 {
            let what = "a chunk is shorter than the table of contents says";
            return Err(Error::invalid(what).into());
        }
        current.hash.update(&buffer[..n]);
        current.left -= n as u64;
        if current.left == 0
            && let Some(done) = self.current.take()
        {
            let found = Digest::new(Algorithm::Sha256, done.hash.finalize().into());
            if found != done.chunk.digest {
                let what = format!(
                    "a chunk is `{found}`, and the table of contents says `{}`",
                    done.chunk.digest
                );
                return Err(Error::new(ErrorKind::Changed, what).into());
            }
        }
        Ok(n)
    }
}

/// A range of a blob as a stream.
struct Section<'a, R> {
    blob: &'a R,
    at: u64,
    end: u64,
}

impl<R: ReadAt> Read for Section<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let n = left.min(buffer.len());
        self.blob.read_at(self.at, &mut buffer[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}
