//! Whoever dies, nothing is left.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;

use kiln_sandbox::{Door, Incoming, Io, Native, Runner, Runtime, Spec};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{Layers, World, lives, shell, until};

cases![
    killing_the_starter_leaves_nothing,
    killing_the_watcher_leaves_nothing,
    dropping_the_handle_kills,
    the_end_takes_the_rest_along,
    the_end_of_a_thread_changes_nothing,
];

/// A program that starts a process and waits for it, to be killed.
pub(crate) const DOOR: Door = Door {
    name: "starter",
    run: starter,
};

fn starter(mut incoming: Incoming) -> i32 {
    // As if it were the program itself: from here it has doors of its own.
    let mut spec = String::new();
    incoming.socket.read_to_string(&mut spec).unwrap();
    let spec: Spec = serde_json::from_str(&spec).unwrap();
    let runner: Box<dyn Runner> = match incoming.args.first() {
        Some(path) => Box::new(Runtime::new(path)),
        None => Box::new(Native::usual().unwrap()),
    };
    let mut running = runner.start(&spec, Io::null()).unwrap();
    incoming.socket.write_all(b"started").unwrap();
    running.wait().unwrap().code()
}

/// A text by which the processes of one test are known, and no test's before.
fn mark(world: &World, name: &str) -> String {
    format!("{}-{name}-{}", std::process::id(), world.native)
}

fn sleeper(layers: &Layers, mark: &str, init: bool) -> Spec {
    // It has a child that would outlive it.
    let script = format!("(while :; do sleep 7; done) & while :; do sleep 7; done # {mark}");
    let mut spec = Spec::new(layers.root.clone(), shell(&script));
    spec.init = init;
    spec
}

/// How many mounts the host sees in the directory of the tests.
fn mounts(world: &World) -> usize {
    let directory = world.image.parent().unwrap().to_str().unwrap();
    let listed = fs::read_to_string("/proc/self/mountinfo").unwrap();
    listed
        .lines()
        .filter(|line| line.contains(directory))
        .count()
}

/// A child that is killed at the latest when a test fails.
struct Mortal(kiln_sandbox::Outgoing);

impl Mortal {
    fn kill(&mut self) {
        // It may have been killed before.
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The cgroups that OCI runtimes made.
fn cgroups() -> usize {
    let mut found = 0;
    for top in ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"] {
        let entries = fs::read_dir(top).into_iter().flatten().flatten();
        let ours =
            |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("sandbox-");
        found += entries.filter(ours).count();
    }
    found
}

fn killing_the_starter_leaves_nothing(world: &World) -> Outcome {
    for init in [false, world.native] {
        let (mark, layers) = (mark(world, "starter"), world.layers(&[]));
        let groups = cgroups();
        let runtime = world.runtime.as_ref();
        let mut starter = Mortal(kiln_sandbox::open("starter", runtime).unwrap());
        let spec = serde_json::to_vec(&sleeper(&layers, &mark, init)).unwrap();
        let socket = &mut starter.0.socket;
        socket.write_all(&spec).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = [0; 7];
        socket.read_exact(&mut said).unwrap();
        until("it has been executed", || lives(&mark));
        assert_eq!(mounts(world), 0, "none is seen from outside while it runs");
        starter.kill();
        until("its processes have ended", || !lives(&mark));
        until("its cgroup is gone", || cgroups() <= groups);
        assert_eq!(mounts(world), 0);
    }
    Ok(())
}

fn killing_the_watcher_leaves_nothing(world: &World) -> Outcome {
    if !world.native {
        return Err("a runtime's process does not die with who watches it".into());
    }
    for init in [false, true] {
        let (mark, layers) = (mark(world, "watcher"), world.layers(&[]));
        let spec = sleeper(&layers, &mark, init);
        let mut running = world.runner.start(&spec, Io::null()).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .unwrap()
            .trim();
        assert!(
            Command::new("kill")
                .args(["-9", parent])
                .status()
                .unwrap()
                .success()
        );
        until("its processes have ended", || !lives(&mark));
        let error = running.wait().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the process that watches the sandbox was killed"
        );
    }
    Ok(())
}

fn dropping_the_handle_kills(world: &World) -> Outcome {
    let (mark, layers) = (mark(world, "drop"), world.layers(&[]));
    let running = world
        .runner
        .start(&sleeper(&layers, &mark, false), Io::null())
        .unwrap();
    until("it has been executed", || lives(&mark));
    drop(running);
    assert!(!lives(&mark), "at once");
    Ok(())
}

fn the_end_takes_the_rest_along(world: &World) -> Outcome {
    for init in [false, world.native] {
        let mark = mark(world, "rest");
        let script = format!("sh -c 'while :; do sleep 7; done # {mark}' & sleep 0.1; exit 4");
        let layers = world.layers(&[]);
        let mut spec = Spec::new(layers.root.clone(), shell(&script));
        spec.init = init;
        let exit = world.runner.run(&spec, Io::null()).unwrap();
        assert_eq!(exit.code(), 4);
        assert!(!lives(&mark), "when the end is told");
    }
    Ok(())
}

fn the_end_of_a_thread_changes_nothing(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let spec = Spec::new(layers.root.clone(), shell("sleep 0.3; exit 6"));
    let mut running = std::thread::scope(|scope| {
        let start = || world.runner.start(&spec, Io::null()).unwrap();
        // Runners are shared between threads; what the scope returns outlives its thread.
        scope.spawn(start).join().unwrap()
    });
    assert_eq!(running.wait().unwrap().code(), 6);
    Ok(())
}
