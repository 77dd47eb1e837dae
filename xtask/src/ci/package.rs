//! Every shipped crate is a product of its own: `cargo package` makes an archive of each.
//!
//! Each archive is built from what it holds, so a file that lies outside of its crate is found here.

use crate::workspace::Workspace;
use crate::{Result, process};

use super::Report;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let mut cargo = process::cargo(&workspace.workspace_root);
    cargo.args(["package", "--workspace", "--allow-dirty"]);
    let mut shipped = 0;
    for package in workspace.members() {
        if package.published() {
            shipped += 1;
        } else {
            cargo.args(["--exclude", &package.name]);
        }
    }
    let failures = match process::succeeds(&mut cargo)? {
        true => vec![],
        false => vec![format!("{} failed", process::shown(&cargo))],
    };
    Ok(Report::of(
        failures,
        "see above for what the archive lacks",
        format!("{shipped} crates"),
    ))
}
