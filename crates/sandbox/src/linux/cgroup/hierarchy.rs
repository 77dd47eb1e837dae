//! Where control groups are on this machine, as the kernel tells: of either version.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind};

/// One hierarchy of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// What it controls; empty for the second version, where the top says it.
    pub(super) controllers: Vec<String>,
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// The group of this process, from the mount.
    pub(super) own: PathBuf,
}

/// The hierarchies that this process can see.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>, Error> {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map_err(|e| Error::new(ErrorKind::System, format!("read `{path}`")).because(e))
    };
    Ok(found(
        &read("/proc/self/cgroup")?,
        &read("/proc/self/mountinfo")?,
    ))
}

/// Of proc_pid_cgroup(5) and proc_pid_mountinfo(5).
pub(super) fn found(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(names), Some(own)) = (fields.next(), fields.next()) else {
            continue;
        };
        let controllers: Vec<String> = match names {
            "" => Vec::new(),
            names => names.split(',').map(str::to_owned).collect(),
        };
        let mut places = mounts.lines().filter_map(|line| place(line, &controllers));
        let Some((root, mount)) = places.next() else {
            continue;
        };
        let below = Path::new(own).strip_prefix(root).unwrap_or(Path::new(""));
        found.push(Hierarchy {
            controllers,
            mount: mount.into(),
            own: below.into(),
        });
    }
    found
}

/// What is mounted, and where, if the line is of the hierarchy with these controllers.
fn place<'l>(line: &'l str, controllers: &[String]) -> Option<(&'l str, &'l str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let kind = after.next()?;
    let options = after.nth(1)?;
    let first = controllers.first();
    let is = match kind {
        "cgroup2" => first.is_none(),
        "cgroup" => first.is_some_and(|name| options.split(',').any(|o| o == name)),
        _ => false,
    };
    is.then_some((root, mount))
}
