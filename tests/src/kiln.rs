//! The binary under test, with a store of its own.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, OnceLock},
};

use tempfile::TempDir;

use crate::users::User;

/// `kiln` with a store in a temporary folder, removed in the end.
#[derive(Debug)]
pub struct Kiln {
    folder: TempDir,
    user: Option<Arc<User>>,
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
}

/// The path of the binary: built once, by the cargo that runs the tests, into the same folder.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = env::current_exe().expect("a test knows where it is");
        // `target/PROFILE/deps/TEST`, or a program of the workspace in `target/PROFILE`.
        let above = test.parent().expect("a program is in a folder");
        let profile = match above.ends_with("deps") {
            true => above.parent().expect("deps is in a folder"),
            false => above,
        };
        let profile = profile.to_owned();
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "kiln-cli", "--target-dir"]);
        build.arg(profile.parent().expect("target/PROFILE"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        // What cargo tells a test about itself would be a change to the cargo below it.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let built = build.status().expect("cargo can be started");
        assert!(built.success(), "`cargo build --package kiln-cli` failed");
        profile.join("kiln")
    })
}

impl Default for Kiln {
    fn default() -> Self {
        Self::new()
    }
}

impl Kiln {
    /// With an empty store.
    pub fn new() -> Self {
        Self::within(&env::temp_dir())
    }

    /// With an empty store in a folder below `parent`.
    pub fn within(parent: &Path) -> Self {
        let folder = TempDir::with_prefix_in("kiln-test-", parent);
        Self {
            folder: folder.expect("a temporary folder can be made"),
            user: None,
        }
    }

    /// With an empty store of another user, who runs every command.
    pub fn of(user: &Arc<User>) -> Self {
        let mut kiln = Self::new();
        user.owns(kiln.scratch());
        kiln.user = Some(Arc::clone(user));
        kiln
    }

    /// Where the store is.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A folder for the test's own files, removed with the store.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// A command with these arguments, in an environment that is known.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = match &self.user {
            None => Command::new(binary()),
            Some(user) => user.command(user.copy_of(binary())),
        };
        command
            .args(args)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("KILN_ROOT", self.root())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command, whatever becomes of it.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(&mut self.command(args))
    }

    /// Runs a command that is expected to succeed, and gives its standard output.
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        said.out
    }

    /// Runs a command that is expected to fail, and gives its standard error.
    pub fn fails<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        let said = self.run(args);
        assert_ne!(said.code, 0, "{}{}", said.out, said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
        said
    }

    /// Makes a build context of files, and gives its folder.
    pub fn context(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder.path().join(name);
        for (path, text) in files {
            write(&folder.join(path), text);
        }
        folder
    }

    /// Makes a context, builds it as `tag`, and gives the image id.
    pub fn build(&self, tag: &str, files: &[(&str, &str)]) -> String {
        let context = self.context(tag, files);
        let context = context.to_str().expect("made of letters");
        self.ok(["build", "-q", "-t", tag, context])
            .trim()
            .to_owned()
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        // A container outlives the command that started it; it is not to outlive its test.
        let entries = fs::read_dir(self.root().join("containers"));
        let names = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name());
        let ids: Vec<_> = names.filter(|name| name.len() == 64).collect();
        if !ids.is_empty() {
            let mut args = vec!["rm".into(), "-f".into(), "-v".into()];
            args.extend(ids);
            // The test has said what it had to say.
            let _ = self.command(args).output();
        }
    }
}

/// Writes a file and the folders that lead to it.
///
/// # Panics
/// When that is not possible.
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder is made");
    fs::write(path, text).expect("a file is written");
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    Said {
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
        code: status.code().unwrap_or(-1),
    }
}
