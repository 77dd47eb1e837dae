//! Wildcards as `COPY` and `ADD` have them: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a
//! character that stands for itself. They are Go's `filepath.Match`: `*` and `?` never match
//! `/`, and braces mean nothing.
//!
//! ```
//! use kiln_parser::glob::Pattern;
//!
//! let pattern = Pattern::new("app-[0-9]*.tar").expect("brackets are closed");
//! assert!(pattern.matches("app-1.2.tar"));
//! assert!(!pattern.matches("app-1/2.tar"));
//! ```

use std::fmt;

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Char(char),
    /// `?`
    Any,
    /// `*`
    Star,
    Class(Class),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    pub(crate) fn matches(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.negated
    }

    /// Whether some range runs backwards: it matches nothing, and is none where classes are
    /// those of regular expressions.
    pub(crate) fn is_backwards(&self) -> bool {
        self.ranges.iter().any(|(low, high)| low > high)
    }
}

/// A pattern that cannot be read: a bracket that is not closed or has nothing in it, or a
/// backslash at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// Offset of the bracket or backslash in the pattern, in bytes.
    pub offset: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bad pattern: `[` without its `]`, or `\\` at the end, at byte {}",
            self.offset
        )
    }
}

impl std::error::Error for Error {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A bracket that is not closed or is empty, a backslash at the end.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Ok(Self {
            tokens: tokens(pattern)?,
        })
    }

    /// Whether all of `name` matches. Time is at most the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        let tokens = self.tokens.as_slice();
        let (mut t, mut rest) = (0, name.chars());
        // Where to go on when nothing else matches: behind the last star, one character later.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            match tokens.get(t) {
                Some(Token::Star) => {
                    retry = Some((t + 1, rest.clone()));
                    t += 1;
                    continue;
                }
                Some(token) => {
                    let mut ahead = rest.clone();
                    if ahead.next().is_some_and(|c| token.matches(c)) {
                        rest = ahead;
                        t += 1;
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((behind, from)) = &mut retry else {
                return false;
            };
            match from.next() {
                Some(c) if c != '/' => {}
                _ => return false,
            }
            (t, rest) = (*behind, from.clone());
        }
    }
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Token::Char(own) => *own == c,
            Token::Any => c != '/',
            Token::Class(class) => class.matches(c),
            Token::Star => false, // has its own place in `matches`
        }
    }
}

/// Whether a path has wildcards at all. An escaped character counts: the path is a pattern.
pub fn has_magic(path: &str) -> bool {
    path.contains(['*', '?', '[', '\\'])
}

fn tokens(pattern: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some((token, len)) = token(&pattern[at..], at)? {
        at += len;
        if !(token == Token::Star && tokens.last() == Some(&Token::Star)) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// The token at the start of `rest` and its length in bytes; `at` is for errors.
pub(crate) fn token(rest: &str, at: usize) -> Result<Option<(Token, usize)>, Error> {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        return Ok(None);
    };
    Ok(Some(match first {
        '*' => (Token::Star, 1),
        '?' => (Token::Any, 1),
        '\\' => match chars.next() {
            Some(c) => (Token::Char(c), 1 + c.len_utf8()),
            None => return Err(Error { offset: at }),
        },
        '[' => {
            let (class, len) = class(&rest[1..]).ok_or(Error { offset: at })?;
            (Token::Class(class), 1 + len)
        }
        c => (Token::Char(c), c.len_utf8()),
    }))
}

/// What follows `[`, up to and with `]`.
fn class(text: &str) -> Option<(Class, usize)> {
    let mut chars = text.chars().peekable();
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let mut len = usize::from(negated);
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, len: &mut usize| {
        let c = chars.next()?;
        *len += c.len_utf8();
        match c {
            '-' | ']' => None,
            '\\' => {
                let c = chars.next()?;
                *len += c.len_utf8();
                Some(c)
            }
            c => Some(c),
        }
    };
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some((Class { negated, ranges }, len + 1));
        }
        let low = one(&mut chars, &mut len)?;
        let mut high = low;
        if chars.next_if_eq(&'-').is_some() {
            len += 1;
            high = one(&mut chars, &mut len)?;
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_filepath_match() {
        let rows = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[[]x", "[x", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("**", "ab", true),
        ];
        for (pattern, name, want) in rows {
            let read = Pattern::new(pattern).expect(pattern);
            assert_eq!(read.matches(name), want, "{pattern} {name}");
        }
        for bad in [
            "[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a[^", "\\", "[a-b-c]",
        ] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_exponential_backtracking() {
        let pattern = Pattern::new(&"a*".repeat(2000)).expect("stars only");
        assert!(!pattern.matches(&format!("{}b/", "a".repeat(2000))));
    }
}
