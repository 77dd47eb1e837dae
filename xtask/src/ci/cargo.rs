//! The rules that are one cargo command each. Its output is on the screen already.
//!
//! None of them sets `RUSTFLAGS`: that would build every dependency once more for each rule.

use crate::workspace::Workspace;
use crate::{Result, process};

use super::Report;

pub(super) fn format(workspace: &Workspace) -> Result<Report> {
    run(
        workspace,
        &["fmt", "--all", "--check"],
        &[],
        "run `cargo fmt --all`",
    )
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Report> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    run(
        workspace,
        &arguments,
        &[],
        "see above; lints are chosen in Cargo.toml, calls in clippy.toml",
    )
}

pub(super) fn docs(workspace: &Workspace) -> Result<Report> {
    let arguments = ["doc", "--no-deps", "--workspace"];
    run(
        workspace,
        &arguments,
        &[("RUSTDOCFLAGS", "-D warnings")],
        "see above for the broken docs",
    )
}

fn run(
    workspace: &Workspace,
    arguments: &[&str],
    environment: &[(&str, &str)],
    hint: &'static str,
) -> Result<Report> {
    let mut cargo = process::cargo(&workspace.workspace_root);
    cargo.args(arguments).envs(environment.iter().copied());
    let failures = match process::succeeds(&mut cargo)? {
        true => vec![],
        false => vec![format!("{} failed", process::shown(&cargo))],
    };
    Ok(Report::of(failures, hint, ""))
}
