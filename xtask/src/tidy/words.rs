//! Words that say that something is not finished.

use std::path::Path;

use super::Finding;

/// Taken apart, so that this file does not hold them.
const WORDS: &[(&str, &str)] = &[
    (concat!("to", "do!("), "what is not done is a typed error"),
    (
        concat!("unimple", "mented!("),
        "what is not done is a typed error",
    ),
    (concat!("FIX", "ME"), "mend it, or say what is the case"),
    (concat!("XX", "X"), "mend it, or say what is the case"),
    (
        concat!("db", "g!("),
        "a look at a value does not outlive the session",
    ),
    (
        concat!("#[ig", "nore"),
        "a test runs, or prints `not run: reason`",
    ),
];

pub(super) fn findings(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (word, instead) in WORDS.iter().filter(|(word, _)| has(line, word)) {
            findings.push(Finding {
                rule: "words",
                at: path.display().to_string(),
                size: None,
                message: format!("line {}: `{word}`: {instead}", at + 1),
            });
        }
    }
    findings
}

/// Whether `line` has `word`, and not as a part of a longer one.
fn has(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at]
            .chars()
            .next_back()
            .filter(|_| word.starts_with(is_letter));
        let after = line[at + word.len()..]
            .chars()
            .next()
            .filter(|_| word.ends_with(is_letter));
        !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_and_templates_are_not() {
        let count = |text: &str| findings(Path::new("x.rs"), text).len();
        assert_eq!(count(concat!("    to", "do!()")), 1);
        assert_eq!(count(concat!("// FIX", "ME later")), 1);
        assert_eq!(count(concat!("#[ig", "nore = \"slow\"]")), 1);
        assert_eq!(count(concat!("// XX", "X: later")), 1);
        assert_eq!(count(concat!("mktemp kiln.XX", "XXXX")), 0);
        assert_eq!(count("let todo = list();"), 0);
    }
}
