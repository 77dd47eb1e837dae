//! `cargo xtask tidy` as a rule.

use crate::Result;
use crate::tidy;
use crate::workspace::Workspace;

use super::Report;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let hint = "mend it; an exception in xtask/tidy.toml needs a reason that convinces";
    let checked = tidy::check(workspace)?;
    Ok(Report::of(
        checked.failures,
        hint,
        format!("{} files", checked.files),
    ))
}
