//! A stream whose SHA-256 and length are found as it is read, and which has a limit.

use std::io::{self, Read};

use kiln_image::{Algorithm, Digest};
use sha2::{Digest as _, Sha256};

use crate::Error;

pub(super) struct Stream<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    hash: Sha256,
    /// How much has come out of `inner`.
    total: u64,
    limit: u64,
}

/// The error for a stream that ends in the middle of something.
pub(super) fn cut() -> Error {
    Error::invalid("tar: it ends in the middle of an entry")
}

impl<R: Read> Stream<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            buffer: vec![0; 256 << 10].into(),
            start: 0,
            end: 0,
            hash: Sha256::new(),
            total: 0,
            limit,
        }
    }

    /// Where the next byte is in the stream.
    pub(super) fn position(&self) -> u64 {
        self.total - (self.end - self.start) as u64
    }

    /// Some bytes that have come and were not taken; none at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            let n = match self.inner.read(&mut self.buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.hash.update(&self.buffer[..n]);
            self.total += n as u64;
            (self.start, self.end) = (0, n);
            if self.total > self.limit {
                let what = format!("tar: longer than the limit of {} bytes", self.limit);
                return Err(Error::refused(what).into());
            }
            if n == 0 {
                break;
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let from = self.fill()?;
        let n = from.len().min(out.len());
        out[..n].copy_from_slice(&from[..n]);
        self.start += n;
        Ok(n)
    }

    pub(super) fn exact(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < out.len() {
            match self.read(&mut out[done..]).map_err(reading)? {
                0 => return Err(cut()),
                n => done += n,
            }
        }
        Ok(())
    }

    /// The next block; `None` when the stream ends before it.
    pub(super) fn block(&mut self) -> Result<Option<[u8; 512]>, Error> {
        if self.fill().map_err(reading)?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; 512];
        self.exact(&mut block)?;
        Ok(Some(block))
    }

    pub(super) fn skip(&mut self, mut n: u64) -> Result<(), Error> {
        while n > 0 {
            let there = self.fill().map_err(reading)?.len() as u64;
            if there == 0 {
                return Err(cut());
            }
            let step = there.min(n);
            self.start += step as usize;
            n -= step;
        }
        Ok(())
    }

    pub(super) fn drain(&mut self) -> Result<(), Error> {
        while !self.fill().map_err(reading)?.is_empty() {
            self.start = self.end;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Digest, u64) {
        let digest = Digest::new(Algorithm::Sha256, self.hash.finalize().into());
        (digest, self.total)
    }
}

fn reading(e: io::Error) -> Error {
    Error::io("read the tar", e)
}
