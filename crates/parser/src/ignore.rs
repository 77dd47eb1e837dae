//! `.dockerignore`: which paths of a build context a builder does not see.
//!
//! The rules are moby's: the last pattern that matches decides, `!` takes back, patterns are
//! anchored at the root (`*.log` is the root's only, `**/*.log` all), a folder that matches takes
//! what is in it along. There is no `.gitignore` behaviour here.
//!
//! ```
//! let (ignore, problems) = kiln_parser::ignore::Ignore::parse("node_modules\n**/*.log\n!keep.log\n");
//! assert!(problems.is_empty());
//! assert!(ignore.excludes("node_modules/a/index.js", false));
//! assert!(!ignore.excludes("keep.log", false));
//! let why = ignore.decide("src/x.log", false).expect("a rule decided");
//! assert_eq!((why.pattern.as_str(), why.line), ("**/*.log", 2));
//! ```

mod matcher;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::lines::MAX_LINE;
use crate::span::{Span, to_u32};
use matcher::Matcher;

/// The rules of an ignore file in order.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

/// One line of an ignore file.
#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    /// The pattern as written, trimmed, with its `!`.
    pub pattern: String,
    /// Line number from 1.
    pub line: u32,
    /// Where the pattern stands in the file.
    pub span: Span,
    /// `!`: what matches is not excluded.
    pub negated: bool,
    #[serde(skip)]
    matcher: Matcher,
}

/// Equal are those that say the same in the same order.
impl PartialEq for Ignore {
    fn eq(&self, other: &Self) -> bool {
        let patterns = |ignore: &'_ Self| -> Vec<String> {
            let rules = ignore.rules.iter();
            rules.map(|rule| rule.pattern.clone()).collect()
        };
        patterns(self) == patterns(other)
    }
}

impl Eq for Ignore {}

impl Ignore {
    /// Reads an ignore file. Lines that cannot be read are left out, with a diagnostic each.
    pub fn parse(src: &str) -> (Self, Vec<Diagnostic>) {
        let mut rules = Vec::new();
        let mut diagnostics = Vec::new();
        if src.len() > crate::MAX_FILE {
            let message = "the ignore file is too long";
            return (
                Self::default(),
                vec![Diagnostic::error("file-too-long", Span::default(), message)],
            );
        }
        let mut at = 0;
        for (number, line) in (1..).zip(src.split_inclusive('\n')) {
            let start = at;
            at += line.len();
            let text = if number == 1 {
                line.trim_start_matches('\u{feff}')
            } else {
                line
            };
            // A comment begins in the first column; `#` elsewhere is part of a pattern.
            if text.starts_with('#') || text.trim().is_empty() {
                continue;
            }
            let start =
                to_u32(start + (line.len() - text.len()) + (text.len() - text.trim_start().len()));
            let pattern = text.trim();
            let span = Span::new(start, start + to_u32(pattern.len()));
            if line.len() > MAX_LINE {
                let message = format!("a line of more than {MAX_LINE} bytes");
                diagnostics.push(Diagnostic::error("line-too-long", span, message));
                continue;
            }
            match rule(pattern, number, span) {
                Ok(rule) => rules.push(rule),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        (Self { rules }, diagnostics)
    }

    /// From patterns that stand somewhere else than in a file, one rule each: there are no comments.
    /// Patterns that cannot be read are left out, with a diagnostic each.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> (Self, Vec<Diagnostic>) {
        let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
        for (number, pattern) in (1..).zip(patterns) {
            match rule(pattern.trim(), number, Span::default()) {
                Ok(rule) => rules.push(rule),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        (Self { rules }, diagnostics)
    }

    /// Whether the builder does not see `path`: relative to the context, with `/` between its
    /// components. Time is linear in the path's
    /// length, for each pattern in its own.
    pub fn excludes(&self, path: &str, is_dir: bool) -> bool {
        self.decide(path, is_dir).is_some_and(|rule| !rule.negated)
    }

    /// The rule that decides about `path`: the last one that changed the answer. `None` when
    /// no rule matches.
    ///
    /// Rules do not tell files from folders, so `is_dir` changes nothing today; callers say it
    /// all the same, as they know it and rules may come that ask.
    pub fn decide(&self, path: &str, is_dir: bool) -> Option<&Rule> {
        let _ = is_dir;
        let path = path.trim_matches('/');
        let path = path.strip_prefix("./").unwrap_or(path);
        if path.is_empty() || path == "." {
            return None; // nobody wants to exclude everything by the root
        }
        if !self.has_negation() {
            return self.rules.iter().find(|rule| rule.matcher.matches(path));
        }
        // A rule that took a folder takes what is in it. One that was not asked about the folder, for
        // want of anything to change, is asked anew about what is in it, and about that alone.
        let mut took = vec![false; self.rules.len()];
        let mut decided = None;
        let folders = path.match_indices('/').map(|(at, _)| at);
        for end in folders.chain([path.len()]) {
            let mut excluded = false;
            decided = None;
            for (rule, took) in self.rules.iter().zip(&mut took) {
                let changes = rule.negated == excluded;
                *took = *took || changes && rule.matcher.is(&path[..end]);
                if *took && changes {
                    excluded = !rule.negated;
                    decided = Some(rule);
                }
            }
        }
        decided
    }

    /// Whether some rule begins with `!`: then a folder that is excluded may still hold files
    /// that are not, and a walk must go into it.
    pub fn has_negation(&self) -> bool {
        self.rules.iter().any(|rule| rule.negated)
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn rule(pattern: &str, line: u32, span: Span) -> Result<Rule, Diagnostic> {
    let (negated, inner) = match pattern.strip_prefix('!') {
        Some(inner) => (true, inner.trim()),
        None => (false, pattern),
    };
    if inner.is_empty() {
        return Err(
            Diagnostic::error("bad-ignore-pattern", span, "`!` without a pattern")
                .with_help("name what is not to be ignored: `!keep.txt`"),
        );
    }
    let clean = clean(inner);
    let clean = match clean.strip_prefix('/') {
        Some("") if negated => {
            let message = "a `!` pattern for all of the context";
            return Err(Diagnostic::error("bad-ignore-pattern", span, message)
                .with_help("to take back everything write `!**`"));
        }
        Some("") | None => &clean,
        Some(rest) => rest,
    };
    let matcher = Matcher::new(clean).map_err(|_| {
        Diagnostic::error("bad-ignore-pattern", span, format!("bad pattern `{inner}`")).with_help(
            "`[` needs its `]` and something between, `a-z` its ends in order; a backslash needs a \
             character behind it",
        )
    })?;
    Ok(Rule {
        pattern: pattern.to_owned(),
        line,
        span,
        negated,
        matcher,
    })
}

/// The shortest path with the same meaning, by its text alone: no `.`, no `//`, no `x/..`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests;
