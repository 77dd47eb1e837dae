//! The tools of others, each with storage and configuration of its own: skopeo, umoci, podman,
//! buildah. What is not installed is named, never skipped in silence.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::kiln::{Said, said, write};

/// A place where podman and buildah keep images, removed in the end.
///
/// Their runs are made to need as little of the machine as possible: runc, no manager of cgroups,
/// the host's network, locks and events in this place.
#[derive(Debug)]
pub struct Peers {
    folder: TempDir,
}

/// Whether all of `tools` are installed; says so where one is not.
#[allow(clippy::print_stdout)] // Nothing is skipped in silence.
pub fn installed(tools: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let missing = tools
        .iter()
        .find(|tool| !folders.iter().any(|f| f.join(tool).is_file()));
    if let Some(tool) = missing {
        println!("not run: {tool} is not installed");
    }
    missing.is_none()
}

impl Default for Peers {
    fn default() -> Self {
        Self::new()
    }
}

impl Peers {
    /// With empty storage, in memory where the machine has such a folder: these tools wait for the
    /// disk after each step.
    ///
    /// # Panics
    /// When no folder can be made: a test cannot go on.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let prefix = "kiln-peers-";
        let folder = TempDir::with_prefix_in(prefix, memory)
            .or_else(|_| TempDir::with_prefix(prefix))
            .expect("a temporary folder can be made");
        let at = folder.path().display();
        write(
            &folder.path().join("containers.conf"),
            &format!(
                "[containers]\nnetns = \"host\"\n\
                 default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
                 [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n\
                 lock_type = \"file\"\nevents_logger = \"none\"\ntmp_dir = \"{at}/tmp\"\n\
                 static_dir = \"{at}/static\"\nvolume_path = \"{at}/volumes\"\n\
                 [network]\nnetwork_config_dir = \"{at}/networks\"\n"
            ),
        );
        write(
            &folder.path().join("storage.conf"),
            &format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{at}/images\"\n\
                 runroot = \"{at}/run\"\n"
            ),
        );
        // What the machine's own file says of sources is not for these tests.
        write(&folder.path().join("registries.conf"), "");
        fs::create_dir_all(folder.path().join("tmp")).expect("a folder is made");
        Self { folder }
    }

    /// A command line, its words separated by blanks, with `more` words that are taken as they are.
    pub fn command(&self, line: &str, more: &[&str]) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a command has a name"));
        let path = env::var("PATH").unwrap_or_default();
        command
            .args(words)
            .args(more)
            .env_clear()
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("HOME", self.folder.path())
            .env(
                "CONTAINERS_CONF",
                self.folder.path().join("containers.conf"),
            )
            .env(
                "CONTAINERS_STORAGE_CONF",
                self.folder.path().join("storage.conf"),
            )
            .env(
                "CONTAINERS_REGISTRIES_CONF",
                self.folder.path().join("registries.conf"),
            )
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command that is expected to succeed, and gives its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, line: &str, more: &[&str]) -> String {
        let Said { out, err, code } = said(&mut self.command(line, more));
        assert_eq!(code, 0, "{line} {more:?}: {out}{err}");
        out
    }
}

impl Drop for Peers {
    /// What podman left mounted below its storage would keep the folder from being removed.
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts
            .lines()
            .rev()
            .filter_map(|l| l.split_whitespace().nth(1));
        for point in points.filter(|p| Path::new(p).starts_with(self.folder.path())) {
            // The folder that stays behind tells of a failure.
            let _ = Command::new("umount").args(["-l", point]).status();
        }
    }
}
