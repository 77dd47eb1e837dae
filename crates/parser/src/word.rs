//! A word of an instruction: its text as written, joined over line ends, and where it stands.
//!
//! Quotes, escapes and variables are still in it; [`Word::expand`] takes them out.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::expand::{self, ExpandError, Lookup, Quotes, Variable};
use crate::span::Span;
use crate::text::Text;

/// Text of the Dockerfile that stands for a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Word<'a> {
    text: Text<'a>,
    escape: char,
    quotes: Quotes,
}

impl<'a> Word<'a> {
    pub(crate) fn new(text: Text<'a>, escape: char) -> Self {
        Self {
            text,
            escape,
            quotes: Quotes::Meaningful,
        }
    }

    /// A word in which quotes are characters like others: the body of a heredoc.
    pub(crate) fn body(text: Text<'a>) -> Self {
        // The escape directive does not reach into heredocs.
        Self {
            text,
            escape: '\\',
            quotes: Quotes::Literal,
        }
    }

    /// A word that stands in no file: for instructions that are made or changed by a program.
    /// `text` is as one would write it, quotes, escapes and variables included; its places
    /// count from the start of `text`.
    pub fn written(text: impl Into<Cow<'a, str>>, escape: char) -> Self {
        Self::new(Text::made(text.into()), escape)
    }

    /// The same for the body of a heredoc: quotes are characters like others.
    pub fn written_body(text: impl Into<Cow<'a, str>>) -> Self {
        Self::body(Text::made(text.into()))
    }

    /// The text as written, with line continuations taken out.
    pub fn raw(&self) -> &str {
        self.text.as_str()
    }

    /// The text as written, borrowed from the source where it lies there in one piece.
    pub fn into_raw(self) -> Cow<'a, str> {
        self.text.into_cow()
    }

    /// From the first byte to the last, whatever lies between.
    pub fn span(&self) -> Span {
        self.text.span()
    }

    /// The pieces that it is made of: more than one when it runs over a line end.
    pub fn spans(&self) -> Vec<Span> {
        self.text.spans()
    }

    /// Where a part of [`Word::raw`] stands in the source.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        self.text.span_of(range)
    }

    /// The escape character in force where it was written: `\` or `` ` ``.
    pub fn escape(&self) -> char {
        self.escape
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Word<'a> {
        Word {
            text: self.text.slice(range),
            escape: self.escape,
            quotes: self.quotes,
        }
    }

    /// The value: variables replaced, quotes and escapes taken out.
    ///
    /// `lookup` gives the value of a variable, or `None` when it is not set.
    ///
    /// # Errors
    ///
    /// A quote or brace that is not closed, a substitution that the language does not have,
    /// `${v:?message}` of a variable without a value, and results beyond [`crate::MAX_EXPANDED`].
    pub fn expand<'l>(&self, lookup: &Lookup<'l>) -> Result<String, ExpandError> {
        expand::expand(self.raw(), self.escape, self.quotes, lookup)
            .map_err(|e| e.at(&self.text))
            .map(|e| e.text)
    }

    /// The value split into words at white space that is not quoted, after variables were
    /// replaced: `EXPOSE $PORTS` may stand for several ports.
    ///
    /// # Errors
    ///
    /// As [`Word::expand`].
    pub fn expand_words<'l>(&self, lookup: &Lookup<'l>) -> Result<Vec<String>, ExpandError> {
        expand::expand(self.raw(), self.escape, self.quotes, lookup)
            .map_err(|e| e.at(&self.text))
            .map(|e| e.words)
    }

    /// The variables that it names, outermost first, each with its place. Empty when the word
    /// cannot be expanded at all.
    pub fn variables(&self) -> Vec<Variable> {
        expand::variables(self.raw(), self.escape, self.quotes, &self.text)
    }

    /// What keeps it from having a value, whatever its variables are.
    pub fn error(&self) -> Option<ExpandError> {
        expand::check(self.raw(), self.escape, self.quotes).map(|e| e.at(&self.text))
    }

    /// Whether there is something to replace.
    pub fn has_variables(&self) -> bool {
        self.raw().contains('$') && !self.variables().is_empty()
    }

    /// The value if it does not depend on variables.
    pub fn constant(&self) -> Option<String> {
        if self.has_variables() {
            return None;
        }
        self.expand(&|_| None).ok()
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span();
        write!(f, "{:?} @ {}..{}", self.raw(), span.start, span.end)
    }
}

impl Serialize for Word<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Word", 2)?;
        out.serialize_field("text", self.raw())?;
        out.serialize_field("spans", &self.spans())?;
        out.end()
    }
}
