//! `kiln exec` and `kiln attach`.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use kiln_tests::{base::busybox, kiln::Kiln, pty::Pty, until::until, users::User, who::Who};

/// A container `box` that waits.
fn running() -> Kiln {
    running_by(Kiln::new())
}

fn running_by(kiln: Kiln) -> Kiln {
    busybox(&kiln);
    let dockerfile = "FROM busybox
RUN printf x > /not-executable
ENV A=image B=image
WORKDIR /work
USER user
CMD [\"sleep\", \"1000\"]
";
    kiln.build("app", &[("Dockerfile", dockerfile)]);
    kiln.ok(["run", "-d", "--name", "box", "app"]);
    kiln
}

#[test]
fn beside_the_first_process() {
    let kiln = running();
    let script = "echo $A $B; pwd; id -un; hostname; cat /proc/1/cmdline | tr '\\0' ' '";
    let out = kiln.ok(["exec", "box", "sh", "-c", script]);
    let id = kiln.ok(["ps", "-q"]);
    let want = format!("image image\n/work\nuser\n{}\nsleep 1000 ", id.trim());
    assert_eq!(out, want);
    let file = kiln.scratch().join("env");
    fs::write(&file, "B=file\n# no\nD=x y\n").unwrap();
    let flags = ["exec", "-e", "A=flag", "--env-file"];
    let rest = [
        "-w",
        "/tmp",
        "-u",
        "0",
        "box",
        "sh",
        "-c",
        "echo $A $B $D; pwd; id -un",
    ];
    let args = [&flags[..], &[file.to_str().unwrap()], &rest].concat();
    assert_eq!(kiln.ok(args), "flag file x y\n/tmp\nroot\n");
    // What one makes the other sees.
    kiln.ok(["exec", "-u", "0", "box", "touch", "/made"]);
    kiln.ok(["exec", "box", "test", "-e", "/made"]);
    // Streams stay apart.
    let said = kiln.run(["exec", "box", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("out\n", "err\n"));
}

#[test]
fn exit_codes_are_dockers() {
    let kiln = running();
    assert_eq!(kiln.run(["exec", "box", "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(
        kiln.run(["exec", "box", "sh", "-c", "kill -9 $$"]).code,
        137
    );
    for (args, code, says) in [
        (
            &["box", "nothing"][..],
            127,
            "executable file not found in $PATH",
        ),
        (&["box", "/not-executable"], 126, "permission denied"),
        (&["-u", "nobody-here", "box", "true"], 126, "nobody-here"),
        (&["-w", "relative", "box", "true"], 126, "relative"),
        (&["nobody", "true"], 1, "No such container: nobody"),
    ] {
        let said = kiln.run([&["exec"], args].concat());
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
    }
    kiln.ok(["create", "--name", "new", "app"]);
    kiln.ok(["kill", "box"]);
    kiln.ok(["wait", "box"]);
    for name in ["box", "new"] {
        let said = kiln.fails(["exec", name, "true"]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("is not running"), "{}", said.err);
    }
}

#[test]
fn input_is_given_only_where_it_is_asked_for() {
    let kiln = running();
    let give = |flags: &[&str]| {
        let mut command = kiln.command([&["exec"], flags, &["box", "cat"]].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Without -i nobody reads it.
        let _ = stdin.write_all(b"given");
        drop(stdin);
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(give(&["-i"]), "given");
    assert_eq!(give(&[]), "");
}

#[test]
fn in_the_background() {
    let kiln = running();
    let script = "sleep 0.3; echo done > /tmp/late";
    assert_eq!(kiln.ok(["exec", "-d", "box", "sh", "-c", script]), "");
    until("what runs in the background", || {
        let said = kiln.run(["exec", "box", "cat", "/tmp/late"]);
        (said.out == "done\n").then_some(())
    });
    // As people type it who think of run.
    let script = "tty > /tmp/tty";
    kiln.ok(["exec", "-dit", "box", "sh", "-c", script]);
    until("its terminal", || {
        let said = kiln.run(["exec", "box", "cat", "/tmp/tty"]);
        said.out.starts_with("/dev/pts/").then_some(())
    });
    let said = kiln.run(["exec", "-d", "box", "nothing"]);
    assert_eq!(said.code, 127, "{}", said.err);
}

#[test]
fn a_shell_on_a_terminal() {
    shell_on_a_terminal(&running());
}

#[test]
fn a_shell_on_a_terminal_without_root() {
    let user = Arc::new(User::with_ids());
    shell_on_a_terminal(&running_by(Kiln::of(&user)));
}

fn shell_on_a_terminal(kiln: &Kiln) {
    let mut shell = Pty::start(&kiln.command(["exec", "-it", "box", "sh"]));
    let before = shell.original().to_owned();
    shell.expect("/work $ ");
    shell.send("tty; stty size\n");
    shell.expect("/dev/pts/");
    shell.expect("24 80");
    shell.resize(40, 120);
    until("the new size", || {
        shell.send("stty size\n");
        shell.expect("$ ").contains("40 120").then_some(())
    });
    // Ctrl-C ends what runs, not the shell.
    shell.send("sleep 500\n");
    shell.expect("sleep 500");
    std::thread::sleep(std::time::Duration::from_millis(200));
    shell.send("\x03");
    shell.send("echo still $((40 + 2))\n");
    shell.expect("still 42");
    shell.send("exit 9\n");
    assert_eq!(shell.wait().0, 9);
    assert_eq!(shell.settings(), before);
    assert_eq!(kiln.ok(["ps", "--format", "{{.Names}}"]), "box\n");
}

#[test]
fn killed_it_leaves_the_terminal_as_it_was() {
    let kiln = running();
    let mut shell = Pty::start(&kiln.command(["exec", "-it", "box", "sh"]));
    let before = shell.original().to_owned();
    shell.expect("/work $ ");
    shell.send("sleep 777\n");
    shell.expect("sleep 777");
    assert_ne!(shell.settings(), before);
    let pid = shell.id().to_string();
    Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    until("the terminal is as it was", || {
        (shell.settings() == before).then_some(())
    });
    // What was asked for through it ends with it.
    until("nothing is left of it", || {
        let list = kiln.ok(["exec", "box", "ps"]);
        (!list.contains("sleep 777")).then_some(())
    });
    kiln.ok(["exec", "box", "true"]);
}

#[test]
fn let_go_of_it_lives_on() {
    let_go(&running());
}

#[test]
fn let_go_of_it_lives_on_without_root() {
    for who in Who::USERS {
        let kiln = who.kiln();
        kiln.ok(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
        let_go(&kiln);
    }
}

fn let_go(kiln: &Kiln) {
    // More than a terminal holds that nobody reads.
    let script = "echo up; until test -e /tmp/go; do sleep 0.1; done; yes | head -n 100000; \
        echo done >/tmp/done; exec sleep 4242";
    let mut pty = Pty::start(&kiln.command(["exec", "-it", "box", "sh", "-c", script]));
    let before = pty.original().to_owned();
    pty.expect("up");
    assert_ne!(pty.settings(), before);
    pty.send("\x10\x11");
    pty.expect("read escape sequence");
    assert_eq!(pty.wait().0, 0);
    assert_eq!(pty.settings(), before);
    kiln.ok(["exec", "box", "touch", "/tmp/go"]);
    until("it writes all of it", || {
        let said = kiln.run(["exec", "box", "cat", "/tmp/done"]);
        (said.out == "done\n").then_some(())
    });
    until("it goes on", || {
        kiln.ok(["top", "box"]).contains("sleep 4242").then_some(())
    });
    assert!(!pty.shows("y\r\n"), "nothing of it comes here any more");
    // It is of the container, and ends with it.
    let pid = kiln.ok(["top", "box", "-o", "pid,args"]);
    let pid = pid.lines().find(|line| line.contains("sleep 4242"));
    let pid = pid.unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(fs::exists(format!("/proc/{pid}")).unwrap());
    kiln.ok(["kill", "box"]);
    until("it ends with the container", || {
        let gone = !fs::exists(format!("/proc/{pid}")).unwrap();
        gone.then_some(())
    });
}

#[test]
fn the_keys_that_let_go() {
    let kiln = running();
    let said = kiln.fails(["exec", "--detach-keys", "ctrl-", "box", "true"]);
    assert!(said.err.contains("invalid detach keys"), "{}", said.err);
    assert_eq!(said.code, 1);
    let config = kiln.scratch().join(".docker/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(config, r#"{"detachKeys": "ctrl-a,d"}"#).unwrap();
    for (flags, keys) in [
        (&[][..], "\x01d"),
        (&["--detach-keys", "ctrl-e"], "\x05"),
        // An empty flag is none.
        (&["--detach-keys", ""], "\x01d"),
    ] {
        let cat = ["box", "sh", "-c", "echo up; exec cat"];
        let args = [&["exec", "-it"], flags, &cat].concat();
        let mut pty = Pty::start(&kiln.command(args));
        pty.expect("up");
        // docker's usual ones are typed, and what only begins like ours.
        pty.send("\x10\x11\x01x\n");
        pty.expect("^P");
        pty.expect("^Ax");
        pty.send(keys);
        let (code, shown) = pty.wait();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("read escape sequence"), "{shown}");
    }
    until("each of them goes on", || {
        let list = kiln.ok(["top", "box", "-o", "args"]);
        (list.lines().filter(|line| *line == "cat").count() == 3).then_some(())
    });
    // Without our input there is nothing to look for them in.
    let out = kiln.ok(["exec", "box", "printf", r"\x01d"]);
    assert_eq!(out, "\x01d");
}

#[test]
fn a_terminal_that_is_none_is_told() {
    let kiln = running();
    let said = kiln.fails(["exec", "-it", "box", "sh"]);
    assert!(
        said.err.contains("the input device is not a TTY"),
        "{}",
        said.err
    );
    // Only the process has one: docker takes that.
    assert!(
        kiln.ok(["exec", "-t", "box", "tty"])
            .starts_with("/dev/pts/")
    );
}

#[test]
fn a_terminal_has_its_size_from_the_start() {
    let kiln = running();
    for _ in 0..5 {
        let mut stty = Pty::start(&kiln.command(["exec", "-t", "box", "stty", "size"]));
        stty.expect("24 80");
        assert_eq!(stty.wait().0, 0);
    }
}

#[test]
fn a_reader_that_goes_is_its_end() {
    let kiln = running();
    let mut command = kiln.command(["exec", "-t", "box", "yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut [0; 2])
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13));
    let list = kiln.ok(["top", "box", "-o", "args"]);
    assert!(!list.contains("yes"), "{list}");
}

#[test]
fn attached_and_let_go() {
    attach_and_let_go(&Kiln::new());
}

#[test]
fn attached_and_let_go_without_root() {
    let user = Arc::new(User::without_ids());
    attach_and_let_go(&Kiln::of(&user));
}

fn attach_and_let_go(kiln: &Kiln) {
    busybox(kiln);
    kiln.ok(["run", "-dit", "--name", "shell", "busybox", "sh"]);
    let mut one = Pty::start(&kiln.command(["attach", "shell"]));
    let before = one.original().to_owned();
    one.send("echo $((1000 + 1))\n");
    one.expect("1001");
    // The second sees what the first types.
    let mut two = Pty::start(&kiln.command(["attach", "--detach-keys", "ctrl-a,d", "shell"]));
    until("both see it", || {
        one.send("echo $((1000 + 2))\n");
        one.expect("1002");
        two.shows("1002").then_some(())
    });
    two.send("\x01d");
    assert_eq!(two.wait().0, 0);
    one.send("\x10\x11");
    assert_eq!(one.wait().0, 0);
    assert_eq!(one.settings(), before);
    assert_eq!(kiln.ok(["ps", "-q"]).lines().count(), 1);
    // The shell's end is ours.
    let mut last = Pty::start(&kiln.command(["attach", "shell"]));
    last.send("\n");
    last.expect("# ");
    last.send("exit 4\n");
    assert_eq!(last.wait().0, 4);
    let said = kiln.fails(["attach", "shell"]);
    assert!(
        said.err.contains("cannot attach to a stopped container"),
        "{}",
        said.err
    );
}
