//! Containers at a terminal: `run -it`, its keys, its size, its end; and signals without one.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use kiln_tests::{
    kiln::Kiln,
    pty::Pty,
    until::until,
    who::{Who, everybody},
};

fn runs(kiln: &Kiln, name: &str) -> bool {
    let filter = format!("name=^{name}$");
    !kiln.ok(["ps", "-q", "--filter", &filter]).is_empty()
}

#[test]
fn a_shell_at_a_terminal() {
    everybody(|_, kiln| {
        let mut pty = Pty::start(&kiln.command(["run", "-it", "--rm", "busybox", "sh"]));
        let before = pty.original().to_owned();
        pty.expect("# ");
        assert_ne!(pty.settings(), before, "raw while it runs");
        pty.send("tty; stty size\n");
        pty.expect("/dev/pts/0");
        pty.expect("24 80");
        pty.resize(50, 132);
        until("the new size arrives", || {
            pty.send("stty size\n");
            thread::sleep(Duration::from_millis(50));
            let shown = pty.expect("# ");
            shown.contains("50 132").then_some(())
        });
        // Ctrl-C ends what runs in the shell, not the shell; jobs work.
        pty.send("echo begin; sleep 1000\n");
        pty.expect("begin\r\n");
        thread::sleep(Duration::from_millis(300));
        pty.send("\x03");
        pty.send("echo st''ill here $?\n");
        pty.expect("still here 130");
        pty.send("sleep 1000\n");
        thread::sleep(Duration::from_millis(300));
        pty.send("\x1a");
        pty.expect("Stopped");
        pty.send("kill -9 %1\nexit 7\nexit 7\n");
        let (code, shown) = pty.wait();
        assert_eq!(code, 7, "{shown}");
        assert!(!shown.contains("can't access tty"), "{shown}");
        assert_eq!(pty.settings(), before, "as it was");
        assert_eq!(kiln.ok(["ps", "-aq"]), "");
    });
}

#[test]
fn let_go_of_and_found_again() {
    everybody(|_, kiln| {
        let mut pty = Pty::start(&kiln.command(["run", "-it", "--name", "kept", "busybox", "sh"]));
        let before = pty.original().to_owned();
        pty.expect("# ");
        pty.send("\x10\x11");
        assert_eq!(pty.wait().0, 0);
        assert_eq!(pty.settings(), before);
        assert!(runs(kiln, "kept"));

        let mut again =
            Pty::start(&kiln.command(["start", "-ai", "--detach-keys", "ctrl-a,x", "kept"]));
        again.send("\n");
        again.expect("# ");
        // The usual keys go to the shell now.
        again.send("\x10\x11echo o''n\n");
        again.expect("on");
        again.send("\x01x");
        assert_eq!(again.wait().0, 0);
        assert!(runs(kiln, "kept"));

        let config = kiln.scratch().join(".docker/config.json");
        kiln_tests::kiln::write(&config, r#"{"detachKeys": "ctrl-b"}"#);
        let mut third = Pty::start(&kiln.command(["start", "-ai", "kept"]));
        third.send("echo th''ird\n");
        third.expect("third");
        third.send("\x02");
        assert_eq!(third.wait().0, 0);
        assert!(runs(kiln, "kept"));
        kiln.ok(["rm", "-f", "kept"]);
    });
}

#[test]
fn what_is_on_its_screen_is_drawn_anew_for_who_comes() {
    let kiln = Who::Root.kiln();
    let script = "trap 'echo drawn; stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut pty = Pty::start(&kiln.command([
        "run", "-it", "--name", "kept", "busybox", "sh", "-c", script,
    ]));
    pty.expect("ready");
    pty.send("\x10\x11");
    assert_eq!(pty.wait().0, 0);
    let mut pty = Pty::start(&kiln.command(["attach", "kept"]));
    pty.expect("drawn");
    pty.expect("24 80");
    kiln.ok(["rm", "-f", "kept"]);
}

#[test]
fn killed_it_leaves_the_terminal_as_it_was_and_the_container_alive() {
    everybody(|_, kiln| {
        let mut pty = Pty::start(&kiln.command(["run", "-it", "--name", "kept", "busybox", "sh"]));
        let before = pty.original().to_owned();
        pty.expect("# ");
        let pid = pty.id().to_string();
        Command::new("kill").args(["-9", &pid]).status().unwrap();
        pty.wait();
        until("the terminal is as it was", || {
            (pty.settings() == before).then_some(())
        });
        assert!(runs(kiln, "kept"));
        kiln.ok(["rm", "-f", "kept"]);
    });
}

#[test]
fn without_a_terminal_here() {
    let kiln = Who::Root.kiln();
    let said = kiln.run(["run", "-it", "--rm", "busybox", "true"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("the input device is not a TTY"),
        "{}",
        said.err
    );
    assert_eq!(kiln.ok(["ps", "-aq"]), "");
    // Its own it can have all the same; both of its streams are one then.
    let script = "tty; echo err >&2";
    let said = kiln.run(["run", "-t", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(said.out, "/dev/pts/0\r\nerr\r\n", "{}", said.err);
    kiln.ok([
        "run",
        "-dt",
        "--name",
        "back",
        "busybox",
        "sh",
        "-c",
        "tty; sleep 1000",
    ]);
    until("it has a terminal", || {
        kiln.ok(["logs", "back"])
            .contains("/dev/pts/0")
            .then_some(())
    });
    kiln.ok(["rm", "-f", "back"]);
    // What cannot start leaves the terminal alone.
    let mut pty = Pty::start(&kiln.command(["run", "-it", "--rm", "busybox", "nothing-here"]));
    let before = pty.original().to_owned();
    let (code, shown) = pty.wait();
    assert_eq!(code, 127, "{shown}");
    assert!(
        shown.contains("executable file not found in $PATH\r\n"),
        "{shown:?}"
    );
    assert_eq!(pty.settings(), before);
}

const TRAPS: &str = "trap 'echo one' USR1; trap 'echo two; exit 9' TERM; echo up; \
                     while :; do sleep 0.05; done";

#[test]
fn signals_are_passed_on() {
    everybody(|_, kiln| {
        let start = |name: &str, more: &[&str]| {
            let mut args = vec!["run", "--name", name];
            args.extend(more);
            args.extend(["busybox", "sh", "-c", TRAPS]);
            let child = kiln.command(args).stdout(Stdio::piped()).spawn().unwrap();
            until("it is up", || {
                let logs = kiln.run(["logs", name]);
                logs.out.contains("up").then_some(())
            });
            child
        };
        let signal = |pid: u32, name: &str| {
            let pid = pid.to_string();
            Command::new("kill").args([name, &pid]).status().unwrap();
        };
        let child = start("with", &[]);
        signal(child.id(), "-USR1");
        until("it was told", || {
            kiln.ok(["logs", "with"]).contains("one").then_some(())
        });
        signal(child.id(), "-TERM");
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(9));
        assert_eq!(String::from_utf8_lossy(&said.stdout), "up\none\ntwo\n");

        let mut child = start("without", &["--sig-proxy=false"]);
        signal(child.id(), "-TERM");
        assert_eq!(child.wait().unwrap().code(), None);
        assert!(runs(kiln, "without"));
        kiln.ok(["rm", "-f", "without"]);
    });
}
