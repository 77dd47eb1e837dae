//! Limits on files, functions and structs, and the header of a module.

use std::path::Path;

use super::scan::Source;
use super::{Finding, is_test};

/// Lines of a file, its tests not counted.
const FILE: usize = 400;
/// Lines of a function, from its name to its closing brace.
const FUNCTION: usize = 60;
/// Fields of a struct.
const FIELDS: usize = 12;

pub(super) fn findings(path: &Path, text: &str) -> Vec<Finding> {
    if is_test(path) {
        return Vec::new();
    }
    let source = Source::read(text);
    let at = path.display().to_string();
    let mut findings = Vec::new();
    let mut found = |rule, at: String, size, message| {
        findings.push(Finding {
            rule,
            at,
            size,
            message,
        });
    };
    if !source.has_header {
        found(
            "header",
            at.clone(),
            None,
            "does not begin with `//!`: what it is for and what it refuses".into(),
        );
    }
    let lines = source.lines_without_tests();
    if lines > FILE {
        let message = format!(
            "{lines} lines without tests (at most {FILE}): look for the second subject in it"
        );
        found("file-length", at.clone(), Some(lines), message);
    }
    for function in source.functions.iter().filter(|f| f.size > FUNCTION) {
        let message = format!(
            "line {}: {} lines (at most {FUNCTION})",
            function.line, function.size
        );
        found(
            "function-length",
            format!("{at}::{}", function.name),
            Some(function.size),
            message,
        );
    }
    for item in source.structs.iter().filter(|s| s.size > FIELDS) {
        let message = format!(
            "line {}: {} fields (at most {FIELDS}): it is several structs",
            item.line, item.size
        );
        found(
            "struct-fields",
            format!("{at}::{}", item.name),
            Some(item.size),
            message,
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(&'static str, String, Option<usize>)> {
        findings(Path::new(path), text)
            .into_iter()
            .map(|f| (f.rule, f.at, f.size))
            .collect()
    }

    fn function(lines: usize) -> String {
        format!(
            "//! A module.\nfn long() {{\n{}}}\n",
            "    step();\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_too_long_function_is_caught() {
        assert_eq!(found("src/x.rs", &function(60)), []);
        assert_eq!(
            found("src/x.rs", &function(61)),
            [("function-length", "src/x.rs::long".to_owned(), Some(61))]
        );
        assert_eq!(found("tests/it/x.rs", &function(61)), []);
    }

    #[test]
    fn a_too_long_file_is_caught_and_its_tests_do_not_count() {
        let code =
            |lines: usize| format!("//! A module.\n{}", "const A: u8 = 1;\n".repeat(lines - 1));
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// a test\n".repeat(300)
        );
        assert_eq!(found("src/x.rs", &(code(400) + &tests)), []);
        assert_eq!(
            found("src/x.rs", &(code(401) + &tests)),
            [("file-length", "src/x.rs".to_owned(), Some(401))]
        );
    }

    #[test]
    fn a_struct_with_too_many_fields_is_caught() {
        let text = |n: usize| {
            let fields: String = (0..n)
                .map(|i| format!("    f{i}: Option<(u8, u8)>,\n"))
                .collect();
            format!("//! A module.\nstruct Bag {{\n{fields}}}\n")
        };
        assert_eq!(found("src/x.rs", &text(12)), []);
        assert_eq!(
            found("src/x.rs", &text(13)),
            [("struct-fields", "src/x.rs::Bag".to_owned(), Some(13))]
        );
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        assert_eq!(
            found("src/x.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            []
        );
        assert_eq!(
            found("src/x.rs", "fn f() {}\n"),
            [("header", "src/x.rs".to_owned(), None)]
        );
    }
}
