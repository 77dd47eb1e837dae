//! Writes a log: collects bytes to lines, for each stream apart.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{FILE, Line, LogStream};

/// The longest piece of a line.
const LONGEST: usize = 16 << 10;

/// The log of a container that runs. What has no line feed yet is kept until it has, or until
/// [`end`](Self::end).
#[derive(Debug)]
pub(crate) struct LogWriter<W = File> {
    to: W,
    path: PathBuf,
    begun: [Vec<u8>; 2],
}

impl LogWriter {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let to = File::options().create(true).append(true).open(&path)?;
        Ok(Self {
            path,
            ..Self::new(to)
        })
    }

    /// The file, to be read, and how long it is now.
    pub(crate) fn so_far(&self) -> io::Result<(File, u64)> {
        // Not a duplicate: that would share the place where it is read.
        Ok((File::open(&self.path)?, self.to.metadata()?.len()))
    }
}

impl<W: Write> LogWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        let begun = [Vec::new(), Vec::new()];
        Self {
            to,
            path: PathBuf::new(),
            begun,
        }
    }

    /// What of a stream is not in the file yet.
    pub(crate) fn begun(&self, stream: LogStream) -> &[u8] {
        &self.begun[stream as usize]
    }

    /// Takes what was written at `now`.
    pub(crate) fn put(&mut self, stream: LogStream, bytes: &[u8], now: u64) -> io::Result<()> {
        let begun = &mut self.begun[stream as usize];
        begun.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(length) = piece(&begun[from..]) {
            store(&mut out, stream, &begun[from..from + length], now)?;
            from += length;
        }
        begun.drain(..from);
        self.to.write_all(&out)
    }

    /// No more comes of either stream.
    pub(crate) fn end(&mut self, now: u64) -> io::Result<()> {
        let mut out = Vec::new();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let rest = std::mem::take(&mut self.begun[stream as usize]);
            if !rest.is_empty() {
                store(&mut out, stream, &rest, now)?;
            }
        }
        self.to.write_all(&out)
    }
}

/// How long the first line, or piece of a long one, is.
fn piece(bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(LONGEST)];
    if let Some(at) = head.iter().position(|b| *b == b'\n') {
        return Some(at + 1);
    }
    if bytes.len() < LONGEST {
        return None;
    }
    // A character is not cut in two.
    let starts = |at: &usize| bytes.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
    (LONGEST - 3..=LONGEST).rev().find(starts).or(Some(LONGEST))
}

fn store(out: &mut Vec<u8>, stream: LogStream, text: &[u8], now: u64) -> io::Result<()> {
    let line = Line {
        stream,
        time_nanos: now,
        text: text.to_vec(),
    };
    out.extend(line.store()?);
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(written: &[u8]) -> Vec<Line> {
        let lines = written.split_inclusive(|b| *b == b'\n');
        lines.map(|line| Line::parse(line).unwrap()).collect()
    }

    #[test]
    fn lines_come_whole_and_apart() {
        let mut log = LogWriter::new(Vec::new());
        log.put(LogStream::Stdout, b"one\ntw", 1).unwrap();
        log.put(LogStream::Stderr, b"bad\n", 2).unwrap();
        assert_eq!(log.begun(LogStream::Stdout), b"tw");
        log.put(LogStream::Stdout, b"o\nlast", 3).unwrap();
        log.end(4).unwrap();
        log.end(5).unwrap();
        assert!(
            log.to.starts_with(
                br#"{"log":"one\n","stream":"stdout","time":"1970-01-01T00:00:00.000000001Z"}"#
            ),
            "{}",
            String::from_utf8_lossy(&log.to)
        );
        let got: Vec<_> = lines(&log.to)
            .into_iter()
            .map(|l| (l.stream, l.time_nanos, String::from_utf8(l.text).unwrap()))
            .collect();
        let line = |stream, time, text: &str| (stream, time, text.to_owned());
        assert_eq!(
            got,
            [
                line(LogStream::Stdout, 1, "one\n"),
                line(LogStream::Stderr, 2, "bad\n"),
                line(LogStream::Stdout, 3, "two\n"),
                line(LogStream::Stdout, 4, "last"),
            ]
        );
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let text = format!("x{}\n", "ä".repeat(LONGEST));
        let mut log = LogWriter::new(Vec::new());
        for bytes in text.as_bytes().chunks(1000) {
            log.put(LogStream::Stdout, bytes, 1).unwrap();
        }
        let lines = lines(&log.to);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.text.len() <= LONGEST));
        let joined = lines.iter().map(|line| &line.text[..]).collect::<Vec<_>>();
        assert_eq!(joined.concat(), text.as_bytes());
    }
}
