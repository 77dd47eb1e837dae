//! Where something stands in the source text, and how that is told to a person.
//!
//! Spans are byte offsets into the text that was given to [`crate::parse`], with any byte order
//! mark counted. They know nothing of files: the caller has the name.

use serde::Serialize;

/// A range of bytes in the source text: `start` is inside, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte; never before `start`.
    pub end: u32,
}

impl Span {
    /// A span from `start` up to, and without, `end`.
    pub fn new(start: u32, end: u32) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// The number of bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it covers nothing: a place between two bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The text under the span; empty when the span is not of this text.
    pub fn of(self, src: &str) -> &str {
        src.get(self.start as usize..self.end as usize)
            .unwrap_or("")
    }
}

/// A value and the place that it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Spanned<T> {
    /// The value.
    #[serde(rename = "value")]
    pub node: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value to its place.
    pub fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

/// A line and a column, both counted from 1; the column counts characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line number, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// The start of every line of a text, for turning many offsets into positions.
#[derive(Debug, Clone)]
pub struct LineIndex<'a> {
    src: &'a str,
    starts: Vec<u32>,
}

impl<'a> LineIndex<'a> {
    /// Reads the text once.
    pub fn new(src: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(
            src.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| to_u32(i + 1)),
        );
        Self { src, starts }
    }

    /// The line number, from 1, that holds the byte at `offset`.
    pub fn line(&self, offset: u32) -> u32 {
        to_u32(self.starts.partition_point(|start| *start <= offset))
    }

    /// Line and column of the byte at `offset`. Offsets behind the end count as the end.
    pub fn position(&self, offset: u32) -> Position {
        let offset = offset.min(to_u32(self.src.len()));
        let line = self.line(offset);
        let start = self.starts[line as usize - 1] as usize;
        let mut before = &self.src.as_bytes()[start..offset as usize];
        if line == 1 {
            before = before.strip_prefix("\u{feff}".as_bytes()).unwrap_or(before);
        }
        // A byte that starts a character is not of the form 10xxxxxx.
        let column = before.iter().filter(|b| (**b & 0xC0) != 0x80).count() + 1;
        Position {
            line,
            column: to_u32(column),
        }
    }

    /// The text of a line, from 1, without its line end; empty when there is no such line.
    pub fn text(&self, line: u32) -> &'a str {
        let Some(start) = (line as usize)
            .checked_sub(1)
            .and_then(|i| self.starts.get(i))
        else {
            return "";
        };
        let end = self
            .starts
            .get(line as usize)
            .map_or(self.src.len(), |next| *next as usize);
        let text = &self.src[*start as usize..end];
        text.strip_suffix('\n')
            .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
    }

    /// How many lines there are; a line end at the very end of the text opens no new one.
    pub fn lines(&self) -> u32 {
        let last_is_empty = self
            .starts
            .last()
            .is_some_and(|start| *start as usize == self.src.len());
        to_u32(self.starts.len() - usize::from(last_is_empty && self.starts.len() > 1))
    }
}

/// Line and column of one offset. For many offsets of one text, make a [`LineIndex`].
pub fn position(src: &str, offset: u32) -> Position {
    LineIndex::new(src).position(offset)
}

/// Offsets are 32 bits wide: [`crate::parse`] refuses longer texts before any offset is made.
pub(crate) fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_no_mark() {
        let src = "\u{feff}FROM a\nRUN é–x\r\n";
        assert_eq!(position(src, 3), Position { line: 1, column: 1 });
        let at = to_u32(src.find('x').expect("it is there"));
        assert_eq!(position(src, at), Position { line: 2, column: 7 });
        let index = LineIndex::new(src);
        assert_eq!(index.text(2), "RUN é–x");
        assert_eq!(index.text(9), "");
        assert_eq!(index.lines(), 2);
    }

    #[test]
    fn offsets_behind_the_end_are_the_end() {
        assert_eq!(position("ab", 99), Position { line: 1, column: 3 });
        assert_eq!(position("", 0), Position { line: 1, column: 1 });
    }
}
