//! Streams, those who take part, and how a container is made to end and to go on.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use kiln_container::{
    Attach, AttachEnd, AttachIo, Attached, Container, DetachKeys, ErrorKind, Exec, LogQuery,
    LogStream, Restart, Size, State, Stdin,
};
use kiln_sandbox::{Io, Stream};

use crate::world::{Shared, World, taken, until};

fn lines(container: &Container, query: &LogQuery) -> Vec<(LogStream, String)> {
    let lines = container.logs(query).unwrap().map(|line| {
        let line = line.unwrap();
        (line.stream, String::from_utf8(line.text).unwrap())
    });
    lines.collect()
}

fn logged(container: &Container) -> String {
    let lines = lines(container, &LogQuery::default());
    lines.into_iter().map(|(_, text)| text).collect()
}

fn all() -> Attach {
    Attach {
        stdin: true,
        ..Attach::outputs()
    }
}

/// Takes part in a thread of its own.
fn take_part(
    attached: Attached,
    stdin: Option<Box<dyn Read + Send>>,
    detach: Option<DetachKeys>,
) -> (Shared, std::thread::JoinHandle<AttachEnd>) {
    let out = Shared::default();
    let io = AttachIo {
        stdin,
        stdout: Box::new(out.clone()),
        stderr: Box::new(out.clone()),
        detach,
    };
    (out, std::thread::spawn(move || attached.run(io).unwrap()))
}

pub(crate) fn both_streams_in_order() {
    let world = World::new("streams");
    let script = "i=0; while [ $i -lt 1000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let container = world.containers.create(&world.create(script)).unwrap();
    let attached = container.start(Some(Attach::outputs())).unwrap().unwrap();
    let (out, err, end) = taken(attached, None);
    assert_eq!(end, AttachEnd::Exited(0));
    let expected = |name| {
        (0..1000)
            .map(|i| format!("{name} {i}\n"))
            .collect::<String>()
    };
    assert!(err == expected("err"), "{err}");
    let only = |text: &str, name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert!(only(&out, "out") == expected("out"), "{out}");
    let log = lines(&container, &LogQuery::default());
    for (stream, name) in [(LogStream::Stdout, "out"), (LogStream::Stderr, "err")] {
        let of = log.iter().filter(|(s, _)| *s == stream);
        let text: String = of.map(|(_, text)| text.as_str()).collect();
        assert!(text == expected(name), "{name}");
    }
    let tail = LogQuery {
        tail: Some(3),
        ..LogQuery::default()
    };
    assert_eq!(lines(&container, &tail).len(), 3);
    let last = container.logs(&LogQuery::default()).unwrap().last();
    let last = last.unwrap().unwrap().time_nanos;
    let since = LogQuery {
        since: Some(last + 1),
        ..LogQuery::default()
    };
    assert!(lines(&container, &since).is_empty());
    let none = LogQuery {
        until: Some(1),
        ..LogQuery::default()
    };
    assert!(lines(&container, &none).is_empty());
}

pub(crate) fn bytes_come_as_they_are() {
    let world = World::new("bytes");
    let container = world
        .containers
        .create(&world.create("cat /bin/busybox"))
        .unwrap();
    let attached = container.start(Some(Attach::outputs())).unwrap().unwrap();
    let (out, thread) = take_part(attached, None, None);
    assert_eq!(thread.join().unwrap(), AttachEnd::Exited(0));
    let same = std::fs::read(world.folder.join("base/bin/busybox")).unwrap();
    assert!(out.bytes() == same, "{} bytes", out.bytes().len());
}

pub(crate) fn input_ends_once() {
    let world = World::new("input");
    let mut create = world.create("cat; echo done");
    create.stdin = Stdin::Once;
    let container = world.containers.create(&create).unwrap();
    let attached = container.start(Some(all())).unwrap().unwrap();
    let (out, _, end) = taken(attached, Some(Box::new(&b"typed\n"[..])));
    assert_eq!((out.as_str(), end), ("typed\ndone\n", AttachEnd::Exited(0)));
    create.stdin = Stdin::Open;
    let container = world.containers.create(&create).unwrap();
    let attached = container.start(Some(all())).unwrap().unwrap();
    let (out, _) = take_part(attached, Some(Box::new(&b"one\n"[..])), None);
    until("it comes back", || out.text() == "one\n");
    let second = container.attach(all()).unwrap();
    let (out, _) = take_part(second, Some(Box::new(&b"two\n"[..])), None);
    until("it stays open", || out.text() == "two\n");
    assert!(matches!(container.state().unwrap(), State::Running { .. }));
    container.kill(None).unwrap();
    // Without any, its input is empty.
    create.stdin = Stdin::Closed;
    let (out, code) = world.run(&create);
    assert_eq!((out.as_str(), code), ("done\n", 0));
}

pub(crate) fn many_take_part() {
    let world = World::new("many");
    let mut create = world.create("read first; echo begun $first; read x; echo end $x");
    create.stdin = Stdin::Open;
    let container = world.containers.create(&create).unwrap();
    container.start(None).unwrap();
    let (first, one) = take_part(container.attach(Attach::outputs()).unwrap(), None, None);
    let (second, two) = take_part(container.attach(Attach::outputs()).unwrap(), None, None);
    let typed = container.attach(all()).unwrap();
    let keys = Box::new(&b"1\n\x10\x11 never"[..]);
    let (_, three) = take_part(typed, Some(keys), Some(DetachKeys::default()));
    assert_eq!(three.join().unwrap(), AttachEnd::Detached);
    until("both hear of it", || {
        first.text() == "begun 1\n" && second.text() == "begun 1\n"
    });
    // Who comes late gets what was before, when that is wished for.
    let late = Attach {
        logs: true,
        ..all()
    };
    let late = container.attach(late).unwrap();
    let (late, four) = take_part(late, Some(Box::new(&b"2\n"[..])), None);
    for thread in [one, two, four] {
        assert_eq!(thread.join().unwrap(), AttachEnd::Exited(0));
    }
    for out in [first, second, late] {
        assert_eq!(out.text(), "begun 1\nend 2\n");
    }
    let error = container.attach(all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("stopped container"), "{error}");
}

/// Somebody attached who does not read holds up nobody else for ever, and loses nothing.
pub(crate) fn who_does_not_read() {
    let world = World::new("lazy");
    let script = "i=0; while [ $i -lt 30 ]; do cat /bin/busybox; i=$((i+1)); done";
    let container = world.containers.create(&world.create(script)).unwrap();
    let lazy = container.start(Some(Attach::outputs())).unwrap().unwrap();
    let other = container.attach(Attach::outputs()).unwrap();
    let (_, other) = take_part(other, None, None);
    assert_eq!(other.join().unwrap(), AttachEnd::Exited(0));
    assert_eq!(container.wait().unwrap(), 0);
    drop(lazy);
    // Alone, it has all the time: everything comes.
    let alone = container.start(Some(Attach::outputs())).unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (out, thread) = take_part(alone, None, None);
    assert_eq!(thread.join().unwrap(), AttachEnd::Exited(0));
    let one = std::fs::metadata(world.folder.join("base/bin/busybox")).unwrap();
    assert_eq!(out.bytes().len() as u64, 30 * one.len());
}

pub(crate) fn followed() {
    let world = World::new("followed");
    let mut create = world.create("echo one; read x; printf 'two\\nthree'");
    create.stdin = Stdin::Open;
    create.remove = true;
    let container = world.containers.create(&create).unwrap();
    container.start(None).unwrap();
    let follow = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    std::thread::scope(|scope| {
        let followed = scope.spawn(|| lines(&container, &follow));
        let attached = container.attach(all()).unwrap();
        let (_, thread) = take_part(attached, Some(Box::new(&b"x\n"[..])), None);
        assert_eq!(thread.join().unwrap(), AttachEnd::Exited(0));
        let text: String = followed.join().unwrap().into_iter().map(|l| l.1).collect();
        assert_eq!(text, "one\ntwo\nthree", "though it has gone with its end");
    });
}

pub(crate) fn stopped() {
    let world = World::new("stopped");
    // Process 1 has no handler, and so does not hear of it.
    let deaf = world
        .containers
        .create(&world.create("sleep 1000; true"))
        .unwrap();
    deaf.start(None).unwrap();
    let from = Instant::now();
    deaf.stop(Some(1), None).unwrap();
    assert!(from.elapsed() >= Duration::from_secs(1));
    assert_eq!(deaf.wait().unwrap(), 137);
    deaf.stop(None, None).unwrap();
    // With an init it does.
    let mut create = world.create("sleep 1000; true");
    create.host.init = true;
    create.command = ["sleep", "1000"].map(str::to_owned).to_vec();
    let init = world.containers.create(&create).unwrap();
    init.start(None).unwrap();
    init.stop(Some(20), None).unwrap();
    assert_eq!(init.wait().unwrap(), 143);
    // By the signal that it asks for.
    let mut create = world.create("trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done");
    create.host.stop_signal = Some("SIGUSR1".into());
    let own = world.containers.create(&create).unwrap();
    own.start(None).unwrap();
    until("it is ready", || logged(&own) == "ready\n");
    let bad = own.stop(None, Some("NOPE")).unwrap_err();
    assert_eq!(bad.to_string(), "Invalid signal: NOPE");
    own.stop(Some(20), None).unwrap();
    assert_eq!(own.wait().unwrap(), 7);
    let error = own.kill(Some("TERM")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().ends_with("is not running"), "{error}");
}

pub(crate) fn started_again_with_what_it_changed() {
    let world = World::new("again");
    let container = world
        .containers
        .create(&world.create("echo x >> /kept; cat /kept; exit 2"))
        .unwrap();
    container.start(None).unwrap();
    assert_eq!(container.wait().unwrap(), 2);
    container.start(None).unwrap();
    container.wait().unwrap();
    assert_eq!(logged(&container), "x\nx\nx\n");
    assert!(container.size().unwrap() > 0);
    let mut create = world.create("echo begun; sleep 1000");
    create.remove = true;
    let goes = world.containers.create(&create).unwrap();
    goes.start(None).unwrap();
    goes.restart(Some(0), None).unwrap();
    until("it runs again", || logged(&goes) == "begun\nbegun\n");
    goes.stop(Some(0), None).unwrap();
    assert_eq!(goes.state().unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) fn started_again_by_itself() {
    let world = World::new("restart");
    let mut create = world.create("echo run; exit 5");
    create.host.restart = Restart::OnFailure { max: Some(2) };
    let container = world.containers.create(&create).unwrap();
    container.start(None).unwrap();
    assert_eq!(container.wait().unwrap(), 5);
    assert_eq!(logged(&container), "run\nrun\nrun\n");
    assert_eq!(container.restarts().unwrap(), 2);
    create.host.restart = Restart::OnFailure { max: None };
    let endless = world.containers.create(&create).unwrap();
    endless.start(None).unwrap();
    until("it waits to be started", || {
        matches!(endless.state().unwrap(), State::Restarting { code: 5, .. })
    });
    endless.stop(None, None).unwrap();
    assert!(matches!(
        endless.state().unwrap(),
        State::Exited { code: 5, .. }
    ));
    create.remove = true;
    let error = world.containers.create(&create).unwrap_err();
    assert_eq!(error.to_string(), "Conflicting options: --restart and --rm");
}

pub(crate) fn on_a_terminal() {
    let world = World::new("terminal");
    let mut create = world.create("");
    create.command = vec!["sh".into()];
    create.terminal = true;
    create.stdin = Stdin::Once;
    let container = world.containers.create(&create).unwrap();
    let attach = Attach {
        size: Some(Size {
            rows: 33,
            columns: 99,
        }),
        ..all()
    };
    let attached = container.start(Some(attach)).unwrap().unwrap();
    let resize = attached.resizer();
    let (theirs, mut typed) = std::io::pipe().unwrap();
    let keys = Some(DetachKeys::default());
    let (out, thread) = take_part(attached, Some(Box::new(theirs)), keys);
    let mut say = |text: &str, expected: &str| {
        typed.write_all(text.as_bytes()).unwrap();
        until(expected, || out.text().contains(expected));
    };
    say("tty; stty size\n", "33 99");
    resize(Size {
        rows: 12,
        columns: 34,
    });
    say("sleep 0.1; stty size\n", "12 34");
    say("sleep 1000\n", "sleep 1000");
    std::thread::sleep(Duration::from_millis(200));
    say("\x03echo still $((40+2))\n", "still 42");
    assert!(!out.text().contains("can't access tty"), "{}", out.text());
    typed.write_all(b"\x10\x11").unwrap();
    assert_eq!(thread.join().unwrap(), AttachEnd::Detached);
    assert!(matches!(container.state().unwrap(), State::Running { .. }));
    let (theirs, mut typed) = std::io::pipe().unwrap();
    let attached = container.attach(all()).unwrap();
    let (out, thread) = take_part(attached, Some(Box::new(theirs)), None);
    typed.write_all(b"echo back $((1+1)); exit 6\n").unwrap();
    assert_eq!(thread.join().unwrap(), AttachEnd::Exited(6));
    assert!(out.text().contains("back 2"), "{}", out.text());
}

pub(crate) fn one_more_process() {
    let world = World::new("exec");
    let mut create = world.create("echo new:x:77:78::/home/new:/bin/sh >> /etc/passwd; sleep 1000");
    create.env = vec![("MINE".into(), Some("yes".into()))];
    let container = world.containers.create(&create).unwrap();
    let exec = |argv: &[&str]| Exec {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        ..Exec::default()
    };
    let stopped = container.exec(&exec(&["true"]), Io::null()).err().unwrap();
    assert_eq!(stopped.kind(), ErrorKind::Conflict);
    assert_eq!(
        stopped.to_string(),
        format!("Container {} is not running", container.id())
    );
    container.start(None).unwrap();
    until("the user is there", || {
        let upper = world.folder.join("store/containers").join(container.id());
        let passwd = upper.join("root/layer/root/etc/passwd");
        std::fs::read_to_string(passwd).is_ok_and(|text| text.contains("new:"))
    });
    let run = |exec: &Exec| {
        let (mut from, theirs) = std::io::pipe().unwrap();
        let io = Io {
            stdout: Stream::from(theirs),
            ..Io::null()
        };
        let mut process = container.exec(exec, io)?;
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        Ok::<_, kiln_container::Error>((text, process.wait().unwrap().code()))
    };
    let mut shell = exec(&["sh", "-c", "id -u; id -g; pwd; echo $MINE $HOME; exit 3"]);
    shell.user = Some("new".into());
    shell.workdir = Some("/srv".into());
    let (text, code) = run(&shell).unwrap();
    assert_eq!((text.as_str(), code), ("77\n78\n/srv\nyes /home/new\n", 3));
    for (argv, code) in [("nothing-here", 127), ("/srv/data", 126)] {
        let error = run(&exec(&[argv])).unwrap_err();
        assert_eq!(error.docker_code(), code, "{error}");
    }
    let mut unknown = exec(&["true"]);
    unknown.user = Some("nobody-here".into());
    assert_eq!(run(&unknown).unwrap_err().kind(), ErrorKind::User);
    let pid = container.exec_detached(&exec(&["sleep", "999"])).unwrap();
    let processes = container.top().unwrap();
    assert!(
        processes.iter().any(|p| p.cmd == "sleep 999"),
        "{processes:?}"
    );
    assert!(processes.iter().any(|p| p.cmd.contains("sleep 1000")));
    container.kill(None).unwrap();
    until("it ends with the container", || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists()
    });
    assert_eq!(container.top().unwrap_err().kind(), ErrorKind::Conflict);
}

/// Of many who start, stop and remove one container at once, each gets a true answer.
pub(crate) fn all_at_once() {
    let world = World::new("at-once");
    let container = world
        .containers
        .create(&world.create("sleep 1000"))
        .unwrap();
    let id = container.id().to_owned();
    drop(container);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (world, id) = (&world, &id);
            scope.spawn(move || {
                let container = match world.containers.get(id) {
                    Ok(container) => container,
                    // Whoever comes late finds it removed.
                    Err(e) => return assert_eq!(e.kind(), ErrorKind::NotFound, "{e}"),
                };
                match number % 4 {
                    0 | 1 => drop(container.start(None)),
                    2 => container.stop(Some(0), None).unwrap(),
                    _ => drop(world.containers.remove(&container, false, true)),
                }
            });
        }
    });
    if let Ok(container) = world.containers.get(&id) {
        container.start(None).unwrap();
        assert!(matches!(container.state().unwrap(), State::Running { .. }));
        world.containers.remove(&container, true, true).unwrap();
    }
    assert!(world.containers.list().unwrap().is_empty());
    let left = world.folder.join("store/containers").join(&id);
    assert!(!left.exists());
}
