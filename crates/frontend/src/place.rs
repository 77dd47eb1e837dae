//! Lines of a Dockerfile, as tools that ask for checks, outlines and targets read them.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// Lines of a Dockerfile, from the first to the last, counted from 1. As JSON it is a list of ranges of
/// one line each: `{"ranges":[{"start":{"line":4},"end":{"line":4}}]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lines {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl From<(u32, u32)> for Lines {
    fn from((first, last): (u32, u32)) -> Self {
        Self { first, last }
    }
}

#[derive(Serialize)]
struct Range {
    start: Line,
    end: Line,
}

#[derive(Serialize)]
struct Line {
    line: u32,
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let range = |line| Range {
            start: Line { line },
            end: Line { line },
        };
        let ranges: Vec<Range> = (self.first..=self.last).map(range).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("ranges", &ranges)?;
        map.end()
    }
}
