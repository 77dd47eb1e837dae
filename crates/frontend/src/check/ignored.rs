//! Sources of COPY and ADD that the ignore file hides.

use kiln_parser::ignore::{Ignore, Rule};

/// The rule that hides everything that `path` names; none where a rule behind it takes something
/// back, or where `path` is no path.
pub(super) fn by<'i>(ignore: &'i Ignore, path: &str) -> Option<&'i Rule> {
    if path.contains("://") || path.starts_with("git@") {
        return None;
    }
    let clean = crate::path::join("/", path);
    let clean = clean.trim_matches('/');
    if clean.is_empty() {
        return everything(ignore);
    }
    let rule = ignore.decide(clean, false).filter(|rule| !rule.negated)?;
    let wild = clean.contains(['*', '?', '[']);
    let below = format!("{clean}/");
    let taken_back = ignore.rules().iter().filter(|r| r.negated).any(|negated| {
        let pattern = negated.pattern.trim_start_matches(['!', ' ', '/', '.']);
        wild || pattern.starts_with(['*', '?', '[']) || pattern.starts_with(&below)
    });
    (!taken_back).then_some(rule)
}

/// The rule that hides the whole context.
fn everything(ignore: &Ignore) -> Option<&Rule> {
    let mut last = ignore.rules().iter().rev().take_while(|rule| !rule.negated);
    last.find(|rule| matches!(rule.pattern.trim_matches('/'), "*" | "**" | "**/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_hidden_whole() {
        let text = "a\n*.log\n!keep.log\nsub/\n!sub/ok\n/lib\n";
        let (ignore, _) = Ignore::parse(text);
        let rows = [
            ("a", Some(1)),
            ("./a", Some(1)),
            ("/a/", Some(1)),
            ("../a", Some(1)),
            ("a/b", Some(1)),
            ("x.log", Some(2)),
            ("keep.log", None),
            ("*.log", None),
            ("sub", None),
            ("sub/no", Some(4)),
            ("sub/ok", None),
            ("lib/x", Some(6)),
            (".", None),
            ("/", None),
            ("https://example.com/a", None),
            ("b", None),
        ];
        for (path, want) in rows {
            assert_eq!(by(&ignore, path).map(|rule| rule.line), want, "{path}");
        }
    }
}
