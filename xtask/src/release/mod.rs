//! `cargo xtask release plan`: what would be released now, as which versions, in which order.
//!
//! Nothing is published or written here. Every crate has a version of its own and tags of its own,
//! `kiln-x-v0.1.0`. A crate has changed when something that its archive holds differs from its last
//! tag; how far its version moves is read from `## [Unreleased]` of its CHANGELOG ([`changelog`]),
//! and who has to follow from the arrows between the crates ([`plan`]).

mod changelog;
mod plan;
mod version;

use std::process::ExitCode;

use crate::workspace::{Package, Workspace};
use crate::{Result, process};
use plan::{Crate, Plan};
use version::Version;

/// What of a crate's folder goes to its users. The changelog moves with the code, not alone.
const SHIPPED: &[&str] = &["src", "examples", "build.rs", "Cargo.toml", "README.md"];

const USAGE: &str = "usage: cargo xtask release plan [--format text|json]";

/// `cargo xtask release plan [--format json]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let json = match words[..] {
        ["plan"] | ["plan", "--format", "text"] | ["plan", "--format=text"] => false,
        ["plan", "--format", "json"] | ["plan", "--format=json"] => true,
        _ => return Err(USAGE.into()),
    };
    let workspace = Workspace::read()?;
    let tags = process::git(&workspace.workspace_root, &["tag", "--list"])?;
    let published = workspace.members().into_iter().filter(|p| p.published());
    let crates = published
        .map(|p| read(&workspace, p, &tags))
        .collect::<Result<Vec<_>>>()?;
    let plan = Plan::of(&crates)?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&plan)?),
        false => print!("{plan}"),
    }
    Ok(if plan.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the plan asks about a crate.
fn read(workspace: &Workspace, package: &Package, tags: &str) -> Result<Crate> {
    let root = &workspace.workspace_root;
    let folder = package.folder(root);
    let manifest = package
        .version
        .parse::<Version>()
        .map_err(|e| format!("{}: {e}", package.name))?;
    let released = last_release(&package.name, tags);
    let changed = match released {
        None => true,
        Some(version) => {
            let tag = format!("{}-v{version}", package.name);
            let paths: Vec<String> = SHIPPED
                .iter()
                .map(|s| folder.join(s).display().to_string())
                .collect();
            let mut arguments = vec!["diff", "--name-only", &tag, "--"];
            arguments.extend(paths.iter().map(String::as_str));
            !process::git(root, &arguments)?.is_empty()
        }
    };
    let path = root.join(folder).join("CHANGELOG.md");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let siblings = package
        .dependencies
        .iter()
        .filter(|d| d.name != package.name);
    Ok(Crate {
        name: package.name.clone(),
        manifest,
        released,
        changed,
        unreleased: changelog::unreleased(&text),
        dependencies: siblings
            .map(|d| (d.name.clone(), d.kind.as_deref() == Some("dev")))
            .collect(),
    })
}

/// The highest version among the tags of a crate.
fn last_release(name: &str, tags: &str) -> Option<Version> {
    let versions = tags
        .lines()
        .filter_map(|t| t.trim().strip_prefix(name)?.strip_prefix("-v"));
    versions.filter_map(|v| v.parse().ok()).max()
}

#[cfg(test)]
mod tag_tests {
    use super::*;

    #[test]
    fn the_last_release_is_the_highest_and_not_another_crates() {
        let tags = "kiln-image-v0.2.0\nkiln-image-v0.10.0\nkiln-image-extra-v3.0.0\nkiln-image-v1.0.0-rc.1\nv9.0.0\n";
        assert_eq!(
            last_release("kiln-image", tags)
                .map(|v| v.to_string())
                .as_deref(),
            Some("0.10.0")
        );
        assert_eq!(last_release("kiln-layer", tags), None);
    }
}
