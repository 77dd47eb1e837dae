//! A control group for one process and all that it starts: made where the caller may make one, left
//! by nobody, and removed when all of them have ended. Knows both versions, also side by side.
//!
//! The second version forbids bounds where processes are beside groups (cgroups(7), "no internal
//! processes"): so the group lies beside the caller's own, below the nearest one above that is the
//! caller's to change. What a killed caller left behind is removed by whoever comes next.

mod control;
mod hierarchy;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use self::control::{enable, inherit, set};
use self::hierarchy::{Hierarchy, hierarchies};
use crate::{Cpu, Error, ErrorKind, Limits, Memory};

/// How the names of kiln's groups begin.
const PREFIX: &str = "kiln-";

/// The groups of one process: one in each hierarchy that is needed.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes it; `None` where no limit needs one.
    pub(super) fn make(limits: &Limits) -> Result<Option<Self>, Error> {
        if !limits.need_cgroup() {
            return Ok(None);
        }
        let hierarchies = hierarchies()?;
        let mut made = Self::default();
        let mut unified = Vec::new();
        for controller in needed(limits) {
            let first = |h: &&Hierarchy| h.controllers.iter().any(|c| c == controller);
            match hierarchies.iter().find(first) {
                Some(hierarchy) => made.first(hierarchy, limits)?,
                None => unified.push(controller),
            }
        }
        let second = hierarchies.iter().find(|h| h.controllers.is_empty());
        match second {
            Some(second) if !unified.is_empty() || made.directories.is_empty() => {
                made.second(second, &unified, limits)?;
            }
            None if !unified.is_empty() => {
                let what = format!(
                    "limit a step: no control group has `{}`",
                    unified.join("`, `")
                );
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            _ => {}
        }
        Ok(Some(made))
    }

    /// Brings the calling process in.
    pub(super) fn enter(&self) -> Result<(), Error> {
        for directory in &self.directories {
            set(directory, "cgroup.procs", "0")
                .map_err(|e| refused("enter the control group", directory, e))?;
        }
        Ok(())
    }

    /// Whether something in it was killed because there was no more memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let killed = |directory: &PathBuf| {
            ["memory.events", "memory.oom_control"].iter().any(|name| {
                let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
                let mut counts = text.lines().filter_map(|l| l.strip_prefix("oom_kill "));
                counts.any(|count| count.trim() != "0")
            })
        };
        self.directories.iter().any(killed)
    }

    /// A group of the first version.
    fn first(&mut self, hierarchy: &Hierarchy, limits: &Limits) -> Result<(), Error> {
        let parent = match &limits.cgroup_parent {
            Some(parent) => hierarchy.mount.join(path_of(parent)?),
            None => hierarchy.mount.join(&hierarchy.own),
        };
        let failed = |e| refused("make a control group in", &parent, e);
        fs::create_dir_all(&parent).map_err(failed)?;
        let directory = parent.join(name());
        if self.directories.contains(&directory) {
            return Ok(());
        }
        sweep(&parent);
        fs::create_dir(&directory).map_err(failed)?;
        self.directories.push(directory.clone());
        let has = |name: &str| hierarchy.controllers.iter().any(|c| c == name);
        if has("cpuset") {
            // Without its own it takes no process.
            inherit(&hierarchy.mount, &directory)
                .map_err(|e| refused("share processors with", &directory, e))?;
        }
        let files = first_files(limits);
        self.write(&directory, files.iter().filter(|file| has(file.0)))
    }

    /// A group of the second version, in which `controllers` are wanted.
    fn second(
        &mut self,
        hierarchy: &Hierarchy,
        controllers: &[&str],
        limits: &Limits,
    ) -> Result<(), Error> {
        let directory = match &limits.cgroup_parent {
            Some(parent) => below(&hierarchy.mount, &path_of(parent)?, controllers)?,
            None => beside(hierarchy, controllers)?,
        };
        self.directories.push(directory.clone());
        let files = second_files(limits);
        let files = files.iter().filter(|file| controllers.contains(&file.0));
        self.write(&directory, files)
    }

    fn write<'f>(
        &self,
        directory: &Path,
        files: impl Iterator<Item = &'f (&'static str, &'static str, String)>,
    ) -> Result<(), Error> {
        for (_, name, value) in files {
            match set(directory, name, value) {
                // A machine without swap has nothing to bound.
                Err(e) if e.kind() == io::ErrorKind::NotFound && is_swap(name) => {}
                done => done.map_err(|e| {
                    let what = format!("set `{name}` to `{value}`");
                    refused(&what, directory, e)
                })?,
            }
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // What ended a moment ago still counts for one.
            for _ in 0..50 {
                match fs::remove_dir(directory) {
                    Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                        sleep(Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn is_swap(name: &str) -> bool {
    name == "memory.swap.max" || name == "memory.memsw.limit_in_bytes"
}

/// What controls the limits that are wanted.
fn needed(limits: &Limits) -> Vec<&'static str> {
    let Cpu {
        shares,
        quota,
        period,
        cpus,
        mems,
    } = &limits.cpu;
    let mut needed = Vec::new();
    if limits.memory.is_some() {
        needed.push("memory");
    }
    if shares.or(*quota).or(*period).is_some() {
        needed.push("cpu");
    }
    if cpus.as_ref().or(mems.as_ref()).is_some() {
        needed.push("cpuset");
    }
    if needed.is_empty() && limits.cgroup_parent.is_some() {
        // Who asks for a place alone has somebody who counts there.
        needed.extend(["memory", "cpu"]);
    }
    needed
}

type File = (&'static str, &'static str, String);

const PERIOD: u64 = 100_000;

/// What is written in the first version: controller, file, value; in this order.
fn first_files(limits: &Limits) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    if let Some(Memory { bytes, swap }) = limits.memory {
        files.push(("memory", "memory.limit_in_bytes", bytes.to_string()));
        if let Some(swap) = swap {
            let both = bytes.saturating_add(swap).to_string();
            files.push(("memory", "memory.memsw.limit_in_bytes", both));
        }
    }
    let cpu = &limits.cpu;
    let mut number = |name, value: Option<u64>| {
        files.extend(value.map(|value| ("cpu", name, value.to_string())));
    };
    number("cpu.shares", cpu.shares);
    number("cpu.cfs_period_us", cpu.period);
    number("cpu.cfs_quota_us", cpu.quota);
    files.extend(cpuset(cpu));
    files
}

/// The same in the second version.
fn second_files(limits: &Limits) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    if let Some(Memory { bytes, swap }) = limits.memory {
        files.push(("memory", "memory.max", bytes.to_string()));
        let swap = swap.map_or_else(|| "max".to_owned(), |swap| swap.to_string());
        files.push(("memory", "memory.swap.max", swap));
    }
    let cpu = &limits.cpu;
    if let Some(shares) = cpu.shares {
        files.push(("cpu", "cpu.weight", weight(shares).to_string()));
    }
    if cpu.quota.or(cpu.period).is_some() {
        let quota = cpu
            .quota
            .map_or_else(|| "max".to_owned(), |q| q.to_string());
        let period = cpu.period.unwrap_or(PERIOD);
        files.push(("cpu", "cpu.max", format!("{quota} {period}")));
    }
    files.extend(cpuset(cpu));
    files
}

fn cpuset(cpu: &Cpu) -> impl Iterator<Item = File> {
    let cpus = cpu.cpus.clone().map(|list| ("cpuset", "cpuset.cpus", list));
    let mems = cpu.mems.clone().map(|list| ("cpuset", "cpuset.mems", list));
    cpus.into_iter().chain(mems)
}

/// Shares (2 to 262144) as a weight (1 to 10000), as OCI runtimes convert them.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// `--cgroup-parent` as a path from the top: `a-b.slice` of systemd's lies in `a.slice`.
fn path_of(parent: &Path) -> Result<PathBuf, Error> {
    let text = parent.to_string_lossy();
    let bad = text.split('/').any(|part| part == "..");
    if bad || text.trim_matches('/').is_empty() {
        let what = format!("`{text}` is not the path of a control group");
        return Err(Error::new(ErrorKind::Process, what));
    }
    let text = text.trim_start_matches('/');
    let Some(slice) = text.strip_suffix(".slice").filter(|s| !s.contains('/')) else {
        return Ok(text.into());
    };
    let mut path = PathBuf::new();
    for (at, _) in slice.match_indices('-') {
        path.push(format!("{}.slice", &slice[..at]));
    }
    path.push(text);
    Ok(path)
}

/// A new group in the one at `path`, which is made where it is missing.
fn below(mount: &Path, path: &Path, controllers: &[&str]) -> Result<PathBuf, Error> {
    let mut at = mount.to_owned();
    for part in path.components() {
        let handed = controllers.iter().try_for_each(|c| enable(&at, c));
        handed.map_err(|e| refused("hand on control in", &at, e))?;
        at.push(part);
        match fs::create_dir(&at) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused("make the control group", &at, e));
            }
            _ => {}
        }
    }
    child(&at, controllers).map_err(|e| refused("make a control group in", &at, e))
}

/// A new group in the nearest one above the caller's that is the caller's to change.
fn beside(hierarchy: &Hierarchy, controllers: &[&str]) -> Result<PathBuf, Error> {
    let mut last = (hierarchy.mount.clone(), io::ErrorKind::NotFound.into());
    for above in hierarchy.own.ancestors() {
        let at = hierarchy.mount.join(above);
        match child(&at, controllers) {
            Ok(child) => return Ok(child),
            Err(e) => last = (at, e),
        }
    }
    let (at, e) = last;
    Err(refused("make a control group in", &at, e))
}

/// A new group in `parent`, which hands `controllers` on.
fn child(parent: &Path, controllers: &[&str]) -> io::Result<PathBuf> {
    controllers.iter().try_for_each(|c| enable(parent, c))?;
    sweep(parent);
    let directory = parent.join(name());
    fs::create_dir(&directory)?;
    Ok(directory)
}

/// The name of the group of the calling process's sandbox: which pid namespace, which process in it.
fn name() -> String {
    format!("{PREFIX}{}-{}", pid_namespace(), std::process::id())
}

fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits = link.to_string_lossy();
    digits.chars().filter(char::is_ascii_digit).collect()
}

/// Removes what those left behind who are no more. What has a process in it stays.
fn sweep(parent: &Path) {
    let begin = format!("{PREFIX}{}-", pid_namespace());
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(&begin));
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid).exists()
        {
            // Somebody else may have been faster.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` has it
fn refused(what: &str, at: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "\nlimits need a control group that is this user's: try \
             `systemd-run --user --scope -p Delegate=yes kiln …`, or build as root"
        }
        io::ErrorKind::ResourceBusy => {
            "\na control group with processes in it hands nothing on: in a container, start kiln in a \
             control group below the topmost"
        }
        io::ErrorKind::Unsupported => {
            "\nwhoever manages control groups here has to hand it on: for users of systemd \
             `Delegate=cpu cpuset memory` in `user@.service`"
        }
        _ => "",
    };
    let mut message = format!(
        "limit a step: {what} `{}`: {}",
        at.display(),
        crate::error::plain(&error)
    );
    message.push_str(hint);
    Error::new(ErrorKind::Unsupported, message).at(at)
}

#[cfg(test)]
mod tests;
