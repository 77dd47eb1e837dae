//! Starting other programs, cargo above all, in the root of the workspace.
//!
//! Cargo tells a program that it runs about itself in the environment. A cargo started below would
//! take these variables for a change and build some dependencies anew, so they are taken out here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> Result<PathBuf> {
    // What cargo says now, else what it said then: the checkout may have been moved meanwhile.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = here.parent().ok_or("xtask has no folder above it")?;
    Ok(root.to_path_buf())
}

/// The cargo that started this program, with a clean environment.
pub(crate) fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(said_by_cargo) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether cargo sets this variable for the programs that it runs, rather than a person for cargo.
fn said_by_cargo(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO_MANIFEST_DIR"
                | "CARGO_MANIFEST_PATH"
                | "CARGO_CRATE_NAME"
                | "CARGO_BIN_NAME"
                | "CARGO_PRIMARY_PACKAGE"
                | "OUT_DIR"
        )
}

/// Runs a command to its end and gives what it wrote to stdout; its stderr goes to ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("failed to start {}: {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", shown(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command whose output a person watches; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .map_err(|error| format!("failed to start {}: {error}", shown(command)))?;
    Ok(status.success())
}

/// git in the root of the workspace.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.current_dir(root).args(arguments);
    output(&mut command)
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(|a| a.to_string_lossy()));
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_still_steer_cargo() {
        assert!(said_by_cargo("CARGO_MANIFEST_DIR"));
        assert!(said_by_cargo("CARGO_PKG_VERSION"));
        assert!(!said_by_cargo("CARGO_TARGET_DIR"));
        assert!(!said_by_cargo("CARGO_HOME"));
        assert!(!said_by_cargo("CARGO_TERM_COLOR"));
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["doc", "--no-deps"]);
        assert_eq!(shown(&command), "`cargo doc --no-deps`");
    }
}
