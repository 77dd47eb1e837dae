//! What a container wrote, as it is kept: docker's `json-file`, a line of JSON for each line.
//!
//! `{"log":"text\n","stream":"stdout","time":"2024-05-01T10:00:00.5Z"}`. Lines that are longer than
//! 16 KiB are cut; a piece that a line goes on after has no line feed at its end. JSON is text: bytes
//! that are not UTF-8 become U+FFFD here, as they do with docker; who is attached gets the bytes.

mod read;
#[cfg(target_os = "linux")]
mod write;

use serde::{Deserialize, Serialize};

pub use read::{LogQuery, Logs};
#[cfg(target_os = "linux")]
pub(crate) use write::LogWriter;

/// Which of its outputs a process wrote to. With a terminal there is only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line of a log, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub stream: LogStream,
    /// When it was written, in nanoseconds since 1970.
    pub time_nanos: u64,
    /// With its line feed, unless it goes on or is the last.
    pub text: Vec<u8>,
}

/// How a line stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    log: std::borrow::Cow<'a, str>,
    stream: LogStream,
    #[serde(borrow)]
    time: std::borrow::Cow<'a, str>,
}

impl Line {
    pub(crate) fn parse(stored: &[u8]) -> Option<Self> {
        let stored: Stored<'_> = serde_json::from_slice(stored).ok()?;
        Some(Self {
            stream: stored.stream,
            time_nanos: crate::time::parse(&stored.time)?,
            text: stored.log.into_owned().into_bytes(),
        })
    }

    /// Without the line feed at the end of the JSON.
    fn store(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Stored {
            log: String::from_utf8_lossy(&self.text),
            stream: self.stream,
            time: crate::time::text(self.time_nanos).into(),
        })
    }
}

/// The file of a container, in its folder.
pub(crate) const FILE: &str = "json.log";
