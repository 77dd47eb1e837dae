//! Reading a word into parts: plain text, quoted text, variables with their operators.
//!
//! The grammar is the builder's, not a shell's: no command substitution, no arithmetic, no
//! arrays; a `$` before something that is no name is itself.

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::{opt, recognize, verify};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::{ExpandErrorKind, MAX_NESTING, Quotes, RawError};
use crate::text::offset_in;

/// A part of a word.
#[derive(Debug)]
pub(crate) enum Part {
    /// Text that splits at white space where words are wanted.
    Plain(String),
    /// Text that does not: from single quotes, or escaped.
    Quoted(String),
    /// Between double quotes.
    DoubleQuoted(Vec<Part>),
    /// `$name`, `${name}`, `${name…}`.
    Variable(Box<Variable>),
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) operator: Operator,
    /// All of the substitution, as offsets into the word.
    pub(crate) range: (usize, usize),
}

#[derive(Debug)]
pub(crate) enum Operator {
    None,
    Default {
        or_empty: bool,
        word: Vec<Part>,
    },
    Alternative {
        or_empty: bool,
        word: Vec<Part>,
    },
    Required {
        or_empty: bool,
        word: Vec<Part>,
    },
    /// `#`, `##`, `%`, `%%`: the doubled sign is still at the start of `word`.
    Trim {
        suffix: bool,
        word: Vec<Part>,
    },
    Replace {
        all: bool,
        pattern: Vec<Part>,
        with: Vec<Part>,
    },
}

/// What went wrong, with the rest of the input at that point.
#[derive(Debug)]
struct Problem<'a> {
    from: &'a str,
    to: &'a str,
    kind: ExpandErrorKind,
}

impl<'a> ParseError<&'a str> for Problem<'a> {
    fn from_error_kind(input: &'a str, _: ErrorKind) -> Self {
        Self {
            from: input,
            to: "",
            kind: ExpandErrorKind::BadSubstitution,
        }
    }
    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Read<'a, T> = IResult<&'a str, T, Problem<'a>>;

fn fail<'a, T>(from: &'a str, to: &'a str, kind: ExpandErrorKind) -> Read<'a, T> {
    Err(nom::Err::Failure(Problem { from, to, kind }))
}

/// What holds where something is read.
#[derive(Clone, Copy)]
struct Mode<'a> {
    word: &'a str,
    escape: char,
    quotes: Quotes,
    /// In patterns the escape character stays in the text: the pattern reads it again.
    keep_escapes: bool,
    depth: usize,
}

impl<'a> Mode<'a> {
    fn deeper(self, keep_escapes: bool) -> Self {
        Self {
            keep_escapes,
            depth: self.depth + 1,
            ..self
        }
    }

    fn at(&self, rest: &'a str) -> usize {
        if rest.is_empty() {
            self.word.len()
        } else {
            offset_in(self.word, rest)
        }
    }
}

pub(crate) fn parse(word: &str, escape: char, quotes: Quotes) -> Result<Vec<Part>, RawError> {
    let mode = Mode {
        word,
        escape,
        quotes,
        keep_escapes: false,
        depth: 0,
    };
    match parts(mode, None, word) {
        Ok((_, parts)) => Ok(parts),
        Err(nom::Err::Error(p) | nom::Err::Failure(p)) => {
            let end = mode.at(p.to);
            Err(RawError {
                range: (mode.at(p.from).min(end), end),
                kind: p.kind,
            })
        }
        Err(nom::Err::Incomplete(_)) => Ok(Vec::new()), // complete parsers never ask for more
    }
}

/// Parts up to `stop`, which is taken, or to the end where there is none to stop at.
fn parts<'a>(mode: Mode<'a>, stop: Option<char>, input: &'a str) -> Read<'a, Vec<Part>> {
    let mut found = Vec::new();
    let mut rest = input;
    loop {
        let Some(next) = rest.chars().next() else {
            return match stop {
                None => Ok((rest, found)),
                Some('/') => fail(input, rest, ExpandErrorKind::MissingSlash),
                Some(_) => fail(input, rest, ExpandErrorKind::MissingBrace),
            };
        };
        if Some(next) == stop {
            return Ok((&rest[next.len_utf8()..], found));
        }
        let part;
        (rest, part) = match next {
            '$' => dollar(mode, rest)?,
            '\'' if mode.quotes == Quotes::Meaningful => single_quoted(rest)?,
            '"' if mode.quotes == Quotes::Meaningful => double_quoted(mode, rest)?,
            c if c == mode.escape => escaped(mode, rest)?,
            _ => plain(mode, stop, rest)?,
        };
        found.push(part);
    }
}

fn plain<'a>(mode: Mode<'a>, stop: Option<char>, input: &'a str) -> Read<'a, Part> {
    let special = |c: char| matches!(c, '$' | '\'' | '"') || c == mode.escape || Some(c) == stop;
    // The first character is plain even if it looks special: a quote where quotes are literal.
    recognize((anychar, take_till(special)))
        .map(|text: &str| Part::Plain(text.to_owned()))
        .parse(input)
}

fn escaped<'a>(mode: Mode<'a>, input: &'a str) -> Read<'a, Part> {
    let kept = if mode.keep_escapes {
        mode.escape.to_string()
    } else {
        String::new()
    };
    preceded(char(mode.escape), opt(anychar))
        .map(|c| Part::Quoted(c.map_or(kept.clone(), |c| format!("{kept}{c}"))))
        .parse(input)
}

fn single_quoted(input: &str) -> Read<'_, Part> {
    let (rest, text) = preceded(char('\''), take_till(|c| c == '\'')).parse(input)?;
    if rest.is_empty() {
        return fail(input, rest, ExpandErrorKind::UnterminatedQuote('\''));
    }
    Ok((&rest[1..], Part::Quoted(text.to_owned())))
}

fn double_quoted<'a>(mode: Mode<'a>, input: &'a str) -> Read<'a, Part> {
    let mut found = Vec::new();
    let mut rest = &input[1..];
    loop {
        match rest.chars().next() {
            None => return fail(input, rest, ExpandErrorKind::UnterminatedQuote('"')),
            Some('"') => return Ok((&rest[1..], Part::DoubleQuoted(found))),
            Some('$') => {
                let part;
                (rest, part) = dollar(mode, rest)?;
                found.push(part);
            }
            Some(c) if c == mode.escape => {
                let part;
                (rest, part) = escaped_in_double_quotes(mode, rest)?;
                found.push(part);
            }
            Some(_) => {
                let special = |c: char| matches!(c, '$' | '"') || c == mode.escape;
                let (after, text) = take_till(special).parse(rest)?;
                found.push(Part::Quoted(text.to_owned()));
                rest = after;
            }
        }
    }
}

/// Only `"`, `$` and the escape character itself can be escaped here; before others it stays.
fn escaped_in_double_quotes<'a>(mode: Mode<'a>, input: &'a str) -> Read<'a, Part> {
    let escape = mode.escape;
    let (rest, _) = char(escape).parse(input)?;
    let meant = verify(anychar, |c: &char| matches!(c, '"' | '$') || *c == escape);
    let (rest, meant) = opt(meant).parse(rest)?;
    let text = match meant {
        Some(c) if mode.keep_escapes => format!("{escape}{c}"),
        Some(c) => c.to_string(),
        None if rest.is_empty() && !mode.keep_escapes => String::new(),
        // A pattern reads it again: there it must still be a character.
        None if mode.keep_escapes => format!("{escape}{escape}"),
        None => escape.to_string(),
    };
    Ok((rest, Part::Quoted(text)))
}

fn dollar<'a>(mode: Mode<'a>, input: &'a str) -> Read<'a, Part> {
    let (after, _) = char('$').parse(input)?;
    if after.starts_with('{') {
        return braced(mode, input);
    }
    let (rest, name) = opt(name).parse(after)?;
    let Some(name) = name else {
        return Ok((after, Part::Plain("$".to_owned())));
    };
    Ok((rest, variable(mode, input, rest, name, Operator::None)))
}

fn variable<'a>(
    mode: Mode<'a>,
    from: &'a str,
    to: &'a str,
    name: &str,
    operator: Operator,
) -> Part {
    let range = (mode.at(from), mode.at(to));
    Part::Variable(Box::new(Variable {
        name: name.to_owned(),
        operator,
        range,
    }))
}

/// A decimal digit of any script. Fractions, superscripts and numbers in circles are none: what
/// Unicode calls numeric beyond digits lies in these blocks, but for scripts of the past.
fn is_digit(c: char) -> bool {
    let other =
        matches!(c, '\u{b2}'..='\u{be}' | '\u{2070}'..='\u{2bff}' | '\u{3000}'..='\u{33ff}');
    c.is_numeric() && !other
}

/// Letters, digits and `_`; a digit first reads only digits, a special parameter only itself.
fn name(input: &str) -> Read<'_, &str> {
    let special = recognize(verify(anychar, |c: &char| {
        matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!')
    }));
    let digits = take_while1(is_digit);
    let letters = take_while1(|c: char| c.is_alphabetic() || is_digit(c) || c == '_');
    alt((special, digits, letters)).parse(input)
}

fn braced<'a>(mode: Mode<'a>, input: &'a str) -> Read<'a, Part> {
    if mode.depth >= MAX_NESTING {
        return fail(input, &input[2..], ExpandErrorKind::TooDeep);
    }
    let after = &input[2..];
    match after.chars().next() {
        None => return fail(input, after, ExpandErrorKind::MissingBrace),
        Some(c @ ('{' | '}' | ':')) => {
            return fail(
                input,
                &after[c.len_utf8()..],
                ExpandErrorKind::BadSubstitution,
            );
        }
        Some(_) => {}
    }
    let (rest, name) = opt(name).parse(after)?;
    let name = match name {
        Some(name) => name,
        // No name is the name of nothing: never set.
        None if after.starts_with(['+', '%', '/']) => "",
        None => {
            let (rest, _) = anychar.parse(rest)?;
            return fail(input, rest, ExpandErrorKind::BadSubstitution);
        }
    };
    let (rest, operator) = operator(mode, input, rest)?;
    Ok((rest, variable(mode, input, rest, name, operator)))
}

fn operator<'a>(mode: Mode<'a>, whole: &'a str, input: &'a str) -> Read<'a, Operator> {
    let Some(sign) = input.chars().next() else {
        return fail(whole, input, ExpandErrorKind::MissingBrace);
    };
    let after = &input[sign.len_utf8()..];
    match sign {
        '}' => Ok((after, Operator::None)),
        '-' | '+' | '?' => {
            let (rest, word) = operand(mode.deeper(false), '}', whole, after)?;
            Ok((rest, conditional(sign, false, word)))
        }
        ':' => match after.chars().next() {
            Some(sign @ ('-' | '+' | '?')) => {
                let (rest, word) = operand(mode.deeper(false), '}', whole, &after[1..])?;
                Ok((rest, conditional(sign, true, word)))
            }
            Some(c) => fail(
                whole,
                &after[c.len_utf8()..],
                ExpandErrorKind::UnsupportedModifier(format!(":{c}")),
            ),
            None => fail(whole, after, ExpandErrorKind::MissingBrace),
        },
        '#' | '%' => {
            let (rest, word) = operand(mode.deeper(true), '}', whole, after)?;
            Ok((
                rest,
                Operator::Trim {
                    suffix: sign == '%',
                    word,
                },
            ))
        }
        '/' => {
            let (rest, doubled) = opt(char('/')).parse(after)?;
            let (rest, pattern) = operand(mode.deeper(true), '/', whole, rest)?;
            let (rest, with) = operand(mode.deeper(true), '}', whole, rest)?;
            Ok((
                rest,
                Operator::Replace {
                    all: doubled.is_some(),
                    pattern,
                    with,
                },
            ))
        }
        // A line end is no operator that somebody would have meant.
        '\n' => fail(whole, input, ExpandErrorKind::MissingBrace),
        other => fail(
            whole,
            after,
            ExpandErrorKind::UnsupportedModifier(other.to_string()),
        ),
    }
}

/// The word behind an operator. Where its end is missing, all of the substitution is to blame.
fn operand<'a>(mode: Mode<'a>, stop: char, whole: &'a str, input: &'a str) -> Read<'a, Vec<Part>> {
    match parts(mode, Some(stop), input) {
        Err(nom::Err::Failure(p)) if is_unclosed(&p.kind) && p.from.len() == input.len() => {
            fail(whole, p.to, p.kind)
        }
        other => other,
    }
}

fn is_unclosed(kind: &ExpandErrorKind) -> bool {
    matches!(
        kind,
        ExpandErrorKind::MissingBrace | ExpandErrorKind::MissingSlash
    )
}

fn conditional(sign: char, or_empty: bool, word: Vec<Part>) -> Operator {
    match sign {
        '-' => Operator::Default { or_empty, word },
        '+' => Operator::Alternative { or_empty, word },
        _ => Operator::Required { or_empty, word },
    }
}
