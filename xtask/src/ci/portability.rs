//! Whether the shipped crates compile for systems other than the one at hand.
//!
//! `cargo check` needs the target's standard library, and a C compiler where a dependency brings C
//! code. Where one is missing the target is reported as not run, with what to install.

use std::process::Command;

use crate::house::TARGETS;
use crate::workspace::Workspace;
use crate::{Result, process};

use super::{Report, zig};

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let mut report = Report::default();
    let mut checked = Vec::new();
    for target in TARGETS {
        if !has_standard_library(target) {
            let reason =
                format!("{target}: its standard library is missing: rustup target add {target}");
            report.not_run.push(reason);
            continue;
        }
        let compiler = match zig::compiler(target, &workspace.target_directory) {
            Ok(compiler) => compiler,
            Err(reason) => {
                report
                    .not_run
                    .push(format!("{target}: no C compiler: {reason}"));
                continue;
            }
        };
        let mut cargo = process::cargo(&workspace.workspace_root);
        cargo
            .args(["check", "--workspace", "--target", target])
            .envs(compiler);
        for package in workspace.members().iter().filter(|p| !p.published()) {
            cargo.args(["--exclude", &package.name]);
        }
        if process::succeeds(&mut cargo)? {
            checked.push(*target);
        } else {
            report
                .failures
                .push(format!("{} failed", process::shown(&cargo)));
        }
    }
    report.note = checked.join(", ");
    report.hint =
        "what only one system has stands behind `cfg`; others get a typed `unsupported` error";
    Ok(report)
}

/// Whether rustc knows the target's standard library, by whatever way it was installed.
fn has_standard_library(target: &str) -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    asked.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        output.status.success() && std::path::Path::new(folder.trim()).is_dir()
    })
}
