//! The plan of a release, as a function of what is known about the crates.
//!
//! - A crate without a tag is released for the first time, with the version of its manifest.
//! - A changed crate moves as its changelog says. One with an empty changelog is a problem.
//! - When a crate breaks, those who depend on it follow: their manifests must ask for the new version.
//!   Its types may show in what they offer, so following breaks as well, and goes on upwards.
//!   Dev-dependencies ship nothing and pull nobody.
//! - A manifest that is ahead of all that keeps its version: somebody has decided.
//! - A crate is published after all that it depends on, dev-dependencies included, for cargo looks
//!   these up too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::version::{Change, Version};

/// What is known about a crate.
#[derive(Debug, Clone)]
pub(super) struct Crate {
    pub(super) name: String,
    /// The version that its Cargo.toml has.
    pub(super) manifest: Version,
    /// The version of its last tag.
    pub(super) released: Option<Version>,
    /// Whether something that it ships differs from that tag.
    pub(super) changed: bool,
    /// What its changelog says since.
    pub(super) unreleased: Option<Change>,
    /// What it depends on, and whether only its tests do. Strangers are passed over.
    pub(super) dependencies: BTreeSet<(String, bool)>,
}

/// What a release would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Plan {
    /// In the order in which they would be published.
    pub(super) release: Vec<Step>,
    pub(super) unchanged: Vec<String>,
    /// What has to be mended before.
    pub(super) problems: Vec<String>,
}

/// One crate of a release.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    #[serde(rename = "crate")]
    name: String,
    /// The version that users have.
    from: Option<String>,
    to: String,
    why: String,
    /// The crates of this release that are published before it because it depends on them.
    after: Vec<String>,
}

/// What a crate moves by, and why.
#[derive(Debug, Clone)]
struct Move {
    change: Change,
    why: String,
}

impl Plan {
    /// # Errors
    /// Names the crates that depend on each other in a circle.
    pub(super) fn of(crates: &[Crate]) -> Result<Plan, String> {
        let order = order(crates)?;
        let mut moves: BTreeMap<&str, Move> = BTreeMap::new();
        let mut plan = Plan {
            release: vec![],
            unchanged: vec![],
            problems: vec![],
        };
        for it in order {
            let broken = it.ships().filter(|d| {
                let sibling = crates.iter().find(|c| c.name == **d);
                sibling.is_some_and(|s| s.breaks(moves.get(s.name.as_str())))
            });
            let broken: Vec<&str> = broken.collect();
            if it.released.is_some() && it.changed && it.unreleased.is_none() {
                plan.problems.push(format!(
                    "{} changed, and its CHANGELOG.md says nothing under Unreleased",
                    it.name
                ));
            }
            match it.moved(&broken) {
                None => plan.unchanged.push(it.name.clone()),
                Some(by) => {
                    let before = it
                        .dependencies
                        .iter()
                        .map(|(d, _)| d)
                        .filter(|d| moves.contains_key(d.as_str()));
                    let after: BTreeSet<String> = before.cloned().collect();
                    plan.release.push(Step {
                        name: it.name.clone(),
                        from: it.released.map(|v| v.to_string()),
                        to: it.next(&by).to_string(),
                        why: by.why.clone(),
                        after: after.into_iter().collect(),
                    });
                    moves.insert(&it.name, by);
                }
            }
        }
        Ok(plan)
    }
}

impl Crate {
    /// The names of what ends up in it.
    fn ships(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|(_, dev)| !dev)
            .map(|(name, _)| name.as_str())
    }

    /// Whether it is released and by what, when `broken` are those of its dependencies that break.
    fn moved(&self, broken: &[&str]) -> Option<Move> {
        if self.released.is_none() {
            return Some(Move {
                change: Change::Fixing,
                why: "first release".into(),
            });
        }
        let own = self
            .changed
            .then(|| self.unreleased.unwrap_or(Change::Fixing));
        let follows = || format!("follows {}", broken.join(", "));
        match (own, broken.is_empty()) {
            (None, true) => None,
            (None, false) => Some(Move {
                change: Change::Breaking,
                why: follows(),
            }),
            (Some(Change::Breaking), _) | (Some(_), true) => {
                let change = own?;
                let why = match change {
                    Change::Fixing => "fixes",
                    Change::Adding => "adds",
                    Change::Breaking => "breaks",
                };
                Some(Move {
                    change,
                    why: why.into(),
                })
            }
            (Some(_), false) => Some(Move {
                change: Change::Breaking,
                why: format!("changed, and {}", follows()),
            }),
        }
    }

    /// Its version after a move; that of the manifest where it is ahead.
    fn next(&self, by: &Move) -> Version {
        match self.released {
            None => self.manifest,
            Some(released) => released.after(by.change).max(self.manifest),
        }
    }

    /// Whether those who use it cannot take what the move makes of it.
    fn breaks(&self, by: Option<&Move>) -> bool {
        let (Some(released), Some(by)) = (self.released, by) else {
            return false;
        };
        !released.accepts(self.next(by))
    }
}

/// The crates, each after all that it depends on; by name where that leaves a choice.
fn order(crates: &[Crate]) -> Result<Vec<&Crate>, String> {
    let mut left: BTreeMap<&str, &Crate> = crates.iter().map(|c| (c.name.as_str(), c)).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let waits = |c: &Crate| {
            c.dependencies
                .iter()
                .any(|(d, _)| left.contains_key(d.as_str()))
        };
        let Some(next) = left.values().copied().find(|c| !waits(c)) else {
            let names: Vec<_> = left.keys().copied().collect();
            return Err(format!(
                "these depend on each other in a circle: {}",
                names.join(", ")
            ));
        };
        left.remove(next.name.as_str());
        order.push(next);
    }
    Ok(order)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.release.is_empty() {
            writeln!(f, "nothing to release")?;
        } else {
            writeln!(f, "publish in this order:")?;
        }
        for (at, step) in self.release.iter().enumerate() {
            let from = step.from.as_deref().unwrap_or("-");
            writeln!(
                f,
                "{:>4}. {:<16} {from:>8} -> {:<8} {}",
                at + 1,
                step.name,
                step.to,
                step.why
            )?;
        }
        if !self.unchanged.is_empty() {
            writeln!(f, "unchanged: {}", self.unchanged.join(", "))?;
        }
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
