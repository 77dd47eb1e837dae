//! From a word to its value: variables, quotes and escapes as the builder reads them.
//!
//! Reading (`template`) and evaluating (here) are two steps, so that the variables of a word can
//! be listed without values. Nesting and results are bounded: both fail with a typed error.

pub(crate) mod pattern;
mod template;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::span::Span;
use crate::text::Text;
use pattern::Pattern;
use template::{Operator, Part};

/// The value of a variable, or `None` when it is not set.
pub type Lookup<'l> = dyn Fn(&str) -> Option<Cow<'l, str>> + 'l;

/// The longest result of one expansion in bytes. Kernels refuse a single environment string of
/// 128 KiB, so nothing that works comes near; values that double themselves do.
pub const MAX_EXPANDED: usize = 1 << 20;

/// The longest pattern in characters of `${v#p}`, `${v%p}` and `${v/p/r}`. Time is that of the value
/// times that of the pattern: this keeps values of [`MAX_EXPANDED`] bytes bearable.
pub const MAX_PATTERN: usize = 4096;

/// How deep `${a:-${b:-…}}` may go.
pub const MAX_NESTING: usize = 32;

/// Whether `'` and `"` hold text together or are characters like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    Meaningful,
    Literal,
}

/// A variable that a word names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// `$name` or all of `${name…}`.
    pub span: Span,
    /// Whether the word says what happens when it is not set (`-`, `+`, `?`).
    pub handles_unset: bool,
}

/// Why a word has no value, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandError {
    /// What is wrong.
    pub kind: ExpandErrorKind,
    /// The substitution or quote that it is about.
    pub span: Span,
}

/// What can be wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpandErrorKind {
    /// A quote that is not closed.
    UnterminatedQuote(char),
    /// `${` without `}`.
    MissingBrace,
    /// `${v/pattern` without the second `/`.
    MissingSlash,
    /// `${}`, `${{`, `${:`.
    BadSubstitution,
    /// `${v^}` and other operators that the language does not have.
    UnsupportedModifier(String),
    /// A backslash in a pattern before something that needs none.
    BadPattern(String),
    /// `${v?message}` of a variable that is not set, `${v:?message}` also of an empty one.
    Required {
        /// The variable.
        name: String,
        /// The author's message, or that it must be set.
        message: String,
    },
    /// A pattern of more than [`MAX_PATTERN`] characters.
    PatternTooLong,
    /// More than [`MAX_NESTING`] substitutions inside of one another.
    TooDeep,
    /// A result of more than [`MAX_EXPANDED`] bytes, or several times as much read on the way.
    TooLong,
}

impl fmt::Display for ExpandErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnterminatedQuote(quote) => write!(f, "unterminated quote: no closing `{quote}`"),
            Self::MissingBrace => f.write_str("missing `}` of `${`"),
            Self::MissingSlash => {
                f.write_str("missing second `/` in `${name/pattern/replacement}`")
            }
            Self::BadSubstitution => f.write_str("bad substitution: a name must follow `${`"),
            Self::UnsupportedModifier(m) => write!(f, "unsupported modifier `{m}` in substitution"),
            Self::BadPattern(escape) => write!(f, "invalid escape `{escape}` in pattern"),
            Self::Required { name, message } => write!(f, "`{name}`: {message}"),
            Self::PatternTooLong => write!(f, "a pattern of more than {MAX_PATTERN} characters"),
            Self::TooDeep => write!(f, "substitutions nested deeper than {MAX_NESTING}"),
            Self::TooLong => write!(f, "expands to more than {} KiB", MAX_EXPANDED / 1024),
        }
    }
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for ExpandError {}

/// An error with offsets into the word.
#[derive(Debug)]
pub(crate) struct RawError {
    pub(crate) kind: ExpandErrorKind,
    pub(crate) range: (usize, usize),
}

impl RawError {
    pub(crate) fn at(self, text: &Text<'_>) -> ExpandError {
        ExpandError {
            kind: self.kind,
            span: text.span_of(self.range.0..self.range.1),
        }
    }

    pub(crate) fn somewhere_in(self, span: Span) -> ExpandError {
        ExpandError {
            kind: self.kind,
            span,
        }
    }
}

/// The value of a word as one string and split at unquoted white space.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    pub(crate) words: Vec<String>,
}

pub(crate) fn expand(
    raw: &str,
    escape: char,
    quotes: Quotes,
    lookup: &Lookup<'_>,
) -> Result<Expanded, RawError> {
    let parts = template::parse(raw, escape, quotes)?;
    let mut out = Output::default();
    let mut eval = Eval {
        lookup,
        spent: 0,
        read: 0,
    };
    eval.parts(&parts, &mut out)?;
    Ok(out.finish())
}

/// What is wrong with the word itself.
pub(crate) fn check(raw: &str, escape: char, quotes: Quotes) -> Option<RawError> {
    if !raw.contains(['$', '\'', '"']) {
        return None;
    }
    template::parse(raw, escape, quotes).err()
}

pub(crate) fn variables(raw: &str, escape: char, quotes: Quotes, text: &Text<'_>) -> Vec<Variable> {
    let Ok(parts) = template::parse(raw, escape, quotes) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect(&parts, text, &mut found);
    found
}

fn collect(parts: &[Part], text: &Text<'_>, found: &mut Vec<Variable>) {
    for part in parts {
        match part {
            Part::Plain(_) | Part::Quoted(_) => {}
            Part::DoubleQuoted(inner) => collect(inner, text, found),
            Part::Variable(v) => {
                found.push(Variable {
                    name: v.name.clone(),
                    span: text.span_of(v.range.0..v.range.1),
                    handles_unset: matches!(
                        v.operator,
                        Operator::Default { .. }
                            | Operator::Alternative { .. }
                            | Operator::Required { .. }
                    ),
                });
                match &v.operator {
                    Operator::None => {}
                    Operator::Default { word, .. }
                    | Operator::Alternative { word, .. }
                    | Operator::Required { word, .. }
                    | Operator::Trim { word, .. } => collect(word, text, found),
                    Operator::Replace { pattern, with, .. } => {
                        collect(pattern, text, found);
                        collect(with, text, found);
                    }
                }
            }
        }
    }
}

/// The result under construction. A word is open as soon as it has a character.
#[derive(Default)]
struct Output {
    done: Expanded,
    word: String,
}

impl Output {
    fn quoted(&mut self, text: &str) {
        self.done.text.push_str(text);
        self.word.push_str(text);
    }

    fn splitting(&mut self, text: &str) {
        self.done.text.push_str(text);
        for c in text.chars() {
            if !c.is_whitespace() {
                self.word.push(c);
            } else if !self.word.is_empty() {
                self.done.words.push(std::mem::take(&mut self.word));
            }
        }
    }

    fn finish(mut self) -> Expanded {
        if !self.word.is_empty() {
            self.done.words.push(self.word);
        }
        self.done
    }
}

struct Eval<'x, 'l> {
    lookup: &'x Lookup<'l>,
    /// Bytes produced so far at all levels: nested words count although most are dropped.
    spent: usize,
    /// Bytes of values looked at: `${v##*}` gives nothing, and costs what `v` is long.
    read: usize,
}

impl Eval<'_, '_> {
    fn parts(&mut self, parts: &[Part], out: &mut Output) -> Result<(), RawError> {
        for part in parts {
            match part {
                Part::Plain(text) => out.splitting(text),
                Part::Quoted(text) => out.quoted(text),
                Part::DoubleQuoted(inner) => {
                    let text = self.text(inner)?;
                    out.quoted(&text);
                }
                Part::Variable(variable) => {
                    let value = self.variable(variable)?;
                    self.spent += value.len();
                    if self.spent > MAX_EXPANDED {
                        return Err(RawError {
                            kind: ExpandErrorKind::TooLong,
                            range: variable.range,
                        });
                    }
                    out.splitting(&value);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, parts: &[Part]) -> Result<String, RawError> {
        let mut out = Output::default();
        self.parts(parts, &mut out)?;
        Ok(out.done.text)
    }

    fn variable(&mut self, variable: &template::Variable) -> Result<String, RawError> {
        let fail = |kind| RawError {
            kind,
            range: variable.range,
        };
        // Nested words are evaluated whether they are used or not: `${a:-${b:?}}` fails for
        // want of `b` even where `a` is set.
        let name = variable.name.as_str();
        match &variable.operator {
            Operator::None => Ok(self.value(name).unwrap_or_default()),
            Operator::Default { or_empty, word } => {
                let word = self.text(word)?;
                Ok(self
                    .value(name)
                    .filter(|v| !(*or_empty && v.is_empty()))
                    .unwrap_or(word))
            }
            Operator::Alternative { or_empty, word } => {
                let word = self.text(word)?;
                let set = self
                    .value(name)
                    .is_some_and(|v| !(*or_empty && v.is_empty()));
                Ok(if set { word } else { String::new() })
            }
            Operator::Required { or_empty, word } => {
                let word = self.text(word)?;
                self.required(name, *or_empty, word).map_err(fail)
            }
            Operator::Trim { suffix, word } => {
                let word = self.text(word)?;
                let sign = if *suffix { '%' } else { '#' };
                let (greedy, word) = word
                    .strip_prefix(sign)
                    .map_or((false, word.as_str()), |rest| (true, rest));
                let pattern = Pattern::parse(word).map_err(fail)?;
                let value = self.long_value(name).map_err(fail)?;
                Ok(if *suffix {
                    pattern.trim_suffix(&value, greedy)
                } else {
                    pattern.trim_prefix(&value, greedy)
                })
            }
            Operator::Replace { all, pattern, with } => {
                let pattern = self.text(pattern)?;
                let with = self.text(with)?;
                let pattern = Pattern::parse(&pattern).map_err(fail)?;
                let value = self.long_value(name).map_err(fail)?;
                pattern
                    .replace(&value, &with, *all, MAX_EXPANDED)
                    .ok_or_else(|| fail(ExpandErrorKind::TooLong))
            }
        }
    }

    fn required(
        &self,
        name: &str,
        or_empty: bool,
        message: String,
    ) -> Result<String, ExpandErrorKind> {
        let missing = match self.value(name) {
            None => "is not allowed to be unset",
            Some(value) if or_empty && value.is_empty() => "is not allowed to be empty",
            Some(value) => return Ok(value),
        };
        let message = if message.is_empty() {
            missing.to_owned()
        } else {
            message
        };
        Err(ExpandErrorKind::Required {
            name: name.to_owned(),
            message,
        })
    }

    /// A value that a pattern is laid upon, or nothing.
    fn long_value(&mut self, name: &str) -> Result<String, ExpandErrorKind> {
        let value = self.value(name).unwrap_or_default();
        self.read += value.len();
        if self.read > 4 * MAX_EXPANDED {
            return Err(ExpandErrorKind::TooLong);
        }
        Ok(value)
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(Cow::into_owned)
    }
}

#[cfg(test)]
mod tests;
