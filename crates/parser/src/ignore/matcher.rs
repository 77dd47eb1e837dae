//! One pattern of an ignore file against one path and the folders that it lies in.
//!
//! `*` and `?` stop at `/`, `**` does not. All states run at once: no backtracking.

use crate::glob::{self, Class, Error, Token};

/// A pattern, in the quickest form that decides the same.
#[derive(Debug, Clone)]
pub(super) enum Matcher {
    /// No wildcards.
    Exact(String),
    /// `start**`: whatever begins so.
    Prefix(String),
    /// `**end`: whatever ends so; `**/name` is also `name` itself.
    Suffix(String),
    /// Anything else.
    Steps(Vec<Step>),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Char(char),
    Any,
    Class(Class),
    /// `*`: any number of characters but `/`.
    Star,
    /// `**` at the end: anything.
    Rest,
    /// `**/`: nothing, or anything that ends in `/`. Always followed by `Inside`.
    Dirs,
    /// Within what `Dirs` takes.
    Inside,
}

impl Matcher {
    pub(super) fn new(pattern: &str) -> Result<Self, Error> {
        let mut steps = Vec::new();
        let mut at = 0;
        let (mut plain, mut leading, mut trailing) = (true, false, false);
        while let Some((token, len)) = glob::token(&pattern[at..], at)? {
            let from = at;
            at += len;
            match token {
                Token::Star if pattern[at..].starts_with('*') => {
                    at += 1;
                    // `**/` is the same as `**`.
                    at += usize::from(pattern[at..].starts_with('/'));
                    let at_end = at == pattern.len();
                    if at_end && from != 0 {
                        trailing = plain && !leading;
                        plain &= trailing;
                        steps.push(Step::Rest);
                    } else if at_end {
                        leading = true;
                        steps.push(Step::Rest);
                    } else {
                        plain &= from == 0;
                        leading |= from == 0;
                        steps.extend([Step::Dirs, Step::Inside]);
                    }
                }
                Token::Star => {
                    plain = false;
                    steps.push(Step::Star);
                }
                Token::Any => {
                    plain = false;
                    steps.push(Step::Any);
                }
                Token::Class(class) if class.is_backwards() => return Err(Error { offset: from }),
                Token::Class(class) => {
                    plain = false;
                    steps.push(Step::Class(class));
                }
                Token::Char(c) => {
                    plain &= len == c.len_utf8(); // an escaped one is longer
                    steps.push(Step::Char(c));
                }
            }
        }
        Ok(match (plain, leading, trailing) {
            (true, false, false) => Matcher::Exact(pattern.to_owned()),
            (true, false, true) => Matcher::Prefix(pattern.trim_end_matches(['*']).to_owned()),
            (true, true, _) => Matcher::Suffix(pattern[2..].to_owned()),
            _ => Matcher::Steps(steps),
        })
    }

    /// Whether the path or a folder that it lies in matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Matcher::Exact(text) => path
                .strip_prefix(text.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Matcher::Prefix(start) => path.starts_with(start.as_str()),
            Matcher::Suffix(end) => {
                let ends = |path: &str| {
                    path.ends_with(end.as_str()) || end.strip_prefix('/') == Some(path)
                };
                ends(path) || path.match_indices('/').any(|(at, _)| ends(&path[..at]))
            }
            Matcher::Steps(steps) => run(steps, path, true),
        }
    }

    /// Whether the path itself matches.
    pub(super) fn is(&self, path: &str) -> bool {
        match self {
            Matcher::Exact(text) => path == text,
            Matcher::Prefix(start) => path.starts_with(start.as_str()),
            Matcher::Suffix(end) => {
                path.ends_with(end.as_str()) || end.strip_prefix('/') == Some(path)
            }
            Matcher::Steps(steps) => run(steps, path, false),
        }
    }
}

impl Step {
    /// How many steps further one may stand without taking a character.
    fn skips(&self) -> usize {
        match self {
            Step::Star | Step::Rest => 1,
            Step::Dirs => 2,
            _ => 0,
        }
    }

    /// Where `c` leads: to the places `n` further for each `n` that is given.
    fn takes(&self, c: char) -> &'static [usize] {
        match self {
            Step::Char(own) if *own == c => &[1],
            Step::Any if c != '/' => &[1],
            Step::Class(class) if class.matches(c) => &[1],
            Step::Star if c != '/' => &[0],
            Step::Rest => &[0],
            Step::Dirs if c == '/' => &[1, 2],
            Step::Dirs => &[1],
            Step::Inside if c == '/' => &[0, 1],
            Step::Inside => &[0],
            _ => &[],
        }
    }
}

/// Whether the path matches; with `folders`, or one that it lies in.
fn run(steps: &[Step], path: &str, folders: bool) -> bool {
    match steps.len() < 64 {
        true => short(steps, path, folders),
        false => long(steps, path, folders),
    }
}

/// States as the bits of one word.
fn short(steps: &[Step], path: &str, folders: bool) -> bool {
    let close = |mut states: u64| {
        for (i, step) in steps.iter().enumerate() {
            if states & (1 << i) != 0 && step.skips() > 0 {
                states |= 1 << (i + step.skips());
            }
        }
        states
    };
    let mut states = close(1);
    for c in path.chars() {
        if folders && c == '/' && states & (1 << steps.len()) != 0 {
            return true; // the folder up to here
        }
        let mut next = 0;
        let mut left = states & !(1 << steps.len());
        while left != 0 {
            let i = left.trailing_zeros() as usize;
            left &= left - 1;
            for n in steps[i].takes(c) {
                next |= 1 << (i + n);
            }
        }
        if next == 0 {
            return false;
        }
        states = close(next);
    }
    states & (1 << steps.len()) != 0
}

/// The same for patterns of any length.
fn long(steps: &[Step], path: &str, folders: bool) -> bool {
    let close = |states: &mut Vec<bool>| {
        for (i, step) in steps.iter().enumerate() {
            if states[i] && step.skips() > 0 {
                states[i + step.skips()] = true;
            }
        }
    };
    let mut states = vec![false; steps.len() + 1];
    states[0] = true;
    close(&mut states);
    for c in path.chars() {
        if folders && c == '/' && states[steps.len()] {
            return true;
        }
        let mut next = vec![false; steps.len() + 1];
        for (i, step) in steps.iter().enumerate().filter(|(i, _)| states[*i]) {
            for n in step.takes(c) {
                next[i + n] = true;
            }
        }
        close(&mut next);
        states = next;
    }
    states[steps.len()]
}
