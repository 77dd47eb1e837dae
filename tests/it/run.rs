//! `kiln run`, in the foreground.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kiln_tests::{base::busybox, kiln::Kiln};

const DOCKERFILE: &str = "FROM busybox
RUN mkdir /www && echo page > /www/index.html
ENV GREETING=hello NAME=world
WORKDIR /work
USER user
ENTRYPOINT [\"sh\", \"-c\"]
CMD [\"echo $GREETING $NAME; pwd; id -un\"]
";

fn prepared() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build("app", &[("Dockerfile", DOCKERFILE)]);
    kiln
}

#[test]
fn as_the_image_says_and_as_the_command_line_says() {
    let kiln = prepared();
    assert_eq!(
        kiln.ok(["run", "--rm", "app"]),
        "hello world\n/work\nuser\n"
    );
    let all = [
        "run", "--rm", "-e", "NAME=you", "-w", "/tmp", "-u", "0", "app",
    ];
    assert_eq!(kiln.ok(all), "hello you\n/tmp\nroot\n");
    assert_eq!(kiln.ok(["run", "--rm", "app", "echo other"]), "other\n");
    let entry = ["run", "--rm", "--entrypoint", "echo", "app", "-n", "x"];
    assert_eq!(kiln.ok(entry), "-n x\n".replace("-n ", "").trim_end());
    let root = kiln.ok(["run", "--rm", "-w", "/made/here", "app", "pwd"]);
    assert_eq!(root, "/made/here\n");
}

#[test]
fn exit_codes_are_dockers() {
    let kiln = prepared();
    assert_eq!(kiln.run(["run", "--rm", "app", "exit 7"]).code, 7);
    assert_eq!(
        kiln.run(["run", "--rm", "app", "sh -c 'kill -9 $$'; exit $?"])
            .code,
        137
    );
    for (program, code, says) in [
        ("nothing", 127, "executable file not found in $PATH"),
        ("/etc/passwd", 126, "permission denied"),
    ] {
        let said = kiln.run(["run", "--rm", "--entrypoint", program, "app"]);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(said.err.contains(says), "{}", said.err);
    }
    assert_eq!(
        kiln.run(["run", "--rm", "-u", "nobody-here", "app"]).code,
        125
    );
    assert_eq!(kiln.run(["run", "--rm", "-p", "nonsense", "app"]).code, 125);
    assert_eq!(kiln.run(["run", "--rm", "127.0.0.1:1/none"]).code, 125);
}

#[test]
fn a_name_is_taken_once() {
    let kiln = prepared();
    kiln.ok(["run", "--name", "one", "app"]);
    let said = kiln.run(["run", "--name", "one", "app"]);
    assert_eq!(said.code, 125);
    assert!(
        said.err.contains("is already in use by container"),
        "{}",
        said.err
    );
    kiln.ok(["system", "prune", "-f"]);
    kiln.ok(["run", "--rm", "--name", "one", "app"]);
}

#[test]
fn an_image_that_a_container_uses_is_not_removed() {
    let kiln = prepared();
    kiln.ok(["run", "--name", "one", "app"]);
    let e = kiln.fails(["rmi", "app"]).err;
    assert!(e.contains("is using its referenced image"), "{e}");
    kiln.ok(["rmi", "-f", "app"]);
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn fetch(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("page").then_some(answer)
}

/// Until `done` gives something, or too long.
fn wait<T>(mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "nothing came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn serve(kiln: &Kiln, publish: &str) -> Child {
    let args = [
        "run",
        "--rm",
        "-u",
        "0",
        "-p",
        publish,
        "app",
        "exec httpd -f -p 80 -h /www",
    ];
    kiln.command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_published_port_answers_and_ctrl_c_stops_it() {
    let kiln = prepared();
    let port = free_port();
    let mut server = serve(&kiln, &format!("127.0.0.1:{port}:80"));
    assert!(wait(|| fetch(port)).contains("200 OK"));

    // The port is taken now: the message says by whom.
    let second = kiln.run(["run", "--rm", "-p", &format!("127.0.0.1:{port}:80"), "app"]);
    assert_eq!(second.code, 125);
    assert!(second.err.contains(&port.to_string()), "{}", second.err);
    assert!(second.err.contains(" by "), "{}", second.err);

    let pid = server.id().to_string();
    let interrupt = || {
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
    };
    interrupt();
    let asked = Instant::now();
    // As pid 1, busybox's httpd ignores what it has no handler for: asking again helps.
    wait(|| {
        if asked.elapsed() > Duration::from_millis(700) {
            interrupt();
        }
        server.try_wait().unwrap()
    });
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    kiln.ok(["images"]);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(kiln.root().to_str().unwrap()), "{mounts}");
}

#[test]
fn killed_without_warning_its_container_goes_on() {
    let kiln = prepared();
    let port = free_port();
    let mut server = serve(&kiln, &format!("127.0.0.1:{port}:80"));
    wait(|| fetch(port));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(fetch(port).is_some());
    let id = kiln.ok(["ps", "-q"]);
    kiln.ok(["kill", id.trim()]);
    wait(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).err());
    let root = kiln.root();
    let root = root.to_str().unwrap();
    let lives = || {
        let processes = std::fs::read_dir("/proc").unwrap();
        processes.flatten().any(|p| {
            let mounts = std::fs::read_to_string(p.path().join("mounts")).unwrap_or_default();
            mounts.contains(root)
        })
    };
    wait(|| (!lives()).then_some(()));
    // It was to go when it has ended.
    wait(|| kiln.ok(["ps", "-aq"]).is_empty().then_some(()));
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}
