//! Who may reach the network and the kernel: the table of doors against the dependencies.
//!
//! A sealed door is also checked by way of strangers: a crate must not get an async runtime because
//! some library of its choice brings one along.

use crate::Result;
use crate::house::{self, DOORS, Door};
use crate::workspace::{Package, Workspace};

use super::Report;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let hint = "the table is in xtask/src/house.rs; a new line there says its reason";
    Ok(Report::of(
        failures(workspace),
        hint,
        format!("{} doors", DOORS.len()),
    ))
}

fn failures(workspace: &Workspace) -> Vec<String> {
    let mut failures = Vec::new();
    // Who may know anything ships nothing, and may open any door.
    let asked = workspace
        .members()
        .into_iter()
        .filter(|p| house::known_to(p.short()).is_some());
    for package in asked {
        for door in DOORS
            .iter()
            .filter(|d| d.may.iter().all(|(name, _)| *name != package.short()))
        {
            failures.extend(opened(workspace, package, door));
        }
    }
    failures
}

/// Where `package` opens `door`.
fn opened(workspace: &Workspace, package: &Package, door: &Door) -> Vec<String> {
    let (name, what) = (package.short(), door.name);
    let opens = |n: &&str| door.packages.iter().any(|pattern| matches(pattern, n));
    let direct = package
        .dependencies
        .iter()
        .map(|d| d.name.as_str())
        .filter(opens);
    let mut found: Vec<String> = direct
        .map(|n| format!("`{name}` depends on `{n}`, a door ({what}) that it may not open"))
        .collect();
    if door.sealed && found.is_empty() {
        let behind = workspace.closure(package);
        let behind = behind.iter().copied().filter(opens);
        found.extend(behind.map(|n| {
            format!(
                "`{name}` gets `{n}` ({what}) by way of a dependency: cargo tree -p {} -i {n}",
                package.name
            )
        }));
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::workspace;

    #[test]
    fn a_forbidden_door_is_caught() {
        let house = workspace(
            &[("kiln-parser", &["libc"]), ("kiln-store", &["dev:tokio"])],
            &[],
        );
        assert_eq!(
            failures(&house),
            [
                "`parser` depends on `libc`, a door (kernel) that it may not open",
                "`store` depends on `tokio`, a door (network and async) that it may not open"
            ]
        );
    }

    #[test]
    fn a_sealed_door_is_caught_behind_a_stranger() {
        let house = workspace(
            &[("kiln-archive", &["friendly"])],
            &[
                ("friendly", &["helper"]),
                ("helper", &["hyper-util", "libc"]),
                ("hyper-util", &[]),
                ("libc", &[]),
            ],
        );
        let found = failures(&house);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("`archive` gets `hyper-util` (network and async) by way"),
            "{found:?}"
        );
    }

    #[test]
    fn whoever_the_table_names_may_open() {
        let house = workspace(
            &[
                ("kiln-registry", &["tokio", "oci-client"]),
                ("kiln-sandbox", &["libc", "rustix"]),
                ("xtask", &["tokio"]),
            ],
            &[],
        );
        assert_eq!(failures(&house), [""; 0]);
    }
}
