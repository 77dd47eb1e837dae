//! The terminal of a process, and the user's.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::mpsc;

use kiln_sandbox::terminal::{Raw, Silent, Size, on_resize};
use kiln_sandbox::{Door, ErrorKind, Incoming, Io, Running, Spec, User};
use kiln_tests::harness::Outcome;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::cases;
use crate::world::{Layers, World, shell, until};

cases![
    the_streams_are_a_terminal,
    it_has_a_size_and_hears_of_another,
    a_shell_controls_its_jobs,
    it_belongs_to_its_user,
    other_streams_are_refused,
    the_end_is_seen,
    raw_mode_is_undone,
    raw_mode_is_undone_after_a_kill,
    a_line_is_typed_unseen,
    news_of_the_size_come,
];

/// A process with a terminal, and what a user would see there.
pub(crate) struct Screen {
    pub(crate) running: Box<dyn Running>,
    terminal: File,
    seen: Vec<u8>,
    news: mpsc::Receiver<Vec<u8>>,
    pub(crate) layers: Option<Layers>,
}

impl Screen {
    pub(crate) fn new(running: Box<dyn Running>) -> Self {
        let terminal = running.terminal().expect("it has a terminal");
        let mut reader = terminal.try_clone().unwrap();
        let (said, news) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end is an error; the test may have ended before.
            while let Ok(got @ 1..) = reader.read(&mut bytes) {
                if said.send(bytes[..got].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            running,
            terminal,
            seen: Vec::new(),
            news,
            layers: None,
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until a text is shown, and forgets everything up to it.
    pub(crate) fn shows(&mut self, text: &str) -> String {
        loop {
            let shown = String::from_utf8_lossy(&self.seen).into_owned();
            if let Some(at) = shown.find(text) {
                self.seen = shown.as_bytes()[at + text.len()..].to_vec();
                return shown[..at].to_owned();
            }
            let more = self.news.recv_timeout(std::time::Duration::from_secs(20));
            match more {
                Ok(more) => self.seen.extend(more),
                Err(_) => panic!("`{text}` is not shown, but {shown:?}"),
            }
        }
    }

    pub(crate) fn ends(&mut self) -> i32 {
        let signaller = self.running.signaller();
        let (_alive, ended) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let late = ended.recv_timeout(std::time::Duration::from_secs(20));
            if late == Err(mpsc::RecvTimeoutError::Timeout) {
                signaller(9);
            }
        });
        self.running.wait().unwrap().code()
    }
}

fn spec(layers: &Layers, script: &str) -> Spec {
    let mut spec = Spec::new(layers.root.clone(), shell(script));
    spec.process.terminal = true;
    spec.process.size = Some(Size {
        rows: 33,
        columns: 111,
    });
    spec
}

fn screen(world: &World, script: &str, change: impl FnOnce(&mut Spec)) -> Screen {
    let layers = world.layers(&[]);
    let mut spec = spec(&layers, script);
    change(&mut spec);
    let mut screen = Screen::new(world.runner.start(&spec, Io::null()).unwrap());
    screen.layers = Some(layers);
    screen
}

/// A runtime refuses, which is a test of itself.
fn native_only(world: &World) -> Outcome {
    if world.native {
        return Ok(());
    }
    let error = world
        .runner
        .start(&spec(&world.layers(&[]), "true"), Io::null())
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    Err("a runtime gives no terminal".into())
}

fn the_streams_are_a_terminal(world: &World) -> Outcome {
    native_only(world)?;
    for init in [false, true] {
        let script = "tty; test -t 0 && test -t 1 && test -t 2 && echo all; \
            echo console >/dev/console; echo hello >/dev/tty; exit 7";
        let mut screen = screen(world, script, |spec| spec.init = init);
        screen.shows("/dev/pts/0\r\n");
        screen.shows("all\r\n");
        screen.shows("console\r\n");
        screen.shows("hello\r\n");
        assert_eq!(screen.ends(), 7);
    }
    Ok(())
}

fn it_has_a_size_and_hears_of_another(world: &World) -> Outcome {
    native_only(world)?;
    let script =
        "stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.01; done";
    for init in [false, true] {
        let mut screen = screen(world, script, |spec| spec.init = init);
        screen.shows("33 111\r\n");
        screen.shows("ready");
        let size = Size {
            rows: 50,
            columns: 132,
        };
        size.set(&screen.terminal).unwrap();
        assert_eq!(Size::of(&screen.terminal), Some(size));
        screen.shows("50 132\r\n");
        assert_eq!(screen.ends(), 3);
    }
    Ok(())
}

fn a_shell_controls_its_jobs(world: &World) -> Outcome {
    native_only(world)?;
    for init in [false, true] {
        let mut screen = screen(world, "", |spec| {
            spec.init = init;
            spec.process.argv = vec!["sh".into(), "-i".into()];
            spec.process.env.push(("PS1".into(), "prompt> ".into()));
        });
        let before = screen.shows("prompt> ");
        assert!(!before.contains("job control"), "{before}");
        screen.types("sleep 100\r");
        screen.shows("sleep 100\r\n");
        // The shell has handed the terminal over when it can be interrupted; once too early is a
        // prompt more.
        std::thread::sleep(std::time::Duration::from_millis(100));
        screen.types("\x03");
        screen.shows("prompt> ");
        screen.types("echo code $?\r");
        screen.shows("code 130\r\n");
        screen.shows("prompt> ");
        screen.types("sleep 100\r");
        screen.shows("sleep 100\r\n");
        std::thread::sleep(std::time::Duration::from_millis(100));
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.shows("prompt> ");
        screen.types("fg\r");
        screen.shows("fg\r\nsleep 100\r\n");
        std::thread::sleep(std::time::Duration::from_millis(100));
        screen.types("\x03");
        screen.shows("prompt> ");
        screen.types("exit 5\r");
        assert_eq!(screen.ends(), 5);
    }
    Ok(())
}

fn it_belongs_to_its_user(world: &World) -> Outcome {
    native_only(world)?;
    if world.single() {
        return Err("there is but one user".into());
    }
    let mut screen = screen(world, "stat -c %u:%a $(tty); echo x >$(tty)", |spec| {
        spec.process.user = User {
            uid: 33,
            gid: 33,
            groups: vec![],
        };
    });
    screen.shows("33:620\r\n");
    screen.shows("x\r\n");
    assert_eq!(screen.ends(), 0);
    Ok(())
}

fn other_streams_are_refused(world: &World) -> Outcome {
    native_only(world)?;
    let spec = spec(&world.layers(&[]), "true");
    let error = world.runner.start(&spec, Io::inherit()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Process);
    Ok(())
}

fn the_end_is_seen(world: &World) -> Outcome {
    native_only(world)?;
    for init in [false, true] {
        let layers = world.layers(&[]);
        let mut spec = spec(&layers, "echo last");
        spec.init = init;
        let mut running = world.runner.start(&spec, Io::null()).unwrap();
        let mut terminal = running.terminal().unwrap();
        let mut seen = Vec::new();
        let end = terminal.read_to_end(&mut seen).unwrap_err();
        assert_eq!(end.raw_os_error(), Some(5), "EIO");
        assert_eq!(seen, b"last\r\n");
        assert!(running.wait().unwrap().success());
    }
    Ok(())
}

/// The user's terminal: what a terminal emulator holds, and what programs hold.
fn user_terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    (master, slave)
}

fn mode(slave: &OwnedFd) -> String {
    let listed = Command::new("stty")
        .arg("-g")
        .stdin(slave.try_clone().unwrap())
        .output()
        .unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap()
}

fn raw_mode_is_undone(_: &World) -> Outcome {
    let (_master, slave) = user_terminal();
    let before = mode(&slave);
    let raw = Raw::enter(&slave).unwrap();
    let within = mode(&slave);
    assert_ne!(within, before);
    drop(raw);
    assert_eq!(mode(&slave), before);
    let error = Raw::enter(&File::open("/dev/null").unwrap()).unwrap_err();
    assert!(error.to_string().contains("raw mode"), "{error}");
    Ok(())
}

/// A program that holds the terminal in raw mode, to be killed.
pub(crate) const RAW: Door = Door {
    name: "raw",
    run: raw,
};

fn raw(mut incoming: Incoming) -> i32 {
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(&incoming.args[0])
        .unwrap();
    let (mut raw, mut silent) = (None, None);
    match incoming.args.get(1) {
        None => raw = Some(Raw::enter(&terminal).unwrap()),
        Some(_) => silent = Some(Silent::enter(&terminal).unwrap()),
    }
    incoming.socket.write_all(b"raw").unwrap();
    let _ = incoming.socket.read(&mut [0]);
    drop((raw, silent));
    0
}

fn raw_mode_is_undone_after_a_kill(_: &World) -> Outcome {
    for which in [None, Some("silent")] {
        let (_master, slave) = user_terminal();
        let before = mode(&slave);
        let name = rustix::termios::ttyname(&slave, Vec::new()).unwrap();
        let args = [name.to_str().unwrap()].into_iter().chain(which);
        let mut program = kiln_sandbox::open("raw", args).unwrap();
        program.socket.read_exact(&mut [0; 3]).unwrap();
        assert_ne!(mode(&slave), before);
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        until("the mode is restored", || mode(&slave) == before);
    }
    Ok(())
}

fn a_line_is_typed_unseen(_: &World) -> Outcome {
    let (master, slave) = user_terminal();
    let before = mode(&slave);
    let silent = Silent::enter(&slave).unwrap();
    let (mut keys, mut program) = (File::from(master), File::from(slave));
    // The second letter is taken back.
    keys.write_all(b"sx\x7fecret\n").unwrap();
    let mut line = [0; 64];
    let read = program.read(&mut line).unwrap();
    assert_eq!(&line[..read], b"secret\n");
    program.write_all(b"read").unwrap();
    let mut shown = [0; 64];
    let mut end = 0;
    while !shown[..end].ends_with(b"read") {
        end += keys.read(&mut shown[end..]).unwrap();
    }
    assert_eq!(&shown[..end], b"\r\nread");
    drop(silent);
    assert_eq!(mode(&program.into()), before);
    let error = Silent::enter(&File::open("/dev/null").unwrap()).unwrap_err();
    assert!(error.to_string().contains("show nothing"), "{error}");
    Ok(())
}

fn news_of_the_size_come(_: &World) -> Outcome {
    let (master, slave) = user_terminal();
    let (said, news) = mpsc::channel();
    let first = Size {
        rows: 5,
        columns: 6,
    };
    first.set(&master).unwrap();
    let resizes = on_resize(&slave, move |size| said.send(size).unwrap()).unwrap();
    assert_eq!(news.try_recv(), Ok(first), "at once");
    let size = Size {
        rows: 10,
        columns: 20,
    };
    size.set(&master).unwrap();
    // The kernel tells the processes of the terminal's session, of which this one is none.
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::WINCH).unwrap();
    let heard = news.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(heard.unwrap(), size);
    drop(resizes);
    rustix::process::kill_process(own, rustix::process::Signal::WINCH).unwrap();
    assert!(news.recv().is_err(), "nothing is told any more");
    Ok(())
}
