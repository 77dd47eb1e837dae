//! What every shipped crate carries: README, CHANGELOG, an example, one test binary.

use std::path::Path;

use super::Finding;
use crate::workspace::{Package, Workspace};

/// How many Cargo features a crate may have, `default` not counted.
const FEATURES: usize = 3;

pub(super) fn findings(workspace: &Workspace) -> Vec<Finding> {
    let root = &workspace.workspace_root;
    let shipped = workspace.members().into_iter().filter(|p| p.published());
    shipped.flat_map(|package| papers(root, package)).collect()
}

fn papers(root: &Path, package: &Package) -> Vec<Finding> {
    let folder = package.folder(root);
    let read =
        |name: &str| std::fs::read_to_string(root.join(folder).join(name)).unwrap_or_default();
    let mut findings = Vec::new();
    let mut found = |rule, message: &str| {
        let at = folder.display().to_string();
        findings.push(Finding {
            rule,
            at,
            size: None,
            message: message.to_owned(),
        });
    };
    let library = package.has_library();
    if let Some(why) = readme(&read("README.md"), library) {
        found("readme", why);
    }
    if library && !read("src/lib.rs").contains("include_str!(\"../README.md\")") {
        found(
            "readme",
            "src/lib.rs does not take README.md as its docs, so its example is never compiled",
        );
    }
    if !read("CHANGELOG.md")
        .lines()
        .any(|l| l.trim() == "## [Unreleased]")
    {
        found("changelog", "CHANGELOG.md has no `## [Unreleased]`");
    }
    if library && package.targets_of("example").next().is_none() {
        found(
            "example",
            "examples/ has no program that uses the crate as a stranger would",
        );
    }
    if package.targets_of("test").ne(["it"]) {
        found(
            "test-binary",
            "its tests are not one binary `it` at tests/it/main.rs",
        );
    }
    if package.features.keys().filter(|f| *f != "default").count() > FEATURES {
        found(
            "features",
            "more than three features: nobody tests all of their combinations",
        );
    }
    findings
}

/// What is wrong with a README, if anything. That of a library has Rust that the docs compile.
fn readme(text: &str, library: bool) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("there is no README.md");
    }
    let fences = text
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("```"));
    let mut openings = fences.step_by(2).map(str::trim);
    let compiled = |info: &str| {
        info.split([',', ' ']).all(|w| {
            matches!(w, "" | "rust" | "no_run" | "should_panic") || w.starts_with("edition")
        })
    };
    match library {
        true if !openings.any(compiled) => Some("README.md has no example in Rust that compiles"),
        false if openings.next().is_none() => Some("README.md has no example"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_needs_an_example_that_compiles() {
        let table = [
            ("", true, false),
            ("# kiln-x\n", true, false),
            ("# kiln-x\n```rust\nfn f() {}\n```\n", true, true),
            ("# kiln-x\n```\nfn f() {}\n```\n", true, true),
            ("# kiln-x\n```rust,no_run\nfn f() {}\n```\n", true, true),
            ("# kiln-x\n```text\nnothing\n```\n", true, false),
            (
                "# kiln-x\n```text\nnothing\n```\n```rust,ignore\nfn f() {}\n```\n",
                true,
                false,
            ),
            ("# kiln\n```console\n$ kiln build .\n```\n", false, true),
            ("# kiln\n", false, false),
        ];
        for (text, library, good) in table {
            assert_eq!(readme(text, library).is_none(), good, "{text}");
        }
    }
}
