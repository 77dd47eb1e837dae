//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and escaped characters, no
//! brackets. `*` and `?` do not match a line end.
//!
//! Matching runs all states at once, 64 to a machine word: no backtracking, whatever the input.

use std::collections::HashMap;

use super::{ExpandErrorKind, MAX_PATTERN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
}

/// A pattern that was read.
#[derive(Debug)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, ExpandErrorKind> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if tokens.len() == MAX_PATTERN {
                return Err(ExpandErrorKind::PatternTooLong);
            }
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Token::Char(c),
                    Some(c) => return Err(ExpandErrorKind::BadPattern(format!("\\{c}"))),
                    None => return Err(ExpandErrorKind::BadPattern("\\".to_owned())),
                },
                c => Token::Char(c),
            });
        }
        Ok(Self { tokens })
    }

    pub(crate) fn trim_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        match Machine::new(&self.tokens).end(&chars, longest) {
            Some(end) => chars[end..].iter().collect(),
            None => value.to_owned(),
        }
    }

    pub(crate) fn trim_suffix(&self, value: &str, longest: bool) -> String {
        let reversed: Vec<char> = value.chars().rev().collect();
        let tokens: Vec<Token> = self.tokens.iter().rev().copied().collect();
        match Machine::new(&tokens).end(&reversed, longest) {
            Some(end) => reversed[end..].iter().rev().collect(),
            None => value.to_owned(),
        }
    }

    /// The value with the first or every match replaced; a match is as long as can be.
    /// `None` when the result would be longer than `limit` bytes.
    pub(crate) fn replace(
        &self,
        value: &str,
        with: &str,
        all: bool,
        limit: usize,
    ) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let starts = self.starts(&chars);
        let machine = Machine::new(&self.tokens);
        let mut out = String::new();
        let mut at = 0;
        let mut last_end = None;
        while at <= chars.len() {
            let end = if starts[at] {
                machine.end(&chars[at..], true).map(|n| at + n)
            } else {
                None
            };
            match end {
                // No empty match right behind another match.
                Some(end) if !(end == at && last_end == Some(at)) => {
                    out.push_str(with);
                    last_end = Some(end);
                    if end == at {
                        out.extend(chars.get(at));
                        at += 1;
                    } else {
                        at = end;
                    }
                    if !all {
                        out.extend(&chars[at.min(chars.len())..]);
                        break;
                    }
                }
                _ => {
                    out.extend(chars.get(at));
                    at += 1;
                }
            }
            if out.len() > limit {
                return None;
            }
        }
        (out.len() <= limit).then_some(out)
    }

    /// For every place of the value whether a match begins there.
    fn starts(&self, chars: &[char]) -> Vec<bool> {
        let tokens: Vec<Token> = self.tokens.iter().rev().copied().collect();
        let machine = Machine::new(&tokens);
        let mut states = machine.start();
        let mut found = vec![false; chars.len() + 1];
        found[chars.len()] = machine.accepts(&states);
        for (i, c) in chars.iter().enumerate().rev() {
            machine.step(&mut states, *c);
            states[0] |= 1;
            found[i] = machine.accepts(&states);
        }
        found
    }
}

/// State `n`: the first `n` characters of the pattern have been matched.
struct Machine {
    /// Number of characters in the pattern, stars not counted.
    len: usize,
    /// States behind which a star stands: they stay while any character but a line end passes.
    stays: Vec<u64>,
    /// For each character of the pattern the states that it leads into.
    into: HashMap<char, Vec<u64>>,
    /// The states that any character but a line end leads into.
    into_any: Vec<u64>,
}

impl Machine {
    fn new(tokens: &[Token]) -> Self {
        let len = tokens.iter().filter(|t| **t != Token::Star).count();
        let words = len / 64 + 1;
        let mut machine = Self {
            len,
            stays: vec![0; words],
            into: HashMap::new(),
            into_any: vec![0; words],
        };
        let mut state = 0;
        for token in tokens {
            match token {
                Token::Star => machine.stays[state / 64] |= 1 << (state % 64),
                Token::Any => {
                    state += 1;
                    machine.into_any[state / 64] |= 1 << (state % 64);
                }
                Token::Char(c) => {
                    state += 1;
                    machine.into.entry(*c).or_insert_with(|| vec![0; words])[state / 64] |=
                        1 << (state % 64);
                }
            }
        }
        machine
    }

    fn start(&self) -> Vec<u64> {
        let mut states = vec![0; self.stays.len()];
        states[0] = 1;
        states
    }

    fn accepts(&self, states: &[u64]) -> bool {
        states[self.len / 64] & (1 << (self.len % 64)) != 0
    }

    fn step(&self, states: &mut [u64], c: char) {
        let into = self.into.get(&c);
        let any = c != '\n';
        let mut carry = 0;
        for (i, word) in states.iter_mut().enumerate() {
            let moved = (*word << 1) | carry;
            carry = *word >> 63;
            let mut reached = into.map_or(0, |into| into[i]);
            let mut kept = 0;
            if any {
                reached |= self.into_any[i];
                kept = *word & self.stays[i];
            }
            *word = (moved & reached) | kept;
        }
    }

    /// How many characters from the start match: the fewest or the most.
    fn end(&self, chars: &[char], longest: bool) -> Option<usize> {
        let mut states = self.start();
        let mut end = None;
        for (n, c) in chars.iter().map(Some).chain([None]).enumerate() {
            if self.accepts(&states) {
                end = Some(n);
                if !longest {
                    break;
                }
            }
            if states.iter().all(|word| *word == 0) {
                break;
            }
            if let Some(c) = c {
                self.step(&mut states, *c);
            }
        }
        end
    }
}
