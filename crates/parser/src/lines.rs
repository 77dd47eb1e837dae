//! From physical lines to logical ones: comments, continuations, blank lines, line ends.
//!
//! A logical line keeps the way back to every piece that it was joined from. What the words in
//! it mean is not decided here.

use crate::ast::Comment;
use crate::diagnostic::Diagnostic;
use crate::span::{Span, to_u32};
use crate::text::Text;

/// The longest line that builders read, in bytes: comments too, and a carriage return counts.
pub(crate) const MAX_LINE: usize = 65535;

/// How often reading goes back from the end of the file to the line that nearly closed a
/// heredoc: each time is a pass over the rest.
const MAX_NEAR_MISSES: u32 = 20;

/// One line of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Physical<'a> {
    /// Without its line end.
    pub(crate) text: &'a str,
    /// Offset of its first byte.
    pub(crate) start: u32,
    /// Offset behind its line end.
    pub(crate) next: u32,
    /// Number from 1.
    pub(crate) number: u32,
    /// Whether it is longer than [`MAX_LINE`].
    too_long: bool,
}

impl Physical<'_> {
    pub(crate) fn end(&self) -> u32 {
        self.start + to_u32(self.text.len())
    }
}

/// An instruction's line, joined.
#[derive(Debug)]
pub(crate) struct Logical<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) lines: (u32, u32),
    pub(crate) end: u32,
    pub(crate) comments: Vec<Comment<'a>>,
    pub(crate) blank_lines: Vec<Span>,
}

/// Walks through the file, line by line.
pub(crate) struct Reader<'a> {
    src: &'a str,
    at: usize,
    number: u32,
    escape: char,
    near_misses: u32,
    /// Every comment that was passed.
    pub(crate) comments: Vec<Comment<'a>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(src: &'a str, escape: char) -> Self {
        let at = if src.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self {
            src,
            at,
            number: 0,
            escape,
            near_misses: 0,
            comments: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    pub(crate) fn set_escape(&mut self, escape: char) {
        self.escape = escape;
    }

    /// The next line without moving on.
    pub(crate) fn peek(&self) -> Option<Physical<'a>> {
        let rest = &self.src[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (line, len) = match memchr(rest) {
            Some(end) => (&rest[..end], end + 1),
            None => (rest, rest.len()),
        };
        Some(Physical {
            text: line.trim_end_matches('\r'),
            start: to_u32(self.at),
            next: to_u32(self.at + len),
            number: self.number + 1,
            too_long: line.len() > MAX_LINE,
        })
    }

    /// The next line. One that is too long is an error whatever it holds.
    pub(crate) fn next_physical(&mut self) -> Option<Physical<'a>> {
        let line = self.peek()?;
        self.at = line.next as usize;
        self.number = line.number;
        if line.too_long {
            self.diagnostics.push(line_too_long(&line));
        }
        Some(line)
    }

    /// The text of the source between two offsets.
    fn between(&self, start: u32, end: u32) -> &'a str {
        &self.src[start as usize..end as usize]
    }

    /// The next instruction's line; comments and blank lines before it are passed.
    pub(crate) fn next_logical(&mut self) -> Option<Logical<'a>> {
        let mut comments = Vec::new();
        loop {
            let line = self.next_physical()?;
            if let Some(comment) = self.comment(&line) {
                if comment.text.is_empty() {
                    comments.clear();
                } else {
                    comments.push(comment);
                }
                continue;
            }
            let text = line.text.trim_start();
            if text.is_empty() {
                continue;
            }
            let start = line.end() - to_u32(text.len());
            let (mut logical, too_long) = self.join(&line, text, start);
            if too_long {
                continue;
            }
            logical.comments = comments;
            return Some(logical);
        }
    }

    /// Follows the continuations of a first line. The second part is whether one is too long.
    fn join(&mut self, first: &Physical<'a>, text: &'a str, start: u32) -> (Logical<'a>, bool) {
        let mut too_long = first.too_long;
        let mut last = *first;
        let mut blank_lines = Vec::new();
        let (kept, mut open) = trim_continuation(text, self.escape);
        let mut parts = vec![Text::at(kept, start)];
        while open {
            let Some(line) = self.next_physical() else {
                break;
            };
            too_long |= line.too_long;
            if self.comment(&line).is_some() {
                continue;
            }
            if line.text.trim_start().is_empty() {
                blank_lines.push(Span::new(line.start, line.end()));
                continue;
            }
            last = line;
            let (kept, goes_on) = trim_continuation(line.text, self.escape);
            parts.push(Text::at(kept, line.start));
            open = goes_on;
        }
        let logical = Logical {
            text: Text::concat(parts, start),
            lines: (first.number, last.number),
            end: last.end(),
            comments: Vec::new(),
            blank_lines,
        };
        (logical, too_long)
    }

    fn comment(&mut self, line: &Physical<'a>) -> Option<Comment<'a>> {
        let text = line.text.trim_start();
        let inner = text.strip_prefix('#')?;
        let comment = Comment {
            text: inner.trim(),
            span: Span::new(line.end() - to_u32(text.len()), line.end()),
        };
        self.comments.push(comment);
        Some(comment)
    }

    /// The lines up to one that says `name` and nothing else, and that line.
    ///
    /// Where there is none, reading goes on behind a line that nearly says it, which is the
    /// error, or else at the end of the file.
    pub(crate) fn heredoc(
        &mut self,
        name: &str,
        strip_tabs: bool,
    ) -> Result<(Text<'a>, Physical<'a>), Option<Physical<'a>>> {
        let start = to_u32(self.at);
        let mut end = start;
        let mut near = None;
        while let Some(line) = self.next_physical() {
            let candidate = if strip_tabs {
                line.text.trim_start_matches('\t')
            } else {
                line.text
            };
            if candidate == name {
                return Ok((Text::at(self.between(start, end), start), line));
            }
            if near.is_none() && line.text.trim() == name.trim() {
                near = Some(line);
            }
            end = line.next;
        }
        self.near_misses += 1;
        if let Some(line) = near.filter(|_| self.near_misses <= MAX_NEAR_MISSES) {
            (self.at, self.number) = (line.next as usize, line.number);
            // What was said of the lines behind it is said again.
            self.diagnostics.retain(|d| d.span.start < line.next);
        }
        Err(near)
    }
}

fn memchr(text: &str) -> Option<usize> {
    text.as_bytes().iter().position(|b| *b == b'\n')
}

fn line_too_long(line: &Physical<'_>) -> Diagnostic {
    Diagnostic::error(
        "line-too-long",
        Span::new(line.start, line.start + 1),
        format!("line is longer than {MAX_LINE} bytes"),
    )
    .with_help("break it with continuations, or put the content into a file")
}

/// The line without the escape character at its end, and whether there was one: blanks may
/// follow it, and another escape character before it takes its meaning away.
fn trim_continuation(text: &str, escape: char) -> (&str, bool) {
    let Some(kept) = text.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
        return (text, false);
    };
    if kept.ends_with(escape) {
        (text, false)
    } else {
        (kept, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(src: &str) -> Vec<String> {
        let mut reader = Reader::new(src, '\\');
        std::iter::from_fn(|| reader.next_logical())
            .map(|l| l.text.as_str().to_owned())
            .collect()
    }

    #[test]
    fn continuations_join_without_a_separator() {
        let rows: [(&str, &[&str]); 9] = [
            ("RUN a\\\nb", &["RUN ab"]),
            ("  RUN a \\ \t\r\n  b\r\n", &["RUN a   b"]),
            ("RUN a \\\n# gone\n\n  # gone too \\\nb", &["RUN a b"]),
            ("RUN a \\\\\nRUN b", &["RUN a \\\\", "RUN b"]),
            ("RUN a \\", &["RUN a "]),
            ("\\\nRUN a", &["RUN a"]),
            ("# RUN a \\\nRUN b", &["RUN b"]),
            ("\u{feff}FROM a", &["FROM a"]),
            ("RUN echo # data\n\n\n", &["RUN echo # data"]),
        ];
        for (src, want) in rows {
            assert_eq!(joined(src), want, "{src:?}");
        }
    }
}
