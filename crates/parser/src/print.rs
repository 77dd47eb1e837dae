//! From the tree back to text, in two ways.
//!
//! [`Edits`] change a text at the places that the tree names, and leave every other byte as it
//! is: for formatters, fixes and updates of one value. [`Dockerfile::print`] and
//! [`Instruction::print`] make text from the tree alone, in a normal form, for what a program
//! made or changed: one line an instruction, keywords in upper case, one blank between words.
//!
//! ```
//! use kiln_parser::print::Edits;
//!
//! let src = "from debian:12   # my base\nRUN x\n";
//! let file = kiln_parser::parse("from debian:12\nRUN x\n").file;
//! let mut edits = Edits::new();
//! edits.replace(file.stages[0].image().span(), "debian:13");
//! assert_eq!(edits.apply(src)?, "from debian:13   # my base\nRUN x\n");
//! # Ok::<(), kiln_parser::print::Error>(())
//! ```
//!
//! What is printed is read again before it is handed out: text that would not mean the tree is an
//! error, never a surprise. Neither way lays out text by taste; `examples/format.rs` does.

mod normal;
mod same;

use std::fmt;

use crate::ast::{Dockerfile, Instruction};
use crate::span::Span;

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Two edits want the same place; the span is the second one's.
    Overlap(Span),
    /// An edit of a place that the text does not have, or that is in the middle of a character.
    NoPlace(Span),
    /// No text is read as this: a word with a line end in it, say. Holds the keyword.
    NotReadBack(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap(Span { start, end }) => {
                write!(f, "two edits of the same place, bytes {start} to {end}")
            }
            Self::NoPlace(Span { start, end }) => {
                write!(f, "the text has no place from byte {start} to {end}")
            }
            Self::NotReadBack(keyword) => {
                write!(f, "no text would be read as this {keyword}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Changes to a text, in any order. Where none is, nothing changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    list: Vec<(Span, String)>,
}

impl Edits {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `text` in place of what is under `span`; under an empty span, between two bytes.
    /// Several texts for one place between two bytes stand there in the order of the calls.
    pub fn replace(&mut self, span: Span, text: impl Into<String>) {
        self.list.push((span, text.into()));
    }

    /// Puts `text` before the byte at `offset`.
    pub fn insert(&mut self, offset: u32, text: impl Into<String>) {
        self.replace(Span::new(offset, offset), text);
    }

    /// Takes away what is under `span`.
    pub fn remove(&mut self, span: Span) {
        self.replace(span, "");
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The text with all changes.
    ///
    /// # Errors
    ///
    /// [`Error::Overlap`] and [`Error::NoPlace`]; the text is not changed in part.
    pub fn apply(&self, src: &str) -> Result<String, Error> {
        let mut order: Vec<&(Span, String)> = self.list.iter().collect();
        order.sort_by_key(|(span, _)| *span);
        let mut out = String::with_capacity(src.len());
        let mut at = 0;
        for (span, text) in order {
            let (start, end) = (span.start as usize, span.end as usize);
            if start < at {
                return Err(Error::Overlap(*span));
            }
            let kept = src.get(at..start).ok_or(Error::NoPlace(*span))?;
            if src.get(start..end).is_none() {
                return Err(Error::NoPlace(*span));
            }
            out.push_str(kept);
            out.push_str(text);
            at = end;
        }
        out.push_str(&src[at..]);
        Ok(out)
    }
}

impl Dockerfile<'_> {
    /// The file in its normal form: directives, then global arguments, then stages with a blank
    /// line between them. Comments that stand above an instruction are kept there; others are
    /// not in any instruction's tree and are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NotReadBack`] where no text is read as this tree.
    pub fn print(&self) -> Result<String, Error> {
        let text = normal::file(self);
        let read = crate::parse(&text).file;
        if self.same_as(&read) {
            return Ok(text);
        }
        Err(Error::NotReadBack(same::first_difference(self, &read)))
    }

    /// Whether two files say the same: their trees are equal but for places, comments and the
    /// case of keywords.
    pub fn same_as(&self, other: &Dockerfile<'_>) -> bool {
        same::files(self, other)
    }
}

impl Instruction<'_> {
    /// The instruction in its normal form, heredoc bodies included, without a line end behind
    /// it. `escape` is the file's ([`Dockerfile::escape`]).
    ///
    /// # Errors
    ///
    /// [`Error::NotReadBack`] where no text is read as this instruction.
    pub fn print(&self, escape: char) -> Result<String, Error> {
        let text = normal::instruction(self, escape);
        let read = crate::parse_instruction(&text, escape).node;
        match read {
            Some(node) if same::instructions(self, &node.instruction) => Ok(text),
            _ => Err(Error::NotReadBack(self.keyword())),
        }
    }
}
