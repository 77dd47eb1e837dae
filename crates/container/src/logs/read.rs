//! Reads a log: all of it, its end, or what is still to come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use kiln_durable::Lease;

use super::{FILE, Line};
use crate::containers::{Container, missing};
use crate::state::failed;
use crate::{Error, time};

/// How often a log that grows is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Which lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Those to come as well, until the container's process has ended for good.
    pub follow: bool,
    /// Only the last so many of those that are there.
    pub tail: Option<u64>,
    /// None that is older, in nanoseconds since 1970.
    pub since: Option<u64>,
    /// None that is younger, in nanoseconds since 1970.
    pub until: Option<u64>,
}

/// The lines of a log, the oldest first.
#[derive(Debug)]
pub struct Logs {
    from: Option<BufReader<File>>,
    /// What was read of a line that is not whole yet.
    begun: Vec<u8>,
    query: LogQuery,
    path: PathBuf,
    lease: PathBuf,
    ended: bool,
}

impl Container {
    /// What it wrote. A container that never ran has written nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when it was removed; as the lines.
    pub fn logs(&self, query: &LogQuery) -> Result<Logs, Error> {
        let path = self.log_path();
        let from = match File::open(&path) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed("read", &path)(e)),
        };
        if from.is_none() && !self.folder.exists() {
            return Err(missing(self.id()));
        }
        let from = match (from, query.tail) {
            (Some(mut file), Some(count)) => {
                let at = tail(&mut file, count).map_err(failed("read", &path))?;
                file.seek(SeekFrom::Start(at))
                    .map_err(failed("read", &path))?;
                Some(file)
            }
            (from, _) => from,
        };
        Ok(Logs {
            from: from.map(BufReader::new),
            begun: Vec::new(),
            query: *query,
            path,
            lease: self.lease_path(),
            ended: false,
        })
    }

    /// The file that its output is kept in.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

impl Logs {
    /// The next whole line in the file, if there is one.
    fn stored(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.from.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.from = Some(BufReader::new(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        let Some(from) = &mut self.from else {
            return Ok(None);
        };
        from.read_until(b'\n', &mut self.begun)?;
        let whole = self.begun.ends_with(b"\n");
        Ok(whole.then(|| std::mem::take(&mut self.begun)))
    }

    fn step(&mut self) -> Result<Option<Line>, Error> {
        loop {
            // Asked first: what was written before the end is read after it.
            let held = self.query.follow && Lease::held(&self.lease)?;
            while let Some(stored) = self.stored().map_err(failed("read", &self.path))? {
                // A line that a power failure damaged is left out.
                let Some(line) = Line::parse(&stored) else {
                    continue;
                };
                if self
                    .query
                    .since
                    .is_some_and(|since| line.time_nanos < since)
                {
                    continue;
                }
                if self
                    .query
                    .until
                    .is_some_and(|until| line.time_nanos > until)
                {
                    return Ok(None);
                }
                return Ok(Some(line));
            }
            if !held || self.query.until.is_some_and(|until| time::now() > until) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Iterator for Logs {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.step();
        self.ended = !matches!(line, Ok(Some(_)));
        line.transpose()
    }
}

/// Where the last `count` lines begin: looks at the file from its end.
fn tail(file: &mut File, count: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut at = file.seek(SeekFrom::End(0))?;
    if count == 0 {
        return Ok(at);
    }
    // The line feed of the last line is not one before it.
    let mut left = count + 1;
    let mut block = Vec::new();
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(from))?;
        block.clear();
        file.take(at - from).read_to_end(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            left -= 1;
            if left == 0 {
                return Ok(from + index as u64 + 1);
            }
        }
        at = from;
    }
    Ok(0)
}
