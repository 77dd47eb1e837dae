//! Those who build: kiln, and buildah where it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln_tests::base;

use super::disk;
use super::rows::{Took, timed};
use super::work::{Before, Work};
use crate::Result;
use crate::process;

/// A builder with a store of its own that holds the image `localhost/bench`.
pub(super) struct Builder {
    pub(super) name: &'static str,
    pub(super) version: String,
    program: PathBuf,
    store: PathBuf,
}

/// kiln, and every peer that is here.
pub(super) fn installed(kiln: &Path, folder: &Path) -> Result<Vec<Builder>> {
    let root = folder.join("busybox");
    let tar = folder.join("busybox.tar");
    base::busybox_root(&root);
    base::pack(&root, &tar)?;
    let mut builders = vec![Builder::new("kiln", kiln, folder)?];
    match Builder::new("buildah", Path::new("buildah"), folder) {
        Ok(buildah) => builders.push(buildah),
        Err(e) => println!("not run: buildah: {e}"),
    }
    for builder in &builders {
        builder.import(&tar)?;
    }
    Ok(builders)
}

impl Builder {
    fn new(name: &'static str, program: &Path, folder: &Path) -> Result<Self> {
        let version = process::output(Command::new(program).arg("--version"))?;
        let store = folder.join(format!("{name}-store"));
        fs::create_dir_all(&store)?;
        Ok(Self {
            name,
            version: version.trim().to_owned(),
            program: program.to_path_buf(),
            store,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .env_remove("SOURCE_DATE_EPOCH");
        match self.name {
            "kiln" => command.env("KILN_ROOT", &self.store),
            _ => command
                .arg("--root")
                .arg(self.store.join("storage"))
                .arg("--runroot")
                .arg(self.store.join("run"))
                .args(["--storage-driver", "overlay"]),
        };
        command
    }

    fn import(&self, tar: &Path) -> Result<()> {
        if self.name == "kiln" {
            return check(self.command().arg("import").arg(tar).arg("localhost/bench"));
        }
        let made = process::output(
            self.command()
                .stdout(Stdio::piped())
                .args(["from", "scratch"]),
        )?;
        let container = made.trim();
        check(self.command().args(["add", container]).arg(tar).arg("/"))?;
        check(
            self.command()
                .args(["commit", "-q", container, "localhost/bench"]),
        )
    }

    /// Builds, and tells how long it took.
    pub(super) fn build(&self, work: &Work, run: usize) -> Result<Took> {
        let mut command = self.prepared(work, run)?;
        timed(&mut command)
    }

    /// The command, after what has to be so before it.
    fn prepared(&self, work: &Work, run: usize) -> Result<Command> {
        match &work.before {
            Before::Known | Before::NoCache => {}
            Before::Fresh => {
                self.remove()?;
                fs::create_dir_all(&self.store)?;
            }
            Before::Changed(file) => {
                fs::write(file, format!("{run} {}\n", self.name).repeat(100))?;
            }
            Before::Rewritten(text) => {
                let time = format!("{}-{run}", self.name);
                let file = work.context.join("Dockerfile");
                fs::write(file, text.replace("TIME", &time))?;
            }
        }
        let mut command = self.command();
        match self.name {
            "kiln" => command.args(["build", "-q", "-t", "bench-result"]),
            // runc, because crun refuses some hosts; layers, as docker has them.
            _ => command.args([
                "bud",
                "-q",
                "--runtime",
                "runc",
                "--layers",
                "-t",
                "bench-result",
            ]),
        };
        if matches!(work.before, Before::NoCache) {
            command.arg("--no-cache");
        }
        command.arg(&work.context);
        Ok(command)
    }

    /// Removes the store, and what is mounted in it.
    fn remove(&self) -> Result<()> {
        disk::unmount_inside(&self.store)?;
        Ok(fs::remove_dir_all(&self.store)?)
    }
}

fn check(command: &mut Command) -> Result<()> {
    match process::succeeds(command)? {
        true => Ok(()),
        false => Err(format!("{} failed", process::shown(command)).into()),
    }
}
