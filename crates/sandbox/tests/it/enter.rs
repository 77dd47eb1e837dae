//! One more process beside one that runs.

use std::fs;
use std::io::{Read, Write};

use kiln_sandbox::terminal::Size;
use kiln_sandbox::{
    Capability, Door, Error, ErrorKind, Incoming, Io, Mount, Network, Peer, Process, User, enter,
    enter_detached,
};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::terminal::Screen;
use crate::world::{Ran, Started, World, lives, shell, until};

cases![
    it_is_where_the_other_is,
    it_has_its_own_of_the_rest,
    what_it_may_do,
    a_terminal_of_its_own,
    what_cannot_be_executed,
    one_that_has_ended,
    it_ends_with_the_other,
    it_dies_with_the_handle,
    it_dies_with_the_caller,
    detached_it_lives_on,
    left_it_lives_on,
    a_first_process_is_left,
    nobody_inside_sees_who_enters,
    it_takes_signals,
    nothing_leaks,
];

/// One that runs until it is dropped, with an init or without.
fn host(world: &World, init: bool) -> Result<(Started, Peer), String> {
    let mut started = world.start("echo up; while :; do sleep 1; done", |spec| {
        spec.init = init;
        spec.hostname = Some("inner".into());
        if init {
            spec.network = Network::None;
        }
        spec.mounts.push(Mount::Tmpfs {
            target: "/data".into(),
            size: None,
            mode: 0o755,
            exec: false,
        });
    });
    started.line();
    let peer = Peer::new(started.running.pid());
    Ok((started, peer))
}

fn run(peer: &Peer, process: &Process) -> Result<Ran, Error> {
    let (mut stdout, out) = std::io::pipe().unwrap();
    let (mut stderr, err) = std::io::pipe().unwrap();
    let io = Io {
        stdin: Default::default(),
        stdout: out.into(),
        stderr: err.into(),
    };
    let mut running = enter(peer, process, false, io)?;
    let (mut text, mut errors) = (String::new(), String::new());
    stdout.read_to_string(&mut text).unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    Ok(Ran {
        exit: running.wait()?,
        stdout: text,
        stderr: errors,
    })
}

fn said(peer: &Peer, script: &str) -> String {
    let ran = run(peer, &shell(script)).unwrap();
    assert!(ran.exit.success(), "{ran:?}");
    ran.stdout
}

fn it_is_where_the_other_is(world: &World) -> Outcome {
    for init in [false, true] {
        let (_host, peer) = host(world, init)?;
        let script =
            "for one in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$one; done";
        let own = said(&peer, script);
        // An init hides what it has.
        let other = "for one in user mnt pid net ipc uts cgroup; do readlink /proc/1/ns/$one; done";
        if !init {
            assert_eq!(said(&peer, other), own);
        }
        let host_user = fs::read_link("/proc/self/ns/user").unwrap();
        let root = world.ids.is_none();
        assert_eq!(own.lines().next() == host_user.to_str(), root);
        assert_eq!(own.lines().count(), 7);
        let network = fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(own.lines().nth(3) == network.to_str(), !init);
        assert_eq!(said(&peer, "hostname; cat /etc/lower"), "inner\nlower\n");
        said(&peer, "echo here >/data/file; test $$ -gt 1");
        assert_eq!(said(&peer, "cat /data/file"), "here\n");
    }
    Ok(())
}

fn it_has_its_own_of_the_rest(world: &World) -> Outcome {
    let (_host, peer) = host(world, false)?;
    let mut process = shell("pwd; echo $A; id -u; id -g; id -G; umask; ls /proc/self/fd | wc -l");
    process.cwd = "/home/app".into();
    process.env.push(("A".into(), "b c".into()));
    if !world.single() {
        process.user = User {
            uid: 5,
            gid: 6,
            groups: vec![7, 8],
        };
    }
    let ran = run(&peer, &process).unwrap();
    let user = if world.single() {
        "0\n0\n0"
    } else {
        "5\n6\n6 7 8"
    };
    // The directory that is listed is the fourth descriptor.
    let all = format!("/home/app\nb c\n{user}\n0022\n4\n");
    assert_eq!(ran.stdout, all, "{}", ran.stderr);
    if world.single() {
        process.user.uid = 5;
        let error = run(&peer, &process).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Process);
        assert!(error.to_string().contains("no subordinate ids"), "{error}");
    }
    Ok(())
}

fn what_it_may_do(world: &World) -> Outcome {
    let (_host, peer) = host(world, true)?;
    let of = |process: &Process, privileged| {
        let (mut stdout, out) = std::io::pipe().unwrap();
        let io = Io {
            stdout: out.into(),
            ..Io::null()
        };
        let mut running = enter(&peer, process, privileged, io).unwrap();
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        running.wait().unwrap();
        text
    };
    let mut process = shell("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status");
    let usual =
        "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n";
    assert_eq!(of(&process, false), usual);
    process.capabilities = vec![Capability::Chown];
    process.no_new_privileges = true;
    let less =
        "CapEff:\t0000000000000001\nCapBnd:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    assert_eq!(of(&process, false), less);
    assert!(of(&process, true).ends_with("Seccomp:\t0\n"));
    Ok(())
}

fn a_terminal_of_its_own(world: &World) -> Outcome {
    for init in [false, true] {
        let (_host, peer) = host(world, init)?;
        let mut process =
            shell("tty; stty size; echo ok >/dev/tty; read line; echo got $line; exit 4");
        process.terminal = true;
        process.size = Some(Size {
            rows: 7,
            columns: 77,
        });
        let mut screen = Screen::new(enter(&peer, &process, false, Io::null()).unwrap());
        screen.shows("/dev/pts/0\r\n7 77\r\nok\r\n");
        screen.types("words\r");
        screen.shows("got words\r\n");
        assert_eq!(screen.ends(), 4);
        process.argv = vec!["sh".into(), "-i".into()];
        process.env.push(("PS1".into(), "prompt> ".into()));
        let mut screen = Screen::new(enter(&peer, &process, false, Io::null()).unwrap());
        assert!(!screen.shows("prompt> ").contains("job control"));
        screen.types("exit 3\r");
        assert_eq!(screen.ends(), 3);
        let error = enter(&peer, &process, false, Io::inherit()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Process);
    }
    Ok(())
}

fn what_cannot_be_executed(world: &World) -> Outcome {
    let (_host, peer) = host(world, false)?;
    let error = |process: &Process| run(&peer, process).unwrap_err();
    let mut missing = Process::new(["nope"]);
    missing.env = vec![("PATH".into(), "/bin".into())];
    let found = error(&missing);
    assert_eq!(found.docker_code(), 127);
    let text = "exec: \"nope\": executable file not found in $PATH";
    assert_eq!(found.to_string(), text);
    let found = error(&Process::new(["/etc/lower"]));
    assert_eq!(found.docker_code(), 126);
    assert_eq!(found.to_string(), "exec: \"/etc/lower\": permission denied");
    let mut nowhere = shell("true");
    nowhere.cwd = "/nowhere".into();
    assert_eq!(error(&nowhere).kind(), ErrorKind::WorkingDirectory);
    let none: [&str; 0] = [];
    assert_eq!(error(&Process::new(none)).kind(), ErrorKind::Process);
    Ok(())
}

fn one_that_has_ended(world: &World) -> Outcome {
    let (host, peer) = host(world, false)?;
    assert!(peer.is_running());
    // Another that has the id.
    let born = peer.born.map(|born| born - 1);
    let other = Peer { born, ..peer };
    let error = |peer: &Peer| run(peer, &shell("true")).unwrap_err();
    let ended = format!("process {} does not run any more", peer.pid);
    assert_eq!(error(&other).to_string(), ended);
    drop(host);
    assert!(!peer.is_running());
    assert_eq!(error(&peer).to_string(), ended);
    assert_eq!(error(&peer).kind(), ErrorKind::Ended);
    Ok(())
}

/// A text by which a process of one test is known.
fn mark(world: &World, name: &str) -> String {
    let ids = world.ids.is_some();
    format!("{}-{name}-{}-{ids}", std::process::id(), world.native)
}

fn sleeper(mark: &str) -> Process {
    shell(&format!("while :; do sleep 1; done # {mark}"))
}

fn it_ends_with_the_other(world: &World) -> Outcome {
    for init in [false, true] {
        let (host, peer) = host(world, init)?;
        let mark = mark(world, "with");
        let mut beside = enter(&peer, &sleeper(&mark), false, Io::null()).unwrap();
        assert!(lives(&mark));
        drop(host);
        assert_eq!(beside.wait().unwrap().code(), 137);
        assert!(!lives(&mark));
    }
    Ok(())
}

fn it_dies_with_the_handle(world: &World) -> Outcome {
    let (_host, peer) = host(world, false)?;
    let mark = mark(world, "handle");
    let beside = enter(&peer, &sleeper(&mark), false, Io::null()).unwrap();
    assert!(lives(&mark));
    drop(beside);
    assert!(!lives(&mark), "at once");
    assert!(peer.is_running());
    Ok(())
}

/// A program that has a process enter, and is killed.
pub(crate) const DOOR: Door = Door {
    name: "enterer",
    run: enterer,
};

fn enterer(incoming: Incoming) -> i32 {
    let Incoming { mut socket, args } = incoming;
    let peer: Peer = serde_json::from_str(args[0].to_str().unwrap()).unwrap();
    let process = sleeper(args[1].to_str().unwrap());
    let entered = || enter(&peer, &process, false, Io::null()).unwrap();
    let mut held = None;
    match args.get(2).and_then(|how| how.to_str()) {
        None => held = Some(entered()),
        Some("left") => entered().leave().unwrap(),
        Some(_) => drop(enter_detached(&peer, &process, false, Io::null()).unwrap()),
    }
    socket.write_all(b"x").unwrap();
    let _ = socket.read(&mut [0]);
    drop(held);
    0
}

fn killed(peer: &Peer, mark: &str, how: Option<&str>) {
    let peer = serde_json::to_string(peer).unwrap();
    let args = [&peer, mark].into_iter().chain(how);
    let mut caller = kiln_sandbox::open(DOOR.name, args).unwrap();
    caller.socket.read_exact(&mut [0]).unwrap();
    assert!(lives_inside(mark));
    caller.child.kill().unwrap();
    caller.child.wait().unwrap();
}

/// The arguments of the program that was killed have the mark as well.
fn lives_inside(mark: &str) -> bool {
    lives(&format!("# {mark}"))
}

fn it_dies_with_the_caller(world: &World) -> Outcome {
    for init in [false, true] {
        let (_host, peer) = host(world, init)?;
        let mark = mark(world, "caller");
        killed(&peer, &mark, None);
        until("it has ended", || !lives_inside(&mark));
        assert!(peer.is_running());
    }
    Ok(())
}

fn detached_it_lives_on(world: &World) -> Outcome {
    let (host, peer) = host(world, false)?;
    let mark = mark(world, "detached");
    killed(&peer, &mark, Some("detached"));
    assert!(lives_inside(&mark));
    drop(host);
    until("it has ended", || !lives_inside(&mark));
    // With a terminal that nobody reads.
    let (_host, peer) = self::host(world, true)?;
    let mut process = shell("yes | head -n 100000; echo done >/tmp/done");
    process.terminal = true;
    enter_detached(&peer, &process, false, Io::null()).unwrap();
    until("all is written", || {
        said(&peer, "cat /tmp/done 2>/dev/null || true") == "done\n"
    });
    Ok(())
}

fn left_it_lives_on(world: &World) -> Outcome {
    for init in [false, true] {
        let (host, peer) = host(world, init)?;
        let mark = mark(world, "left");
        killed(&peer, &mark, Some("left"));
        assert!(lives_inside(&mark));
        drop(host);
        until("it has ended", || !lives_inside(&mark));
    }
    // By a caller that lives on, with a terminal that nobody reads any more.
    let (_host, peer) = host(world, true)?;
    let mut process = shell(
        "read line; echo got $line; read line; yes | head -n 100000; echo done >/tmp/done; read line",
    );
    process.terminal = true;
    let running = enter(&peer, &process, false, Io::null()).unwrap();
    let mut terminal = running.terminal().unwrap();
    terminal.write_all(b"words\r").unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"got words\r\n") {
        let mut byte = [0];
        terminal.read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    let (signal, dialer) = (running.signaller(), running.dialer());
    running.leave().unwrap();
    signal(9);
    dialer.dial(80).unwrap_err();
    terminal.write_all(b"more\r").unwrap();
    until("all is written", || {
        said(&peer, "cat /tmp/done 2>/dev/null || true") == "done\n"
    });
    // It ends by itself, and its watcher with it.
    terminal.write_all(b"enough\r").unwrap();
    until("it is reaped", || {
        said(&peer, "ps | grep -c '[h]ead -n 100000' || true") == "0\n"
    });
    // One that has ended is let go of as well.
    let running = enter(&peer, &shell("true"), false, Io::null()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    running.leave().unwrap();
    Ok(())
}

fn a_first_process_is_left(world: &World) -> Outcome {
    let mark = mark(world, "first");
    let script = format!("echo up; while :; do sleep 0.1; done # {mark}");
    let mut started = world.start(&script, |_| ());
    assert_eq!(started.line(), "up");
    let pid = started.running.pid();
    started.running.leave().unwrap();
    assert!(lives_inside(&mark));
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
    until("it has ended", || !lives_inside(&mark));
    Ok(())
}

fn nobody_inside_sees_who_enters(world: &World) -> Outcome {
    for init in [false, true] {
        let (_host, peer) = host(world, init)?;
        // The file of an init, which is the host's, is shown to nobody.
        let own = said(&peer, "ls -l /proc/1/exe 2>&1 | grep -c busybox || true");
        assert_eq!(own, if init { "0\n" } else { "1\n" });
        let processes = said(&peer, "ls /proc | grep -c -x '[0-9]*'");
        // Those of the pipe may not be there yet, or not any more.
        let expected = if init { 5..=7 } else { 4..=6 };
        let count: u32 = processes.trim().parse().unwrap();
        assert!(expected.contains(&count), "{count}");
    }
    Ok(())
}

fn it_takes_signals(world: &World) -> Outcome {
    let (_host, peer) = host(world, false)?;
    let (mut stdout, out) = std::io::pipe().unwrap();
    let io = Io {
        stdout: out.into(),
        ..Io::null()
    };
    let script = "trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done";
    let mut running = enter(&peer, &shell(script), false, io).unwrap();
    stdout.read_exact(&mut [0; 3]).unwrap();
    running.signal(10).unwrap();
    assert_eq!(running.wait().unwrap().code(), 9);
    assert!(running.terminal().is_none());
    let error = running.dial(80).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    Ok(())
}

fn nothing_leaks(world: &World) -> Outcome {
    let (_host, peer) = host(world, true)?;
    let mut process = shell("true");
    let used = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().count();
        let own = std::process::id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        (open, children.split_ascii_whitespace().count())
    };
    // The first has this program's own file opened, which stays.
    said(&peer, "true");
    let before = used();
    for terminal in [false, true] {
        process.terminal = terminal;
        for _ in 0..10 {
            let mut running = enter(&peer, &process, false, Io::null()).unwrap();
            assert!(running.wait().unwrap().success());
            drop(running);
            enter_detached(&peer, &process, false, Io::null()).unwrap();
        }
    }
    assert_eq!(used(), before);
    let inside = || {
        said(&peer, "ls /proc | grep -c -x '[0-9]*'")
            .trim()
            .parse::<u32>()
    };
    until("all have been reaped", || inside().unwrap() <= 7);
    Ok(())
}
