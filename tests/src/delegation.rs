//! A control group of the second version in a user's hands, as systemd gives one to each who logs in.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::users::User;

const TOP: &str = "/sys/fs/cgroup";

/// It, until it is dropped.
#[derive(Debug)]
pub struct Delegated(PathBuf);

impl Delegated {
    /// Makes one for a user. It hands on what the topmost one hands on.
    ///
    /// # Errors
    /// Why there can be none on this machine.
    ///
    /// # Panics
    /// When it cannot be made or given away, though there could be one.
    pub fn to(user: &User) -> Result<Self, String> {
        let handed_on = fs::read_to_string(Path::new(TOP).join("cgroup.subtree_control"));
        let handed_on = handed_on.map_err(|_| "control groups are of the first version here")?;
        if !["memory", "cpu", "cpuset"]
            .iter()
            .all(|c| handed_on.split_whitespace().any(|h| h == *c))
        {
            return Err(format!(
                "the topmost control group hands on `{}` alone",
                handed_on.trim()
            ));
        }
        let group = Path::new(TOP).join(format!("{}-{}", user.name(), std::process::id()));
        let own = group.join("own");
        fs::create_dir_all(&own).expect("root makes groups");
        for at in [&group, &own] {
            user.owns(at);
            for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
                user.owns(&at.join(file));
            }
        }
        Ok(Self(group))
    }

    /// The command, which begins in it.
    pub fn within(&self, command: &Command) -> Command {
        let mut inner = Command::new("sh");
        inner.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        inner.arg(self.0.join("own/cgroup.procs"));
        inner.arg(command.get_program()).args(command.get_args());
        inner.env_clear();
        let set =
            |(name, value): (&OsStr, Option<&OsStr>)| Some((name.to_owned(), value?.to_owned()));
        inner.envs(command.get_envs().filter_map(set));
        if let Some(folder) = command.get_current_dir() {
            inner.current_dir(folder);
        }
        inner
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for folder in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            // Files of it are no folders.
            let _ = fs::remove_dir(folder.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}
