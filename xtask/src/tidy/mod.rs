//! `cargo xtask tidy`: limits on the tails (files, functions, structs), and what every crate carries.
//!
//! An exception stands in `xtask/tidy.toml` with a reason and a size. One that nobody needs any more
//! is an error, so that the list stays short.

mod crates;
mod exceptions;
pub(crate) mod scan;
mod sizes;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::ci::purity;
use crate::workspace::Workspace;
use crate::{Result, process};
use exceptions::Exceptions;

/// Something that breaks a rule of tidiness.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// The rule, as exceptions name it.
    rule: &'static str,
    /// A path from the root, with `::name` where it is about a function or a struct.
    at: String,
    /// How large it is, where the rule is a limit.
    size: Option<usize>,
    message: String,
}

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) failures: Vec<String>,
    /// How many source files were read.
    pub(crate) files: usize,
}

/// `cargo xtask tidy [--write]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let root = process::root()?;
    match arguments {
        [] => {}
        [flag] if flag == "--write" => {
            for (path, text) in purity::files() {
                std::fs::write(root.join(&path), text)
                    .map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        _ => return Err("usage: cargo xtask tidy [--write]".into()),
    }
    let mut checked = check(&Workspace::read()?)?;
    checked.failures.extend(purity::stale(&root));
    for failure in &checked.failures {
        println!("{failure}");
    }
    if checked.failures.is_empty() {
        println!("{} files are tidy", checked.files);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} things to tidy", checked.failures.len());
    Ok(ExitCode::FAILURE)
}

/// Reads every source file and every crate's papers.
pub(crate) fn check(workspace: &Workspace) -> Result<Checked> {
    let root = &workspace.workspace_root;
    let sources = files(root, "rs")?;
    let mut findings = crates::findings(workspace);
    for path in &sources {
        let text = std::fs::read_to_string(root.join(path))?;
        findings.extend(words::findings(path, &text));
        findings.extend(sizes::findings(path, &text));
    }
    for path in files(root, "md")? {
        findings.extend(words::findings(
            &path,
            &std::fs::read_to_string(root.join(&path))?,
        ));
    }
    let exceptions = Exceptions::read(&root.join("xtask/tidy.toml"))?;
    Ok(Checked {
        failures: exceptions.apply(findings),
        files: sources.len(),
    })
}

/// The files with an ending that git knows or would add, as paths from the root.
pub(crate) fn files(root: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let pattern = format!("*.{ending}");
    let listed = process::git(
        root,
        &[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            &pattern,
        ],
    )?;
    let mut files: Vec<PathBuf> = listed
        .split('\0')
        .filter(|p| !p.is_empty())
        .map(PathBuf::from)
        .collect();
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Whether all that a file holds is tests: it is named so, or lies in a folder that is.
pub(crate) fn is_test(path: &Path) -> bool {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    // The package `tests` has its support in `src`, which is code like any other.
    let support = path.starts_with("tests/src");
    !support
        && (folders.into_iter().any(|c| {
            matches!(
                c.as_os_str().to_str(),
                Some("tests" | "benches" | "fuzz_targets")
            )
        }) || stem == "tests"
            || stem.ends_with("_tests"))
}

#[cfg(test)]
mod path_tests {
    use super::*;

    #[test]
    fn tests_are_known_by_their_names() {
        for path in [
            "crates/x/src/tests.rs",
            "crates/x/tests/it/main.rs",
            "crates/x/src/tests/a.rs",
            "tests/it/x.rs",
        ] {
            assert!(is_test(Path::new(path)), "{path}");
        }
        for path in [
            "crates/x/src/lib.rs",
            "tests/src/lib.rs",
            "crates/x/examples/a.rs",
        ] {
            assert!(!is_test(Path::new(path)), "{path}");
        }
    }
}
