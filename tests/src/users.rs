//! Users of the machine who are not root, made for a test and removed after it.

use crate::delegation::Delegated;
use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A user with a home of their own. Dropped, they are gone with all that they left.
#[derive(Debug)]
pub struct User {
    name: String,
    home: PathBuf,
}

impl User {
    /// Somebody with subordinate ids, as `useradd` gives them.
    ///
    /// # Panics
    /// When that is not possible: tests need root.
    pub fn with_ids() -> Self {
        let user = Self::add(&[]);
        assert!(user.has_ids(), "`useradd` gives no subordinate ids here");
        user
    }

    /// Somebody without any.
    ///
    /// # Panics
    /// When that is not possible: tests need root.
    pub fn without_ids() -> Self {
        let user = Self::add(&["--system"]);
        assert!(!user.has_ids(), "`useradd --system` gives subordinate ids");
        user
    }

    fn add(options: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kt{}-{number}", process::id());
        let home = env::temp_dir().join(format!("home-of-{name}"));
        database("useradd", |command| {
            command
                .args(["--create-home", "--user-group", "--shell", "/bin/sh"])
                .args(options)
                .arg("--home-dir")
                .arg(&home)
                .arg(&name);
        });
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&home, open).expect("a home can be opened");
        Self { name, home }
    }

    /// Whether they have subordinate ids.
    pub fn has_ids(&self) -> bool {
        let line = format!("{}:", self.name);
        let known = fs::read_to_string("/etc/subuid").unwrap_or_default();
        known.lines().any(|l| l.starts_with(&line))
    }

    /// Their name, which is that of their group too.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their home, which others may look into.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `program` as this user, in their home, in an environment that is known.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid",
                &self.name,
                "--regid",
                &self.name,
                "--init-groups",
            ])
            .arg("--")
            .arg(program)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .stdin(Stdio::null())
            .current_dir(&self.home);
        command
    }

    /// A copy of a program in their home: a checkout may lie where only its owner can go.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy_of(&self, program: &Path) -> PathBuf {
        let copy = self
            .home
            .join(program.file_name().expect("a program has a name"));
        if !copy.exists() {
            // By another process: a child that another thread starts just now would hold the file
            // open for writing, and what is open for writing cannot be executed.
            let copied = Command::new("cp").arg(program).arg(&copy).status();
            assert!(copied.is_ok_and(|s| s.success()), "a program can be copied");
        }
        copy
    }

    /// This program again as this user, its temporary files in their home.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn again(&self) -> Command {
        let program = env::current_exe().expect("a program knows where it lies");
        let mut command = self.command(self.copy_of(&program));
        command.env("TMPDIR", &self.home);
        command
    }

    /// Makes a file or folder theirs.
    ///
    /// # Panics
    /// When it is not there.
    pub fn owns(&self, path: &Path) {
        let done = Command::new("chown").arg(&self.name).arg(path).status();
        assert!(done.is_ok_and(|s| s.success()), "chown {}", path.display());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("pkill")
            .args(["-KILL", "-u", &self.name])
            .status();
        database("userdel", |command| {
            command.args(["--force", &self.name]).stderr(Stdio::null());
        });
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Runs the tests of this program again, those that were asked for, as a user with subordinate ids
/// and as one without, after `prepare` has put into their home what they need, in a control group of
/// theirs where this machine can give them one; whether all went well.
///
/// # Panics
/// When there can be no such users: tests need root.
pub fn again(prepare: impl Fn(&User)) -> bool {
    let mut well = true;
    for user in [User::with_ids, User::without_ids] {
        let user = user();
        prepare(&user);
        let mut again = user.again();
        again.args(env::args_os().skip(1));
        let group = Delegated::to(&user);
        if let Ok(group) = &group {
            again = group.within(&again);
        }
        let done = again.status();
        well &= done.expect("setpriv is installed").success();
    }
    well
}

/// Changes the databases of users; one at a time, for these programs do not wait for each other.
fn database(program: &str, with: impl FnOnce(&mut Command)) {
    let lock = File::create(env::temp_dir().join("kiln-test-users")).expect("a lock is made");
    lock.lock().expect("a lock is taken");
    let mut command = Command::new(program);
    with(&mut command);
    let done = command.status().expect("useradd is installed");
    // What is being removed may keep a process for a moment longer.
    assert!(done.success() || program == "userdel", "{command:?}");
}
