//! How long a process takes to start and end: in a root that is ready, and as a whole container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kiln_tests::base;

use super::rows::{Row, Took, timed as time, write as write_rows};
use crate::Result;
use crate::process;

/// More than for builds: a start takes milliseconds.
const TIMES: usize = 4;

/// A command to time, and what has to be done before it once.
struct Starter {
    name: String,
    command: Box<dyn Fn() -> Command>,
}

/// Both tables. `user`: who stands for people without root.
pub(super) fn report(
    report: &mut String,
    kiln: &Path,
    example: &Path,
    user: Option<&str>,
    runs: usize,
) -> Result<()> {
    // Outside of the checkout: another user may not be able to go there.
    let folder = std::env::temp_dir().join(format!("kiln-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = tables(report, &folder, (kiln, example), user, runs * TIMES);
    fs::remove_dir_all(&folder)?;
    measured
}

fn tables(
    report: &mut String,
    folder: &Path,
    (kiln, example): (&Path, &Path),
    user: Option<&str>,
    runs: usize,
) -> Result<()> {
    let kiln = copied(kiln, folder, "kiln")?;
    let example = copied(example, folder, "sandbox-true")?;
    let bundle = folder.join("bundle");
    let root = bundle.join("rootfs");
    fs::create_dir(&bundle)?;
    base::busybox_root(&root);
    let tar = folder.join("busybox.tar");
    base::pack(&root, &tar)?;
    if user.is_none() {
        println!("not run: starts without root: name a user with --user");
    }
    let about = "`true` in a ready root, as a process of its own";
    println!("{about}");
    write_rows(report, about, &ready(&example, &bundle, user, runs)?)?;
    let about = "`run --rm IMAGE true`, the whole command";
    println!("{about}");
    write_rows(report, about, &whole(&kiln, folder, &tar, user, runs)?)
}

/// A program where everybody can execute it.
fn copied(program: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let to = folder.join(name);
    fs::copy(program, &to)?;
    Ok(to)
}

/// The sandbox alone, as often as asked for and timed by itself, beside `runc run`.
fn ready(example: &Path, bundle: &Path, user: Option<&str>, runs: usize) -> Result<Vec<Row>> {
    let alone = |name: &str, mut command: Command| -> Result<Row> {
        let said = process::output(command.arg(runs.to_string()))?;
        let times = said.lines().next().unwrap_or_default().split_whitespace();
        let took = times.map(|time| -> Result<_> {
            let wall = Duration::from_micros(time.parse()?);
            Ok(Took { wall, cpu: None })
        });
        Ok(Row {
            name: name.to_owned(),
            took: took.collect::<Result<_>>()?,
        })
    };
    let mut rows = vec![alone("kiln's sandbox, root", Command::new(example))?];
    if let Some(user) = user {
        rows.push(alone("kiln's sandbox, a user", as_user(user, example))?);
    }
    match process::output(Command::new("runc").arg("--version")) {
        Err(e) => println!("not run: runc: {e}"),
        Ok(_) => {
            configure(bundle)?;
            let bundle = bundle.to_owned();
            let runc = move || {
                let mut command = Command::new("runc");
                command.args(["run", "--bundle"]).arg(&bundle).arg("bench");
                command
            };
            rows.extend(timed(&[Starter::new("runc, root", runc)], runs)?);
        }
    }
    Ok(rows)
}

/// A bundle whose process is `true`, without a terminal.
fn configure(bundle: &Path) -> Result<()> {
    process::output(Command::new("runc").arg("spec").current_dir(bundle))?;
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path)?;
    let text = text.replacen("\"terminal\": true", "\"terminal\": false", 1);
    fs::write(&path, text.replacen("\"sh\"", "\"true\"", 1))?;
    Ok(())
}

/// The command that people type.
fn whole(
    kiln: &Path,
    folder: &Path,
    tar: &Path,
    user: Option<&str>,
    runs: usize,
) -> Result<Vec<Row>> {
    let mut starters = Vec::new();
    let users = std::iter::once(None).chain(user.map(Some));
    for user in users {
        let who = user.map_or("root", |_| "a user");
        let store = folder.join(format!("store of {who}"));
        fs::create_dir(&store)?;
        if let Some(user) = user {
            process::output(Command::new("chown").arg(user).arg(&store))?;
        }
        let program = kiln.to_owned();
        let user = user.map(str::to_owned);
        let base = move || {
            let mut command = match &user {
                Some(user) => as_user(user, &program),
                None => Command::new(&program),
            };
            command.env("KILN_ROOT", &store);
            command
        };
        process::output(base().arg("import").arg(tar).arg("localhost/bench"))?;
        starters.push(Starter::new(&format!("kiln, {who}"), move || {
            let mut command = base();
            command.args(["run", "--rm", "localhost/bench", "true"]);
            command
        }));
    }
    match podman(folder, tar) {
        Ok(podman) => starters.push(podman),
        Err(e) => println!("not run: podman: {e}"),
    }
    timed(&starters, runs)
}

/// podman with runc, and limits that hosts without systemd can set.
fn podman(folder: &Path, tar: &Path) -> Result<Starter> {
    let storage = folder.join("podman");
    let base = move || {
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(storage.join("storage"))
            .arg("--runroot")
            .arg(storage.join("run"))
            .args(["--storage-driver", "overlay", "--runtime", "runc"])
            .args(["--cgroup-manager", "cgroupfs"]);
        command
    };
    process::output(
        base()
            .arg("import")
            .arg("-q")
            .arg(tar)
            .arg("localhost/bench"),
    )?;
    let run = move || {
        let mut command = base();
        command
            .args(["run", "--rm", "--network", "host"])
            .args([
                "--ulimit",
                "nofile=1024:1024",
                "--ulimit",
                "nproc=4096:4096",
            ])
            .args(["localhost/bench", "true"]);
        command
    };
    Ok(Starter::new("podman with runc, root", run))
}

/// `program` as another user, with nothing of this environment.
fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--init-groups"])
        .arg(program)
        .current_dir("/")
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
    command
}

impl Starter {
    fn new(name: &str, command: impl Fn() -> Command + 'static) -> Self {
        Self {
            name: name.to_owned(),
            command: Box::new(command),
        }
    }

    fn start(&self) -> Result<Took> {
        let mut command = (self.command)();
        let took = time(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        // A start takes less than the clock of the processors can tell.
        Ok(Took { cpu: None, ..took })
    }
}

/// All of them in turns, each after one start that is not counted.
fn timed(starters: &[Starter], runs: usize) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for starter in starters {
        starter.start()?;
        rows.push(Row::new(starter.name.clone()));
    }
    for _ in 0..runs {
        for (starter, row) in starters.iter().zip(&mut rows) {
            row.took.push(starter.start()?);
        }
    }
    Ok(rows)
}
