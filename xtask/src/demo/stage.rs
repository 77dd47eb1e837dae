//! Where the demo plays, and how its commands are shown and timed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_tests::registry::{Debian, Registry, docker_registry};

use crate::Result;

/// The folders of the demo, and the binary that plays.
pub(super) struct Place {
    root: PathBuf,
    folder: PathBuf,
    kiln: PathBuf,
}

impl Place {
    /// A fresh folder below cargo's target folder.
    pub(super) fn make(root: &Path, kiln: PathBuf) -> Result<Self> {
        let place = Self {
            root: root.to_path_buf(),
            kiln,
            folder: target(root).join("demo"),
        };
        // The store of an earlier demo; nothing of it is running.
        if place.folder.exists() {
            fs::remove_dir_all(&place.folder)?;
        }
        fs::create_dir_all(&place.folder)?;
        Ok(place)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A copy of `examples/flask` that the demo may change.
    pub(super) fn copy_application(&self) -> Result<PathBuf> {
        let to = self.folder.join("flask");
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(self.root.join("examples/flask"))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(to)
    }

    /// A registry: Debian's where it is installed, else a small one in this process.
    pub(super) fn registry(&self) -> Result<AnyRegistry> {
        let folder = self.folder.join("registry");
        fs::create_dir_all(&folder)?;
        Ok(match docker_registry(&folder) {
            Some(debian) => AnyRegistry::Debian(debian),
            None => AnyRegistry::Ours(Registry::start()),
        })
    }
}

/// Cargo's target folder.
pub(super) fn target(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// A registry on this machine, until it is dropped.
pub(super) enum AnyRegistry {
    Debian(Debian),
    Ours(Registry),
}

impl AnyRegistry {
    pub(super) fn address(&self) -> String {
        match self {
            AnyRegistry::Debian(debian) => debian.address().to_string(),
            AnyRegistry::Ours(ours) => ours.address(),
        }
    }

    pub(super) fn said(&self) -> &'static str {
        match self {
            AnyRegistry::Debian(_) => "the registry is Debian's docker-registry, on this machine",
            AnyRegistry::Ours(_) => {
                "docker-registry is not installed: the registry is a small one \
                                     in this process"
            }
        }
    }
}

/// Shows commands, runs them, and remembers how long each took.
pub(super) struct Stage<'a> {
    place: &'a Place,
    folder: PathBuf,
    took: Vec<(String, Duration)>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        Self {
            place,
            folder: place.folder.clone(),
            took: Vec::new(),
        }
    }

    /// From now on, commands run in this folder.
    pub(super) fn within(&mut self, folder: &Path) -> &mut Self {
        println!("$ cd {}", folder.display());
        self.folder = folder.to_path_buf();
        self
    }

    pub(super) fn title(&self, title: &str) {
        println!("\n== {title}\n");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.place.kiln);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("KILN_ROOT", self.place.folder.join("store"))
            .env_remove("SOURCE_DATE_EPOCH")
            .stdin(Stdio::null());
        command
    }

    /// Runs `kiln` with these arguments, to its end.
    pub(super) fn kiln(&mut self, arguments: &[&str]) -> Result<()> {
        let typed = format!("kiln {}", arguments.join(" "));
        println!("$ {typed}");
        let start = Instant::now();
        let status = self.command(arguments).status()?;
        self.took.push((typed.clone(), start.elapsed()));
        match status.success() {
            true => Ok(()),
            false => Err(format!("`{typed}` ended with {status}").into()),
        }
    }

    /// Starts `kiln` with these arguments, and leaves it running.
    pub(super) fn start(&mut self, arguments: &[&str]) -> Result<Child> {
        println!("$ kiln {}", arguments.join(" "));
        Ok(self.command(arguments).spawn()?)
    }

    /// How long each command took.
    pub(super) fn summary(&self) {
        println!("\n== How long it took\n");
        for (typed, took) in &self.took {
            println!("{:>9.3} s  {typed}", took.as_secs_f64());
        }
    }
}
