//! Who builds: kiln, or a tool of others that is spoken to as docker or as buildah.

use std::{
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use super::Result;
use crate::{
    kiln::{Kiln, Said},
    users::User,
};

/// Somebody who builds images of a folder called `context`, and gives them as an archive. Commands
/// run in `folder`, and all paths are below it: some builders see the disk with other names.
pub trait Builder: Sync {
    /// Takes the image of an archive in.
    ///
    /// # Errors
    /// When that cannot be done.
    fn load(&self, folder: &Path, archive: &str) -> Result<()>;
    /// Builds; the arguments come before the context.
    ///
    /// # Errors
    /// When nothing can be started.
    fn build(&self, folder: &Path, args: &[String], stdin: Option<&str>) -> Result<Said>;
    /// Writes an image to `image.tar` of the folder.
    ///
    /// # Errors
    /// When that cannot be done.
    fn save(&self, folder: &Path, tag: &str) -> Result<()>;
    /// Forgets an image; nothing is wrong where there is none.
    fn forget(&self, _folder: &Path, _tag: &str) {}
    /// Whether messages are to be ours.
    fn speaks_as_we_do(&self) -> bool {
        false
    }
    /// To whom the files of a context belong.
    fn owner(&self) -> Option<(u32, u32)> {
        None
    }
    /// How many cases run at a time.
    fn at_once(&self) -> usize {
        1
    }
}

/// The binary of this checkout.
#[derive(Debug)]
pub struct Ours {
    kiln: Kiln,
    user: Option<Arc<User>>,
}

impl Ours {
    /// As root.
    pub fn root() -> Self {
        Self {
            kiln: Kiln::new(),
            user: None,
        }
    }

    /// As a user with subordinate ids, made for this.
    pub fn user() -> Self {
        let user = Arc::new(User::with_ids());
        Self {
            kiln: Kiln::of(&user),
            user: Some(user),
        }
    }

    /// Where cases can be made.
    pub fn scratch(&self) -> &Path {
        self.kiln.scratch()
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = self.kiln.command::<&str>([]);
        command.current_dir(folder);
        command
    }
}

impl Builder for Ours {
    fn load(&self, folder: &Path, archive: &str) -> Result<()> {
        done(self.command(folder).args(["load", "-i", archive])).map(drop)
    }

    fn build(&self, folder: &Path, args: &[String], stdin: Option<&str>) -> Result<Said> {
        let mut command = self.command(folder);
        fed(
            command
                .args(["build", "--progress=plain"])
                .args(args)
                .arg("context"),
            stdin,
        )
    }

    fn save(&self, folder: &Path, tag: &str) -> Result<()> {
        done(self.command(folder).args(["save", "-o", "image.tar", tag])).map(drop)
    }

    fn speaks_as_we_do(&self) -> bool {
        true
    }

    fn owner(&self) -> Option<(u32, u32)> {
        let name = self.user.as_ref()?.name();
        let id = |flag| {
            let out = Command::new("id").args([flag, name]).output().ok()?.stdout;
            String::from_utf8_lossy(&out).trim().parse().ok()
        };
        Some((id("-u")?, id("-g")?))
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4))
    }
}

/// A tool of others. Its words are not compared, only whether it fails, and where.
#[derive(Debug)]
pub struct Peer {
    program: String,
    build: Vec<String>,
    buildah: bool,
}

impl Peer {
    /// From a command line that builds, `buildah bud` or `docker build`, with more flags if need be.
    ///
    /// # Errors
    /// When it names no program.
    pub fn new(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or("no command is named")?;
        let name = Path::new(&program).file_name().unwrap_or_default();
        let buildah = name.to_string_lossy().contains("buildah");
        let mut build: Vec<String> = words.collect();
        if build.is_empty() {
            build.push("build".to_owned());
        }
        Ok(Self {
            program,
            build,
            buildah,
        })
    }

    /// Whose ways it has: `buildah`, or `docker`.
    pub fn kind(&self) -> &'static str {
        match self.buildah {
            true => "buildah",
            false => "docker",
        }
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).args(args).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BUILDKIT_") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Builder for Peer {
    fn load(&self, folder: &Path, archive: &str) -> Result<()> {
        let from = format!("docker-archive:{archive}");
        let args = match self.buildah {
            true => ["pull", "-q", &from],
            false => ["load", "-i", archive],
        };
        done(&mut self.command(folder, &args)).map(drop)
    }

    fn build(&self, folder: &Path, args: &[String], stdin: Option<&str>) -> Result<Said> {
        let mut command = self.command(folder, &[]);
        fed(command.args(&self.build).args(args).arg("context"), stdin)
    }

    fn save(&self, folder: &Path, tag: &str) -> Result<()> {
        let to = format!("docker-archive:image.tar:{tag}:latest");
        let args: &[&str] = match self.buildah {
            true => &["push", "-q", tag, &to],
            false => &["save", "-o", "image.tar", tag],
        };
        done(&mut self.command(folder, args)).map(drop)
    }

    fn forget(&self, folder: &Path, tag: &str) {
        let args: &[&str] = match self.buildah {
            true => &["rmi", "-f", tag],
            false => &["image", "rm", "-f", tag],
        };
        // There may be none.
        let _ = self.command(folder, args).output();
    }
}

/// Runs a command that has to succeed.
pub(super) fn done(command: &mut Command) -> Result<Said> {
    let said = crate::kiln::said(command);
    match said.code {
        0 => Ok(said),
        _ => Err(format!("{command:?}: {}{}", said.out, said.err).into()),
    }
}

/// Runs a command with this at its standard input.
fn fed(command: &mut Command, stdin: Option<&str>) -> Result<Said> {
    let Some(text) = stdin else {
        return Ok(crate::kiln::said(command.stdin(Stdio::null())));
    };
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    child
        .stdin
        .take()
        .ok_or("a pipe")?
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        out: text(&output.stdout),
        err: text(&output.stderr),
        code: output.status.code().unwrap_or(-1),
    })
}
