//! The `clippy.toml` of the root and of the pure crates, written from here.
//!
//! Clippy reads the nearest `clippy.toml` and merges nothing, so that of a pure crate repeats the
//! root's settings before its list of calls that touch the world. Clippy itself finds the calls; what
//! is checked here is that the lists are current and that nobody lets himself out of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::house::PURE;
use crate::tidy::scan::Source;
use crate::workspace::Workspace;
use crate::{Result, tidy};

use super::Report;

/// What holds for every crate.
const SETTINGS: &str = "\
# Written by `cargo xtask tidy --write` from xtask/src/ci/purity.rs.
allow-unwrap-in-tests = true
allow-expect-in-tests = true
allow-print-in-tests = true
allow-dbg-in-tests = true
";

/// Calls that ask the machine, by what a pure crate should do instead.
const METHODS: &[(&str, &[&str])] = &[
    (
        "take the content as a parameter: this crate reads and writes no files",
        &[
            "std::fs::canonicalize",
            "std::fs::copy",
            "std::fs::create_dir",
            "std::fs::create_dir_all",
            "std::fs::exists",
            "std::fs::hard_link",
            "std::fs::metadata",
            "std::fs::read",
            "std::fs::read_dir",
            "std::fs::read_link",
            "std::fs::read_to_string",
            "std::fs::remove_dir",
            "std::fs::remove_dir_all",
            "std::fs::remove_file",
            "std::fs::rename",
            "std::fs::set_permissions",
            "std::fs::symlink_metadata",
            "std::fs::write",
            "std::path::Path::canonicalize",
            "std::path::Path::exists",
            "std::path::Path::is_dir",
            "std::path::Path::is_file",
            "std::path::Path::is_symlink",
            "std::path::Path::metadata",
            "std::path::Path::read_dir",
            "std::path::Path::read_link",
            "std::path::Path::symlink_metadata",
            "std::path::Path::try_exists",
            "std::path::absolute",
        ],
    ),
    (
        "take what is read as a parameter: this crate does not touch the terminal",
        &["std::io::stdin", "std::io::stdout", "std::io::stderr"],
    ),
    (
        "take the value as a parameter: this crate does not look at its environment",
        &[
            "std::env::args",
            "std::env::args_os",
            "std::env::current_dir",
            "std::env::current_exe",
            "std::env::home_dir",
            "std::env::remove_var",
            "std::env::set_current_dir",
            "std::env::set_var",
            "std::env::temp_dir",
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
        ],
    ),
    (
        "return an error: this crate neither starts nor ends processes",
        &[
            "std::process::abort",
            "std::process::exit",
            "std::process::id",
        ],
    ),
    (
        "take the time as a parameter: this crate has no clock",
        &[
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::thread::sleep",
        ],
    ),
    (
        "take a stream as a parameter: this crate has no network",
        &["std::net::ToSocketAddrs::to_socket_addrs"],
    ),
];

/// Types whose only use is to reach the machine.
const TYPES: &[(&str, &[&str])] = &[
    (
        "take a reader or a writer as a parameter: this crate opens no files",
        &[
            "std::fs::DirBuilder",
            "std::fs::File",
            "std::fs::OpenOptions",
        ],
    ),
    (
        "take a stream as a parameter: this crate has no network",
        &[
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
        ],
    ),
    (
        "return an error: this crate starts no processes",
        &["std::process::Command"],
    ),
];

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let mut failures = stale(&workspace.workspace_root);
    for (name, impure) in PURE {
        let folder = Path::new("crates").join(name);
        for file in tidy::files(&workspace.workspace_root, "rs")? {
            let Ok(inside) = file.strip_prefix(&folder) else {
                continue;
            };
            if impure
                .iter()
                .any(|i| inside.to_string_lossy().starts_with(i))
            {
                continue;
            }
            let text = std::fs::read_to_string(workspace.workspace_root.join(&file))?;
            failures.extend(exempted(&file, inside, &text));
        }
    }
    let hint = "`cargo xtask tidy --write` writes clippy.toml; IO is a parameter of these crates";
    Ok(Report::of(
        failures,
        hint,
        format!(
            "{} crates, their calls are found by the rule clippy",
            PURE.len()
        ),
    ))
}

/// The files of which `files()` would write another content.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let current = |path: &PathBuf, text: &String| {
        std::fs::read_to_string(root.join(path)).is_ok_and(|found| found == *text)
    };
    let mut failures: Vec<String> = files()
        .iter()
        .filter(|(path, text)| !current(path, text))
        .map(|(path, _)| {
            format!(
                "{} is not what the house says: cargo xtask tidy --write",
                path.display()
            )
        })
        .collect();
    for (name, _) in crate::house::ARROWS
        .iter()
        .filter(|(n, _)| PURE.iter().all(|(p, _)| p != n))
    {
        let stray = Path::new("crates").join(name).join("clippy.toml");
        if root.join(&stray).exists() {
            failures.push(format!(
                "{} hides the root's; its crate is not a pure one",
                stray.display()
            ));
        }
    }
    failures
}

/// Every generated `clippy.toml`, with its path from the root.
pub(crate) fn files() -> Vec<(PathBuf, String)> {
    let mut files = vec![(PathBuf::from("clippy.toml"), SETTINGS.to_owned())];
    let text = format!(
        "{SETTINGS}\n{}\n{}",
        list("methods", METHODS),
        list("types", TYPES)
    );
    files.extend(PURE.iter().map(|(name, _)| {
        (
            Path::new("crates").join(name).join("clippy.toml"),
            text.clone(),
        )
    }));
    files
}

fn list(kind: &str, groups: &[(&str, &[&str])]) -> String {
    let mut text = format!("disallowed-{kind} = [\n");
    for (reason, paths) in groups {
        for path in *paths {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    {{ path = \"{path}\", reason = \"{reason}\" }},");
        }
    }
    text.push_str("]\n");
    text
}

/// Where a pure crate lets itself out of the lists, outside of its tests and examples.
fn exempted(path: &Path, inside: &Path, text: &str) -> Vec<String> {
    if !inside.starts_with("src") || tidy::is_test(inside) {
        return Vec::new();
    }
    let source = Source::read(text);
    let words = [
        "clippy::disallowed_methods",
        "clippy::disallowed_types",
        "clippy::style",
        "clippy::all",
    ];
    let lines = text.lines().enumerate().filter(|(at, line)| {
        words.iter().any(|w| line.contains(w)) && !source.is_test_line(at + 1)
    });
    lines
        .map(|(at, _)| {
            format!(
                "{}:{}: a pure crate lets itself out of its clippy.toml",
                path.display(),
                at + 1
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_files_are_toml_and_repeat_the_settings() {
        for (path, text) in files() {
            let table: toml::Table = toml::from_str(&text).expect("it is TOML");
            assert_eq!(
                table["allow-unwrap-in-tests"].as_bool(),
                Some(true),
                "{}",
                path.display()
            );
            let pure = path != Path::new("clippy.toml");
            assert_eq!(
                table.contains_key("disallowed-methods"),
                pure,
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn only_tests_may_let_themselves_out() {
        let text = "#![allow(clippy::disallowed_methods)]\n\
            fn f() {}\n\
            #[cfg(test)]\n\
            #[allow(clippy::disallowed_methods, reason = \"golden files\")]\n\
            mod tests {}\n";
        let found = |inside: &str| exempted(Path::new("x.rs"), Path::new(inside), text);
        assert_eq!(
            found("src/lib.rs"),
            ["x.rs:1: a pure crate lets itself out of its clippy.toml"]
        );
        assert_eq!(found("tests/it/main.rs"), [""; 0]);
        assert_eq!(found("examples/x.rs"), [""; 0]);
    }
}
