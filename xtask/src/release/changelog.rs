//! What `## [Unreleased]` of a CHANGELOG (Keep a Changelog 1.1.0) says about the next version.
//!
//! | section | change |
//! |---|---|
//! | an entry that begins with `**breaking**`, in any section | breaking |
//! | Removed | breaking |
//! | Added, Deprecated | adding |
//! | Changed, Fixed, Security | fixing |
//!
//! The largest wins. A section without entries says nothing.

use super::version::Change;

/// The largest change among the unreleased entries; `None` where there are none.
pub(super) fn unreleased(text: &str) -> Option<Change> {
    let mut section = "";
    let mut largest = None;
    let lines = text
        .lines()
        .skip_while(|l| l.trim() != "## [Unreleased]")
        .skip(1);
    for line in lines.take_while(|l| !l.starts_with("## ")) {
        if let Some(name) = line.strip_prefix("### ") {
            section = name.trim();
        } else if let Some(entry) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
            largest = largest.max(Some(change(section, entry)));
        }
    }
    largest
}

fn change(section: &str, entry: &str) -> Change {
    if entry.trim_start().to_lowercase().starts_with("**breaking") {
        return Change::Breaking;
    }
    match section {
        "Removed" => Change::Breaking,
        "Added" | "Deprecated" => Change::Adding,
        _ => Change::Fixing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_marks() {
        let table = [
            ("", None),
            ("### Added\n", None),
            ("### Fixed\n- a panic\n", Some(Change::Fixing)),
            ("### Changed\n- a message\n", Some(Change::Fixing)),
            (
                "### Changed\n- **Breaking:** `f` takes a path\n",
                Some(Change::Breaking),
            ),
            (
                "### Fixed\n- a panic\n### Added\n* `g`\n",
                Some(Change::Adding),
            ),
            (
                "### Added\n- `g`\n### Removed\n- `f`\n",
                Some(Change::Breaking),
            ),
            (
                "### Fixed\n- something **breaking** off\n",
                Some(Change::Fixing),
            ),
        ];
        for (entries, expected) in table {
            let text = format!(
                "# Changelog\n\n## [Unreleased]\n\n{entries}\n## [0.1.0] - 2026-01-01\n\n### Removed\n- all\n"
            );
            assert_eq!(unreleased(&text), expected, "{entries}");
        }
        assert_eq!(
            unreleased("# Changelog\n\n## [0.1.0]\n### Added\n- a\n"),
            None
        );
    }
}
