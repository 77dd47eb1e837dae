//! `kiln logs`.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use kiln_tests::{base::busybox, kiln::Kiln};

fn prepared() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln
}

/// A container that has written three lines to each stream, in turns, and ended.
fn written(kiln: &Kiln) {
    let script = "for i in 1 2 3; do echo out $i; sleep 0.02; echo err $i >&2; sleep 0.02; done";
    kiln.ok([
        "run", "-d", "--name", "wrote", "busybox", "sh", "-c", script,
    ]);
    assert_eq!(kiln.ok(["wait", "wrote"]), "0\n");
}

#[test]
fn the_streams_are_kept_apart() {
    let kiln = prepared();
    written(&kiln);
    let said = kiln.run(["logs", "wrote"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out, "out 1\nout 2\nout 3\n");
    assert_eq!(said.err, "err 1\nerr 2\nerr 3\n");
}

#[test]
fn the_end_of_them() {
    let kiln = prepared();
    written(&kiln);
    for (flags, out, err) in [
        (&["--tail", "2"][..], "out 3\n", "err 3\n"),
        (&["-n", "1"], "", "err 3\n"),
        (&["-n0"], "", ""),
        (
            &["-n", "all"],
            "out 1\nout 2\nout 3\n",
            "err 1\nerr 2\nerr 3\n",
        ),
        (&["--details", "-n1"], "", " err 3\n"),
    ] {
        let said = kiln.run([&["logs"], flags, &["wrote"]].concat());
        assert_eq!(
            (said.out.as_str(), said.err.as_str()),
            (out, err),
            "{flags:?}"
        );
    }
    assert_eq!(kiln.run(["logs", "-n", "some", "wrote"]).code, 125);
}

#[test]
fn since_and_until() {
    let kiln = prepared();
    written(&kiln);
    let stamped = kiln.ok(["logs", "-t", "wrote"]);
    let second = stamped.lines().nth(1).unwrap();
    let (time, text) = second.split_once(' ').unwrap();
    assert_eq!(text, "out 2");
    assert_eq!(time.len(), "2024-05-01T10:00:00.123456789Z".len(), "{time}");
    assert!(time.ends_with('Z'));
    assert_eq!(
        kiln.ok(["logs", "--since", time, "wrote"]),
        "out 2\nout 3\n"
    );
    let said = kiln.run(["logs", "--until", time, "wrote"]);
    assert!(
        said.out.starts_with("out 1\n") && !said.out.contains("out 3"),
        "{}",
        said.out
    );
    assert_eq!(
        kiln.ok(["logs", "--since", "1h", "wrote"]),
        "out 1\nout 2\nout 3\n"
    );
    assert_eq!(kiln.ok(["logs", "--until", "1h", "wrote"]), "");
    assert_eq!(kiln.ok(["logs", "--since", "2100-01-01", "wrote"]), "");
    let e = kiln.fails(["logs", "--since", "yesterday", "wrote"]).err;
    assert!(
        e.contains("failed to parse value as time or duration: \"yesterday\""),
        "{e}"
    );
}

#[test]
fn followed_until_the_container_ends() {
    let kiln = prepared();
    let script = "echo first; until [ -e /go ]; do sleep 0.02; done; echo last";
    kiln.ok([
        "run", "-d", "--name", "follow", "busybox", "sh", "-c", script,
    ]);
    let mut logs = kiln.command(["logs", "-f", "follow"]);
    let mut logs = logs.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    kiln.ok(["exec", "follow", "touch", "/go"]);
    assert_eq!(lines.next().unwrap().unwrap(), "last");
    assert!(lines.next().is_none());
    assert!(logs.wait().unwrap().success());
    // Of one that has ended, all there is.
    assert_eq!(kiln.ok(["logs", "--follow", "follow"]), "first\nlast\n");
}

#[test]
fn whoever_reads_along_may_go() {
    let kiln = prepared();
    let script = "while :; do echo line; sleep 0.01; done";
    kiln.ok([
        "run", "-d", "--name", "follow", "busybox", "sh", "-c", script,
    ]);
    let mut logs = kiln.command(["logs", "-f", "follow"]);
    let mut logs = logs.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let start = Instant::now();
    let ended = loop {
        if let Some(ended) = logs.try_wait().unwrap() {
            break ended;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it goes on for nobody"
        );
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(ended.success());
    kiln.ok(["rm", "-f", "follow"]);
}

#[test]
fn bytes_and_long_lines_come_as_they_were_written() {
    let kiln = prepared();
    let script = "head -c 50000 /dev/zero | tr '\\0' x; echo; printf 'no end'";
    kiln.ok(["run", "-d", "--name", "long", "busybox", "sh", "-c", script]);
    kiln.ok(["wait", "long"]);
    let want = format!("{}\nno end", "x".repeat(50000));
    assert!(
        kiln.ok(["logs", "long"]) == want,
        "a long line is not whole"
    );
}

#[test]
fn of_nothing() {
    let kiln = prepared();
    let said = kiln.fails(["logs", "nobody"]);
    assert!(
        said.err.contains("No such container: nobody"),
        "{}",
        said.err
    );
    kiln.ok(["create", "--name", "new", "busybox", "true"]);
    assert_eq!(kiln.ok(["logs", "new"]), "");
    assert_eq!(kiln.ok(["logs", "-f", "new"]), "");
}
