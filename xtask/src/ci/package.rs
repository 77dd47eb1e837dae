//! Every shipped crate is a product of its own: `cargo package` makes an archive of each, and what
//! the archives hold is compiled. A file that lies outside of its crate is found here.
//!
//! Cargo's own verification is not used: it keeps what it has once unpacked under a name and version,
//! so that in a second run a crate would be compiled against its siblings of the first.
//!
//! In an archive, siblings are asked for by version like strangers, and somebody else's package that
//! has the name of one of ours could be taken in its place: the lock files in the archives tell.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::workspace::{Package, Workspace};
use crate::{Result, process};

use super::Report;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let (ours, others): (Vec<_>, Vec<_>) =
        workspace.members().into_iter().partition(|p| p.published());
    let note = format!("{} crates", ours.len());
    let hint = "see above for what an archive lacks";
    let mut cargo = process::cargo(&workspace.workspace_root);
    cargo.args(["package", "--workspace", "--allow-dirty", "--no-verify"]);
    for package in others {
        cargo.args(["--exclude", &package.name]);
    }
    if !process::succeeds(&mut cargo)? {
        return Ok(Report::of(
            vec![format!("{} failed", process::shown(&cargo))],
            hint,
            note,
        ));
    }
    let folder = workspace.target_directory.join("package");
    let unpacked = unpack(workspace, &ours, &folder)?;
    let mut check = process::cargo(&unpacked);
    check
        .args(["check", "--workspace", "--target-dir"])
        .arg(&workspace.target_directory);
    let mut failures = Vec::new();
    if !process::succeeds(&mut check)? {
        failures.push(format!(
            "the archives in {} do not compile",
            folder.display()
        ));
    }
    let versions: Vec<_> = ours
        .iter()
        .map(|p| (p.name.as_str(), p.version.as_str()))
        .collect();
    for (name, version) in &versions {
        let lock = unpacked
            .join(format!("{name}-{version}"))
            .join("Cargo.lock");
        failures.extend(confused(name, &fs::read_to_string(lock)?, &versions)?);
    }
    Ok(Report::of(failures, hint, note))
}

/// Lays what the archives hold into a workspace of its own, in which siblings find each other.
fn unpack(workspace: &Workspace, ours: &[&Package], archives: &Path) -> Result<std::path::PathBuf> {
    let folder = archives.join("unpacked");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let manifest = fs::read_to_string(workspace.workspace_root.join("Cargo.toml"))?;
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n");
    text.push_str("[patch.crates-io]\n");
    for package in ours {
        let name = format!("{}-{}", package.name, package.version);
        // Archives carry one time for all files; with it cargo would not see that they have changed.
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(&folder)
            .arg("-xzmf")
            .arg(archives.join(format!("{name}.crate")));
        process::output(&mut tar)?;
        text.push_str(&format!("{} = {{ path = \"{name}\" }}\n", package.name));
    }
    text.push_str(&profiles(&manifest));
    fs::write(folder.join("Cargo.toml"), text)?;
    fs::copy(
        workspace.workspace_root.join("Cargo.lock"),
        folder.join("Cargo.lock"),
    )?;
    Ok(folder)
}

/// The profiles of a manifest, so that what is compiled with them elsewhere is not compiled anew.
fn profiles(manifest: &str) -> String {
    let mut inside = false;
    let mut text = String::from("\n");
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[profile.");
        }
        if inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The part of a Cargo.lock that is read here.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
}

/// Packages of other people that `name` would take in place of ours.
fn confused(name: &str, lock: &str, ours: &[(&str, &str)]) -> Result<Vec<String>> {
    let lock: Lock = toml::from_str(lock)?;
    let is_strange = |p: &&Locked| ours.iter().any(|(n, v)| *n == p.name && *v != p.version);
    let told = lock.package.iter().filter(is_strange).map(|p| {
        let (theirs, version) = (&p.name, &p.version);
        format!("`{name}` would take a stranger's `{theirs}` {version}: ask for ours exactly")
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_package_of_the_same_name_is_caught() {
        let lock = |version: &str| {
            format!(
                "version = 4\n[[package]]\nname = \"kiln-a\"\nversion = \"{version}\"\n\
                 [[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n"
            )
        };
        let found = |version| {
            confused("kiln-b", &lock(version), &[("kiln-a", "0.1.0")]).expect("a lock file")
        };
        assert_eq!(found("0.1.0"), [""; 0]);
        assert_eq!(
            found("0.1.1"),
            ["`kiln-b` would take a stranger's `kiln-a` 0.1.1: ask for ours exactly"]
        );
    }

    #[test]
    fn profiles_are_taken_and_nothing_else() {
        let manifest = "[workspace]\nmembers = []\n[profile.dev]\ndebug = false\n\n[profile.dev.package.\"*\"]\nopt-level = 2\n[other]\nx = 1\n";
        assert_eq!(
            profiles(manifest),
            "\n[profile.dev]\ndebug = false\n\n[profile.dev.package.\"*\"]\nopt-level = 2\n"
        );
    }
}
