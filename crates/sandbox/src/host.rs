//! What the host offers for running processes in roots, found out by trying, and what mends what it
//! lacks. It changes nothing but the scratch directory that it is given, and judges no file system
//! but that.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::UserNamespace;

pub use crate::foreign::runs;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there and works.
    Ok,
    /// It is not there.
    Lacking,
    /// It is there and does not work.
    Broken,
}

/// One thing that the host offers or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// A short name, the same on every host: `kernel`, `user-namespaces`, `overlay`, …
    pub name: String,
    /// How it is.
    pub state: State,
    /// Whether no process can be run in an overlay without it.
    pub needed: bool,
    /// What was found, as a fragment of a sentence.
    pub found: String,
    /// The command that mends it, or what else to do.
    pub remedy: Option<String>,
}

impl Finding {
    pub(crate) fn new(name: &str, state: State, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            state,
            needed: false,
            found: found.into(),
            remedy: None,
        }
    }

    pub(crate) fn needed(self) -> Self {
        Self {
            needed: true,
            ..self
        }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// Whether processes can be run in overlays on this host.
pub fn can_run(findings: &[Finding]) -> bool {
    let well = |one: &Finding| one.state == State::Ok || !one.needed;
    findings.iter().all(well)
}

/// Looks at the host as the user of this program, who runs processes in `namespace`, or in none as
/// root ([`UserNamespace::usual`]). In order: `kernel`, `user-namespaces`, `ids`, `overlay`, `proc`,
/// `cgroups`, `seccomp`, `pasta`, `binfmt`.
///
/// `scratch` is an existing directory on the file system on which overlays shall lie; in it something
/// is made, and removed again. It starts children by doors, so the program has to call
/// [`entry`](crate::entry).
#[cfg(target_os = "linux")]
pub fn probe(scratch: &Path, namespace: Option<&UserNamespace>) -> Vec<Finding> {
    crate::linux::probe(scratch, namespace)
}

/// Elsewhere than on Linux nothing can be run.
#[cfg(not(target_os = "linux"))]
pub fn probe(_: &Path, _: Option<&UserNamespace>) -> Vec<Finding> {
    let system = std::env::consts::OS;
    let found = format!("{system}: running a process in a root needs Linux");
    let finding = Finding::new("kernel", State::Lacking, found).needed();
    vec![finding.remedy("run it on Linux, or in a virtual machine with Linux")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_counts() {
        let ok = Finding::new("kernel", State::Ok, "").needed();
        let lacking = Finding::new("pasta", State::Lacking, "not installed").remedy("apt-get");
        assert!(can_run(&[ok.clone(), lacking]));
        let broken = Finding::new("overlay", State::Broken, "").needed();
        assert!(!can_run(&[ok, broken]));
    }
}
