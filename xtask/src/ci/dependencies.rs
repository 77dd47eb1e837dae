//! What the house takes in from outside: how many packages, under which licences, from where.
//!
//! `deny.toml` has the lists. The licences, sources and duplicates are read from `cargo metadata`, so
//! nothing needs to be installed; where `cargo deny` is, it is asked as well.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::house::LOCK_BUDGET;
use crate::workspace::Workspace;
use crate::{Result, process};

use super::{Report, licence};

/// The only place that packages come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is read here; `cargo deny` reads the whole.
#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

#[derive(Debug, Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let root = &workspace.workspace_root;
    let deny: Deny = toml::from_str(&std::fs::read_to_string(root.join("deny.toml"))?)?;
    let count = workspace.packages().len();
    let mut failures = Vec::new();
    if count > LOCK_BUDGET {
        failures.push(format!(
            "Cargo.lock has {count} packages, the budget in xtask/src/house.rs is {LOCK_BUDGET}"
        ));
    }
    failures.extend(strangers(workspace, &deny.licenses.allow));
    failures.extend(duplicates(workspace, &deny.bans.skip));
    let mut note = format!("{count} packages of {LOCK_BUDGET}");
    let mut cargo = process::cargo(root);
    if is_installed() {
        cargo.args(["deny", "check", "bans", "licenses", "sources"]);
        if !process::succeeds(&mut cargo)? {
            failures.push(format!("{} failed", process::shown(&cargo)));
        }
    } else {
        note.push_str(", read without cargo deny");
    }
    Ok(Report::of(failures, "the lists are in deny.toml", note))
}

fn is_installed() -> bool {
    let mut deny = Command::new("cargo-deny");
    deny.arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    deny.status().is_ok_and(|status| status.success())
}

/// Packages under a licence or from a place that nobody agreed to.
fn strangers(workspace: &Workspace, allowed: &[String]) -> Vec<String> {
    let mut failures = Vec::new();
    for package in workspace.packages() {
        let Some(source) = &package.source else {
            continue;
        };
        let (name, version) = (&package.name, &package.version);
        if source != REGISTRY {
            failures.push(format!("`{name}` {version} comes from {source}"));
        }
        let Some(expression) = &package.license else {
            failures.push(format!("`{name}` {version} does not say its licence"));
            continue;
        };
        match licence::allows(allowed, expression) {
            Ok(true) => {}
            Ok(false) => failures.push(format!("`{name}` {version} is licensed as `{expression}`")),
            Err(why) => failures.push(format!(
                "`{name}` {version}: its licence cannot be read: {why}"
            )),
        }
    }
    failures
}

/// Packages of which there are several versions, and leave for it that nobody needs any more.
fn duplicates(workspace: &Workspace, skip: &[Skip]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in workspace.packages() {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    versions.retain(|_, v| v.len() > 1);
    let left = |name: &str| skip.iter().any(|s| s.name.split('@').next() == Some(name));
    let mut failures: Vec<String> = versions
        .iter()
        .filter(|(name, _)| !left(name))
        .map(|(name, v)| {
            let v: Vec<_> = v.iter().copied().collect();
            format!(
                "`{name}` is there as {}: take one, or say why not under `bans.skip`",
                v.join(" and ")
            )
        })
        .collect();
    for entry in skip {
        let name = entry.name.split('@').next().unwrap_or_default();
        if !versions.contains_key(name) {
            failures.push(format!(
                "`{name}` is there once: take it out of `bans.skip`"
            ));
        }
        if entry.reason.trim().is_empty() {
            failures.push(format!(
                "`{name}` stands under `bans.skip` without a reason"
            ));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn house() -> Workspace {
        let text = json!({"workspace_members": ["a"], "workspace_root": "/", "target_directory": "/", "packages": [
            {"id": "a", "name": "a"},
            {"id": "b1", "name": "b", "version": "1.0.0", "license": "MIT", "source": REGISTRY},
            {"id": "b2", "name": "b", "version": "2.0.0", "license": "GPL-3.0-only", "source": REGISTRY},
            {"id": "c", "name": "c", "version": "1.0.0", "source": "git+https://example.com/c"},
        ]});
        Workspace::parse(&text.to_string()).expect("the fixture is metadata")
    }

    #[test]
    fn licences_and_sources_are_asked_of_strangers_only() {
        assert_eq!(
            strangers(&house(), &["MIT".to_owned()]),
            [
                "`b` 2.0.0 is licensed as `GPL-3.0-only`",
                "`c` 1.0.0 comes from git+https://example.com/c",
                "`c` 1.0.0 does not say its licence",
            ]
        );
    }

    #[test]
    fn duplicates_need_leave_and_leave_needs_duplicates() {
        let skip = |name: &str| Skip {
            name: name.into(),
            reason: "two worlds meet".into(),
        };
        assert_eq!(
            duplicates(&house(), &[]),
            ["`b` is there as 1.0.0 and 2.0.0: take one, or say why not under `bans.skip`"]
        );
        assert_eq!(duplicates(&house(), &[skip("b@1.0.0")]), [""; 0]);
        assert_eq!(
            duplicates(&house(), &[skip("b"), skip("c")]),
            ["`c` is there once: take it out of `bans.skip`"]
        );
    }
}
