//! Text that was put together from pieces of the source, and the way back to them.
//!
//! A logical line is its fragments; a word is a part of it. Both are a [`Text`]: the joined
//! characters and, piece by piece, where each came from. Borrowed wherever one piece is enough.

use std::borrow::Cow;
use std::ops::Range;

use crate::span::{Span, to_u32};

/// From `at` (an offset in the joined text) on, bytes come from `source` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    at: u32,
    source: u32,
}

/// Joined text and its piecewise offset map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    joined: Cow<'a, str>,
    /// Where the first byte comes from.
    first: u32,
    /// The pieces after the first: none for nearly every word, hence no allocation.
    more: Vec<Piece>,
    /// Set when the characters are not those of the source (decoded JSON): every byte then
    /// stands for this whole span.
    whole: Option<Span>,
}

impl<'a> Text<'a> {
    /// Text that lies in the source as it is, at offset `source`.
    pub(crate) fn at(joined: &'a str, source: u32) -> Self {
        Self {
            joined: Cow::Borrowed(joined),
            first: source,
            more: Vec::new(),
            whole: None,
        }
    }

    /// Text that the source spells otherwise (decoded JSON): its place is `span` as a whole.
    pub(crate) fn decoded(joined: String, span: Span) -> Self {
        Self {
            joined: Cow::Owned(joined),
            first: span.start,
            more: Vec::new(),
            whole: Some(span),
        }
    }

    /// Text that is its own source.
    pub(crate) fn made(joined: Cow<'a, str>) -> Self {
        Self {
            joined,
            first: 0,
            more: Vec::new(),
            whole: None,
        }
    }

    /// Joins texts that follow one another in the source.
    pub(crate) fn concat(parts: Vec<Text<'a>>, empty_at: u32) -> Self {
        let mut parts = parts.into_iter().filter(|part| !part.joined.is_empty());
        let Some(mut all) = parts.next() else {
            return Text::at("", empty_at);
        };
        for part in parts {
            all.push(&part);
        }
        all
    }

    fn push(&mut self, part: &Text<'a>) {
        let at = to_u32(self.joined.len());
        let joined = self.joined.to_mut();
        joined.push_str(&part.joined);
        self.more.push(Piece {
            at,
            source: part.first,
        });
        self.more.extend(part.more.iter().map(|p| Piece {
            at: p.at + at,
            source: p.source,
        }));
        self.whole = self.whole.or(part.whole);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.joined
    }

    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        self.joined
    }

    /// The part of it under `range`; the way back is kept.
    pub(crate) fn slice(&self, range: Range<usize>) -> Text<'a> {
        let joined = match &self.joined {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range.clone()]),
            Cow::Owned(text) => Cow::Owned(text[range.clone()].to_owned()),
        };
        if self.whole.is_some() {
            return Text {
                joined,
                ..self.clone_empty()
            };
        }
        let (start, end) = (to_u32(range.start), to_u32(range.end));
        let more = self
            .more_within(start, end)
            .map(|p| Piece {
                at: p.at - start,
                source: p.source,
            })
            .collect();
        Text {
            joined,
            first: self.source(range.start),
            more,
            whole: None,
        }
    }

    /// Like [`Text::slice`], and borrowed from the source wherever the part lies in one piece.
    pub(crate) fn slice_of(&self, src: &'a str, range: Range<usize>) -> Text<'a> {
        if self.whole.is_none() && matches!(self.joined, Cow::Owned(_)) {
            let (start, end) = (to_u32(range.start), to_u32(range.end));
            if self.more_within(start, end).next().is_none() {
                let source = self.source(range.start);
                let from = source as usize;
                if let Some(text) = src.get(from..from + range.len()) {
                    return Text::at(text, source);
                }
            }
        }
        self.slice(range)
    }

    fn clone_empty(&self) -> Text<'a> {
        Text {
            joined: Cow::Borrowed(""),
            first: self.first,
            more: Vec::new(),
            whole: self.whole,
        }
    }

    /// The pieces that begin inside of `start..end`, behind its first byte.
    fn more_within(&self, start: u32, end: u32) -> impl Iterator<Item = &Piece> {
        let from = self.more.partition_point(|p| p.at <= start);
        self.more[from..].iter().take_while(move |p| p.at < end)
    }

    /// Where in the source the byte at `offset` comes from.
    pub(crate) fn source(&self, offset: usize) -> u32 {
        if self.whole.is_some() {
            return self.first;
        }
        let offset = to_u32(offset);
        match self.more.partition_point(|p| p.at <= offset) {
            0 => self.first + offset,
            n => self.more[n - 1].source + (offset - self.more[n - 1].at),
        }
    }

    /// Where in the source the place after the byte before `offset` is.
    fn source_end(&self, offset: usize) -> u32 {
        match offset.checked_sub(1) {
            Some(last) if self.whole.is_none() => self.source(last) + 1,
            _ => self.source(offset),
        }
    }

    /// The hull, in the source, of a range of the joined text.
    pub(crate) fn span_of(&self, range: Range<usize>) -> Span {
        match self.whole {
            Some(span) => span,
            None => Span::new(self.source(range.start), self.source_end(range.end)),
        }
    }

    /// The hull of all of it.
    pub(crate) fn span(&self) -> Span {
        self.span_of(0..self.joined.len())
    }

    /// The pieces of the source that it is made of, in order.
    pub(crate) fn spans(&self) -> Vec<Span> {
        if self.whole.is_some() || self.more.is_empty() {
            return vec![self.span()];
        }
        let mut starts: Vec<usize> = std::iter::once(0)
            .chain(self.more.iter().map(|p| p.at as usize))
            .collect();
        starts.push(self.joined.len());
        starts
            .windows(2)
            .map(|pair| self.span_of(pair[0]..pair[1]))
            .collect()
    }

    /// The same text without white space at both ends.
    pub(crate) fn trimmed(&self) -> Range<usize> {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        start..start + text.trim().len()
    }
}

/// The offset of `part` in `text`; `part` must be a slice of it, as nom's parsers return them.
pub(crate) fn offset_in(text: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    debug_assert!(offset <= text.len(), "`part` is a slice of `text`");
    offset.min(text.len())
}

/// The range of `part` in `text`; see [`offset_in`].
pub(crate) fn range_in(text: &str, part: &str) -> Range<usize> {
    let start = offset_in(text, part);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_through_every_piece() {
        let src = "ab\\\ncd\\\nef";
        let text = Text::concat(
            vec![Text::at("ab", 0), Text::at("cd", 4), Text::at("ef", 8)],
            0,
        );
        assert_eq!(text.as_str(), "abcdef");
        assert_eq!(text.span(), Span::new(0, 10));
        assert_eq!(
            text.spans(),
            [Span::new(0, 2), Span::new(4, 6), Span::new(8, 10)]
        );
        let part = text.slice_of(src, 1..3);
        assert_eq!(
            (part.as_str(), part.spans()),
            ("bc", vec![Span::new(1, 2), Span::new(4, 5)])
        );
        let part = text.slice_of(src, 2..4);
        assert!(matches!(part.joined, Cow::Borrowed("cd")));
        assert_eq!(part.span(), Span::new(4, 6));
        assert_eq!(text.span_of(6..6), Span::new(10, 10));
    }
}
