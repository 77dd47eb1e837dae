//! Many at once on the same few containers: each gets an answer that makes sense, and nothing is left.

use std::{fs, thread};

use kiln_tests::{base::busybox, kiln::Kiln};

/// What may come of a command when another was faster.
const FAIR: [&str; 8] = [
    "No such container",
    "already in use",
    "is not running",
    "is running",
    "Renaming a container with",
    "stopped container",
    "another program has it",
    "is just being started",
];

#[test]
fn eight_at_once_on_three_containers() {
    let kiln = Kiln::new();
    busybox(&kiln);
    thread::scope(|scope| {
        for one in 0..8_usize {
            let kiln = &kiln;
            scope.spawn(move || {
                for step in 0..8_usize {
                    act(
                        kiln,
                        one * 7 + step * 5,
                        &format!("box{}", (one + step) % 3),
                    );
                }
            });
        }
    });
    let ids = kiln.ok(["ps", "-a", "-q"]);
    for id in ids.lines() {
        kiln.ok(["rm", "-f", id]);
    }
    kiln.ok(["system", "check"]);
    for folder in ["tmp", "containers/leases", "refs/container"] {
        let left = fs::read_dir(kiln.root().join(folder));
        let left = left.map_or(0, Iterator::count);
        assert_eq!(left, 0, "in `{folder}`");
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(kiln.root().to_str().unwrap()));
}

fn act(kiln: &Kiln, which: usize, name: &str) {
    let args: &[&str] = match which % 9 {
        0 | 1 => &["run", "-d", "--name", name, "busybox", "sleep", "1000"],
        2 => &["start", name],
        3 => &["stop", "-t", "0", name],
        4 => &["rm", "-f", name],
        5 => &["rename", name, "box1"],
        6 => &["exec", name, "true"],
        7 => &["cp", &format!("{name}:/etc/passwd"), "-"],
        _ => &["commit", name],
    };
    let said = kiln.run(args);
    let fair = FAIR.iter().any(|text| said.err.contains(text));
    // One that was killed while it was worked in.
    let killed = said.code == 137;
    assert!(
        said.code == 0 || killed || fair,
        "{args:?}: {} {}",
        said.code,
        said.err
    );
}
