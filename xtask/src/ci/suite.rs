//! All tests of all crates, counted, and what they say that they could not run.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use crate::workspace::Workspace;
use crate::{Result, process};

use super::Report;
use super::tally::Reader;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let root = &workspace.workspace_root;
    let before = process::git(root, &["status", "--porcelain"])?;
    let log = workspace.target_directory.join("tests.log");
    let (reader, success) = run(workspace, &log)?;
    let mut failures = Vec::new();
    if !success {
        let log = log.display();
        failures.push(format!(
            "cargo test failed; all that the tests printed is in {log}"
        ));
    }
    if reader.tally.passed == 0 {
        failures.push("no test ran".into());
    }
    if reader.tally.failed > 0 && success {
        failures.push("tests failed in a binary that ended well".into());
    }
    if reader.silent() > 0 {
        let ignored = reader.silent();
        failures.push(format!(
            "{ignored} tests are ignored in silence; run them, or say `not run: reason`"
        ));
    }
    let after = process::git(root, &["status", "--porcelain"])?;
    let changed: Vec<_> = after
        .lines()
        .filter(|l| !before.lines().any(|b| b == *l))
        .collect();
    if !changed.is_empty() {
        failures.push(format!(
            "the tests changed the work tree:\n{}",
            changed.join("\n")
        ));
    }
    let hint = "see above for the tests that failed";
    let mut report = Report::of(failures, hint, reader.tally.to_string());
    report.not_run = reader.not_run;
    report.tally = Some(reader.tally);
    Ok(report)
}

/// Runs the tests, keeps all that they print in `log`, and shows what is worth a look.
fn run(workspace: &Workspace, log: &Path) -> Result<(Reader, bool)> {
    let mut kept = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let mut cargo = process::cargo(&workspace.workspace_root);
    // A test that could not do its work says so on its own output, which only this flag lets out.
    cargo.args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--",
        "--show-output",
    ]);
    let mut child = cargo.stdout(Stdio::piped()).spawn()?;
    let mut reader = Reader::default();
    let output = child.stdout.take().ok_or("cargo test has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(kept, "{line}")?;
        if reader.line(&line) {
            println!("{line}");
        }
    }
    Ok((reader, child.wait()?.success()))
}
