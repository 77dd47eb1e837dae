//! What goes wrong when somebody wants it to: a container whose root is hostile, a kill of whoever
//! holds a container, a client that goes away.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use kiln_tests::{base::busybox, kiln::Kiln, until::until, users::User};

fn prepared() -> Kiln {
    ready(Kiln::new())
}

fn ready(kiln: Kiln) -> Kiln {
    busybox(&kiln);
    kiln
}

/// The host's id of a container's process, of what watches it, and of its monitor.
fn processes(kiln: &Kiln, name: &str) -> [u32; 3] {
    let pid = kiln.ok(["inspect", "-f", "{{.State.Pid}}", name]);
    let pid = pid.trim().parse().unwrap();
    let watcher = field(pid, "PPid").unwrap();
    [pid, watcher, field(watcher, "PPid").unwrap()]
}

/// A number of `/proc/PID/status`.
fn field(pid: u32, name: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process runs; one that nobody has waited for does not.
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_some_and(|state| !state.trim_start().starts_with('Z'))
}

fn kill(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    let done = Command::new("kill").arg(signal).args(pids).status();
    assert!(done.unwrap().success());
}

/// A process that has changed its user is not killed by the kernel any more when its parent dies.
fn another_user_dies_too(kiln: &Kiln) {
    let script = "exec su -s /bin/sh user -c 'exec sleep 1000'";
    kiln.ok(["run", "-d", "--name", "box", "busybox", "sh", "-c", script]);
    let [pid, watcher, _] = processes(kiln, "box");
    until("it is another user", || {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        line.starts_with("sleep").then_some(())
    });
    let status = || kiln.ok(["ps", "-a", "--format", "{{.Status}}"]);
    kill("-KILL", &[watcher]);
    until("it has ended", || {
        status().starts_with("Exited (137)").then_some(())
    });
    assert!(!runs(pid));

    kiln.ok(["start", "box"]);
    let [pid, watcher, monitor] = processes(kiln, "box");
    until("it is another user", || {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        line.starts_with("sleep").then_some(())
    });
    kill("-STOP", &[monitor, watcher]);
    kill("-KILL", &[monitor, watcher]);
    until("both are dead", || {
        (!runs(monitor) && !runs(watcher)).then_some(())
    });
    // Threads of the dead end one by one.
    until("it is told truly", || {
        status().starts_with("Exited (137)").then_some(())
    });
    assert!(!runs(pid));
    kiln.ok(["rm", "box"]);
}

#[test]
fn who_became_another_user_dies_with_its_watcher() {
    another_user_dies_too(&prepared());
}

#[test]
fn who_became_another_user_dies_with_its_watcher_without_root() {
    let user = Arc::new(User::with_ids());
    another_user_dies_too(&ready(Kiln::of(&user)));
}

#[test]
fn nothing_of_ours_is_open_inside() {
    let kiln = prepared();
    kiln.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let path = kiln.scratch().join("out");
    let script = "ls /proc/self/fd; for n in 0 1 2; do readlink /proc/self/fd/$n; done";
    let mut exec = kiln.command(["exec", "-i", "box", "sh", "-c", script]);
    let input = File::open("/etc").unwrap();
    let files = (File::create(&path).unwrap(), File::create(&path).unwrap());
    let done = exec.stdin(input).stdout(files.0).stderr(files.1).status();
    assert!(done.unwrap().success());
    let out = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    // The fourth is `ls`'s own.
    let (open, links) = lines.split_at(4);
    assert_eq!(open, ["0", "1", "2", "3"]);
    assert!(links.iter().all(|to| to.starts_with("pipe:")), "{out}");
}

/// A process that reads nothing is sent signals nevertheless.
#[test]
fn signals_overtake_what_is_typed() {
    let kiln = prepared();
    let mut run = kiln.command(["run", "--rm", "-i", "--init", "busybox", "sleep", "1000"]);
    let mut run = run.stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut stdin = run.stdin.take().unwrap();
    // Until nobody takes any more.
    std::thread::spawn(move || while stdin.write_all(&[b'y'; 4096]).is_ok() {});
    until("it runs", || {
        let names = kiln.ok(["ps", "-q"]);
        (!names.is_empty()).then_some(())
    });
    let from = Instant::now();
    let status = loop {
        kill("-INT", &[run.id()]);
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        assert!(from.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(130));
}

/// A monitor keeps nothing of those who waited and were killed.
#[test]
fn who_waits_no_more_is_forgotten() {
    let kiln = prepared();
    kiln.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let [_, _, monitor] = processes(&kiln, "box");
    let open = || {
        let open = fs::read_dir(format!("/proc/{monitor}/fd"));
        open.unwrap().count()
    };
    let before = open();
    let waiting: Vec<_> = (0..10)
        .map(|_| kiln.command(["wait", "box"]).spawn().unwrap())
        .collect();
    until("all wait", || (open() >= before + 10).then_some(()));
    for mut one in waiting {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    until("they are forgotten", || (open() <= before).then_some(()));
}

/// Root could make files of the machine's devices.
#[test]
fn a_copy_replaces_no_device() {
    let kiln = prepared();
    kiln.ok(["create", "--name", "box", "busybox", "true"]);
    let pipe = kiln.scratch().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let pipe = pipe.to_str().unwrap();
    let said = kiln.fails(["cp", "box:/etc/passwd", pipe]);
    let want = format!("destination \"{pipe}\" must be a directory or a regular file");
    assert!(said.err.contains(&want), "{}", said.err);
    assert!(!fs::metadata(pipe).unwrap().is_file());
}
