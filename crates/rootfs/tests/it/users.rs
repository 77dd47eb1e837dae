//! Users of this machine who are not root, made for the tests and removed after them, and the tests
//! run anew as one of them.
#![allow(clippy::print_stdout)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::shell::Scratch;

/// A user, and a folder of theirs.
struct User {
    name: String,
    uid: u32,
    gid: u32,
    folder: Scratch,
}

impl User {
    /// A user with subordinate ids or without, or the reason why this machine makes none.
    fn new(subordinate: bool) -> Result<Self, String> {
        let kind = if subordinate { "ids" } else { "one" };
        let name = format!("kt-root-{kind}-{}", std::process::id());
        let mut args = vec!["--no-create-home", "--user-group"];
        if !subordinate {
            args.extend(["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"]);
        }
        args.push(&name);
        database("useradd", &args)?;
        let id = |what: &str| {
            let output = Command::new("id").args([what, &name]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.trim().parse::<u32>().unwrap()
        };
        let folder = Scratch::new(kind);
        let user = Self {
            uid: id("-u"),
            gid: id("-g"),
            name,
            folder,
        };
        chown(&user.folder.0, Some(user.uid), Some(user.gid)).unwrap();
        let granted = fs::read_to_string("/etc/subuid").unwrap_or_default();
        let line = format!("{}:", user.name);
        match granted.lines().any(|one| one.starts_with(&line)) == subordinate {
            true => Ok(user),
            false => Err("`useradd` gives no subordinate ids here".to_owned()),
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A user that stays behind is seen in the machine's list; it changes no result.
        let _ = database("userdel", &[&self.name]);
    }
}

/// Changes the list of users, for which somebody else may hold the lock.
fn database(program: &str, args: &[&str]) -> Result<(), String> {
    let mut said = String::new();
    for _ in 0..50 {
        let output = Command::new(program).args(args).output();
        let output = output.map_err(|error| format!("`{program}`: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !said.contains("lock") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("`{program}` failed: {said}"))
}

/// Runs the tests again as users who are not root, after `prepare` has put into a folder of theirs
/// what they need; whether all went well.
pub(crate) fn again(prepare: impl Fn(&PathBuf, bool)) -> bool {
    let mut well = true;
    for subordinate in [true, false] {
        match User::new(subordinate) {
            Ok(user) => {
                prepare(&user.folder.0, subordinate);
                well &= run(&user);
            }
            Err(reason) => println!("test rootless ... ignored, not run: {reason}"),
        }
    }
    well
}

fn run(user: &User) -> bool {
    // This program may lie where the user may not go.
    let program = user.folder.join("it");
    fs::copy("/proc/self/exe", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &user.folder.0)
        .env("TMPDIR", &user.folder.0)
        .current_dir(&user.folder.0)
        .uid(user.uid)
        .gid(user.gid)
        .status()
        .unwrap();
    status.success()
}
