//! What `cargo metadata` says about this workspace, cut down to what the rules ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Result, process};

/// The workspace and everything that it depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
    #[serde(default)]
    resolve: Resolve,
}

/// One package, ours or a stranger's.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) license: Option<String>,
    #[serde(default)]
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) manifest_path: PathBuf,
    /// The registries that it may go to: none named means any, an empty list means nowhere.
    #[serde(default)]
    publish: Option<Vec<String>>,
}

/// A line under `[dependencies]`, `[build-dependencies]` or `[dev-dependencies]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package's own name, whatever it was renamed to.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: Option<String>,
}

/// A library, program, example or test of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
    pub(crate) name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Workspace> {
        let mut cargo = process::cargo(&process::root()?);
        let text = process::output(cargo.args(["metadata", "--format-version", "1"]))?;
        Workspace::parse(&text)
    }

    /// From the JSON that `cargo metadata --format-version 1` prints.
    pub(crate) fn parse(json: &str) -> Result<Workspace> {
        Ok(serde_json::from_str(json)?)
    }

    /// The packages of this workspace, by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<_> = self
            .packages
            .iter()
            .filter(|p| self.workspace_members.contains(&p.id))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Every package in the lock file, ours included.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// All packages that end up in what `package` builds, itself left out; no dev-dependencies.
    pub(crate) fn closure(&self, package: &Package) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|n| (n.id.as_str(), n))
            .collect();
        let mut seen = BTreeSet::new();
        let mut next = vec![package.id.as_str()];
        while let Some(id) = next.pop() {
            let Some(node) = nodes.get(id) else { continue };
            for dependency in &node.deps {
                let shipped = dependency
                    .dep_kinds
                    .iter()
                    .any(|k| k.kind.as_deref() != Some("dev"));
                if shipped && seen.insert(dependency.pkg.as_str()) {
                    next.push(&dependency.pkg);
                }
            }
        }
        self.packages
            .iter()
            .filter(|p| seen.contains(p.id.as_str()))
            .map(|p| p.name.as_str())
            .collect()
    }
}

impl Package {
    /// Its folder, relative to `root`.
    pub(crate) fn folder<'a>(&'a self, root: &Path) -> &'a Path {
        let folder = self.manifest_path.parent().unwrap_or(Path::new(""));
        folder.strip_prefix(root).unwrap_or(folder)
    }

    /// Its name inside the house: `image` for `kiln-image`.
    pub(crate) fn short(&self) -> &str {
        short(&self.name)
    }

    pub(crate) fn published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    pub(crate) fn has_library(&self) -> bool {
        self.targets_of("lib").next().is_some()
    }

    /// The names of its targets of a kind: `lib`, `bin`, `example`, `test`.
    pub(crate) fn targets_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.targets
            .iter()
            .filter(move |t| t.kind.iter().any(|k| k == kind))
            .map(|t| t.name.as_str())
    }
}

/// A package's name inside the house: `image` for `kiln-image`.
pub(crate) fn short(name: &str) -> &str {
    name.strip_prefix("kiln-").unwrap_or(name)
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Made-up metadata: packages, each with dependencies that may carry a kind (`dev:kiln-x`).

    use super::Workspace;
    use serde_json::json;

    /// A workspace of `members`; other names that they depend on become strangers.
    pub(crate) fn workspace(
        members: &[(&str, &[&str])],
        strangers: &[(&str, &[&str])],
    ) -> Workspace {
        let all = || members.iter().chain(strangers);
        let kinds = |d: &&str| match d.split_once(':') {
            Some((kind, name)) => (name.to_owned(), Some(kind.to_owned())),
            None => ((*d).to_owned(), None),
        };
        let packages: Vec<_> = all()
            .map(|(name, deps)| {
                let deps: Vec<_> = deps
                    .iter()
                    .map(kinds)
                    .map(|(name, kind)| json!({"name": name, "kind": kind}))
                    .collect();
                json!({"id": name, "name": name, "version": "0.1.0", "dependencies": deps,
                    "manifest_path": format!("/made-up/crates/{}/Cargo.toml", super::short(name))})
            })
            .collect();
        let nodes: Vec<_> = all()
            .map(|(name, deps)| {
                let deps: Vec<_> = deps
                    .iter()
                    .map(kinds)
                    .map(|(name, kind)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": name, "deps": deps})
            })
            .collect();
        let ids: Vec<_> = members.iter().map(|(name, _)| name).collect();
        let text = json!({"packages": packages, "workspace_members": ids, "resolve": {"nodes": nodes},
            "workspace_root": "/made-up", "target_directory": "/made-up/target"});
        Workspace::parse(&text.to_string()).expect("the fixture is metadata")
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::workspace;

    #[test]
    fn a_closure_follows_what_is_shipped() {
        let house = workspace(
            &[("kiln-a", &["x", "dev:z"]), ("kiln-b", &["kiln-a"])],
            &[("x", &["build:y"]), ("y", &[]), ("z", &[])],
        );
        let b = house.members()[1];
        assert_eq!(b.short(), "b");
        assert_eq!(
            house.closure(b).into_iter().collect::<Vec<_>>(),
            ["kiln-a", "x", "y"]
        );
    }
}
