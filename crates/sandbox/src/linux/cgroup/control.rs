//! The files by which control groups are told what to do. Refuses to ask of a group what nobody could
//! use then.

use std::fs;
use std::io;
use std::path::Path;

/// Has a group of the second version hand a controller on.
pub(super) fn enable(group: &Path, controller: &str) -> io::Result<()> {
    let has = |name| {
        let text = fs::read_to_string(group.join(name))?;
        io::Result::Ok(text.split_whitespace().any(|c| c == controller))
    };
    if has("cgroup.subtree_control")? {
        return Ok(());
    }
    if !has("cgroup.controllers")? {
        let what = format!("it was not given control of `{controller}`");
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    // The kernel itself refuses some controllers only; with the others nobody could enter what is made
    // below (cgroups(7), "threaded").
    if group.join("cgroup.type").exists() && has_processes(group)? {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    set(group, "cgroup.subtree_control", &format!("+{controller}"))
}

fn has_processes(group: &Path) -> io::Result<bool> {
    Ok(!fs::read_to_string(group.join("cgroup.procs"))?
        .trim()
        .is_empty())
}

/// A group of the first version has no processors of its own before it is given them.
pub(super) fn inherit(mount: &Path, directory: &Path) -> io::Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let above = directory.ancestors().skip(1);
        let mut above = above.take_while(|at| at.starts_with(mount));
        let value = above.find_map(|at| {
            let text = fs::read_to_string(at.join(name)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        });
        if let Some(value) = value {
            set(directory, name, &value)?;
        }
    }
    Ok(())
}

/// Files of groups are there already; what is written is not appended.
pub(super) fn set(directory: &Path, name: &str, value: &str) -> io::Result<()> {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(directory.join(name));
    io::Write::write_all(&mut file?, value.as_bytes())
}
