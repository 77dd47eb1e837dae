//! What a container's process sees, and what its end tells.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use kiln_container::{Attach, AttachEnd, ErrorKind, LogQuery, Publish, State};

use crate::world::{World, taken, until};

pub(crate) fn as_the_image_says() {
    let mut world = World::new("image");
    world.image.config.user = "app".into();
    world.image.config.working_dir = "/srv".into();
    world.image.config.entrypoint = Some(vec!["sh".into(), "-c".into()]);
    let show = "pwd; id; env; hostname; cat /etc/hostname";
    world.image.config.cmd = Some(vec![show.into()]);
    let create = kiln_container::Create::new(world.image.clone());
    let container = world.containers.create(&create).unwrap();
    let attached = container.start(Some(Attach::outputs())).unwrap().unwrap();
    let (text, _, end) = taken(attached, None);
    assert_eq!(end, AttachEnd::Exited(0));
    let host = &container.id()[..12];
    for expected in [
        "/srv\nuid=5(app) gid=6 groups=6,44(video)",
        "\nFROM=image\n",
        "\nHOME=/home/app\n",
        &format!("\nHOSTNAME={host}\n"),
        &format!("\n{host}\n{host}\n"),
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    assert!(matches!(
        container.state().unwrap(),
        State::Exited { code: 0, .. }
    ));
}

pub(crate) fn as_the_caller_says() {
    let world = World::new("caller");
    let mut create =
        world.create("pwd; id -u; id -g; echo $FROM $MINE $HOME; cat /etc/hosts; touch /made");
    create.user = Some("7:8".into());
    create.workdir = Some("/tmp/../tmp".into());
    create.env = vec![
        ("FROM".into(), Some("caller".into())),
        ("MINE".into(), Some("1".into())),
    ];
    let (text, exit) = world.run(&create);
    for expected in ["/tmp\n7\n8\n", "caller 1 /\n"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(text.contains("localhost"), "{text}");
    assert_eq!(exit, 1, "user 7 may not write there: {text}");
    create.user = None;
    create.command = vec!["-c".into(), "echo $0".into()];
    create.entrypoint = Some(vec!["/bin/sh".into()]);
    assert_eq!(world.run(&create).0, "/bin/sh\n");
}

pub(crate) fn exit_codes() {
    let world = World::new("codes");
    assert_eq!(world.run(&world.create("exit 7")).1, 7);
    for (argv, kind, code) in [
        ("nothing-here", ErrorKind::ProgramNotFound, 127),
        ("/srv/data", ErrorKind::NotExecutable, 126),
    ] {
        let mut create = world.create("");
        create.command = vec![argv.into()];
        let container = world.containers.create(&create).unwrap();
        let error = container.start(None).unwrap_err();
        assert_eq!((error.kind(), error.docker_code()), (kind, code), "{error}");
        assert!(matches!(container.state().unwrap(), State::Exited { code: c, .. } if c == code));
        assert!(container.start(None).is_err(), "once only");
        world.containers.remove(&container, false, true).unwrap();
    }
    let mut create = world.create("true");
    create.user = Some("nobody-here".into());
    let container = world.containers.create(&create).unwrap();
    let error = container.start(None).unwrap_err();
    assert_eq!(error.docker_code(), 125);
    assert_eq!(
        error.to_string(),
        "unable to find user nobody-here: no matching entries in passwd file"
    );
}

pub(crate) fn the_working_directory_is_made() {
    let world = World::new("workdir");
    let mut create = world.create("pwd; stat -c '%a %u' /srv /srv/a/b; ls /srv");
    create.workdir = Some("/srv/a/b".into());
    create.user = Some("app".into());
    let (text, _) = world.run(&create);
    assert_eq!(text, "/srv/a/b\n755 0\n755 0\na\ndata\nindex.html\n");
    create.workdir = Some("/srv/data".into());
    let container = world.containers.create(&create).unwrap();
    let error = container.start(None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`srv/data`: is a file, not a folder"),
        "{error}"
    );
}

pub(crate) fn published_ports_answer() {
    let world = World::new("ports");
    let mut create = world.create("httpd -f -p 8000 -h /srv");
    create.host.ports = Publish::parse("127.0.0.1::8000").unwrap();
    let container = world.containers.create(&create).unwrap();
    assert!(container.start(None).unwrap().is_none());
    let address = container.ports().unwrap()[0].address;
    assert!(
        container.outward().unwrap().is_some(),
        "a network of its own"
    );
    let fetch = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    until("the page is served", || {
        fetch().ends_with("hello from inside\n")
    });
    container.kill(None).unwrap();
    assert_eq!(container.wait().unwrap(), 137);
    assert_eq!(container.wait().unwrap(), 137, "again");
    assert!(container.ports().unwrap().is_empty());
    assert!(TcpStream::connect(address).is_err(), "the port is free");
    assert!(matches!(
        container.state().unwrap(),
        State::Exited { code: 137, .. }
    ));
}

pub(crate) fn a_taken_port_is_said_first() {
    let world = World::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut create = world.create("true");
    create.host.ports = Publish::parse(&format!("{port}:80")).unwrap();
    let container = world.containers.create(&create).unwrap();
    let error = container.start(None).unwrap_err();
    assert_eq!(
        (error.kind(), error.docker_code()),
        (ErrorKind::PortTaken, 125)
    );
    assert!(
        error
            .to_string()
            .contains(&format!("(pid {})", std::process::id())),
        "{error}"
    );
}

pub(crate) fn a_signal_ends_it() {
    let world = World::new("signal");
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let container = world.containers.create(&world.create(script)).unwrap();
    container.start(None).unwrap();
    let logs = || {
        let lines = container.logs(&LogQuery::default()).unwrap();
        let lines = lines.map(|line| String::from_utf8(line.unwrap().text).unwrap());
        lines.collect::<String>()
    };
    until("it is ready", || logs() == "ready\n");
    let State::Running { pid, .. } = container.state().unwrap() else {
        panic!("it runs");
    };
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    container.stop(None, None).unwrap();
    assert_eq!(container.wait().unwrap(), 3);
    assert!(logs().ends_with("asked\n"));
}

pub(crate) fn what_the_machine_gives() {
    let world = World::new("host");
    let mut create = world.create(
        "hostname; cat /etc/hosts; cat /proc/net/dev | grep -c :; touch /x; ls -A /var/run/new",
    );
    create.host.hostname = Some("box".into());
    create.host.extra_hosts = vec![kiln_container::extra_host("db:10.1.2.3").unwrap()];
    create.host.network = kiln_container::NetworkMode::None;
    create.host.read_only = true;
    let tmpfs = kiln_container::mounts::Wish::parse_tmpfs("/var/run/new").unwrap();
    create.host.mounts = vec![tmpfs];
    let (text, code) = world.run(&create);
    assert!(text.lines().any(|line| line == "box"), "{text}");
    assert!(text.contains("\n10.1.2.3\tdb\n"), "{text}");
    assert!(text.contains("\n1\n"), "nothing but loopback: {text}");
    assert!(text.contains("Read-only file system"), "{text}");
    assert_eq!(code, 0, "a missing mount point is made: {text}");
    create.host.ports = Publish::parse("80").unwrap();
    let error = world.containers.create(&create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

pub(crate) fn all_that_is_exposed() {
    let mut world = World::new("exposed");
    for port in ["8000/tcp", "9000/tcp"] {
        let ports = &mut world.image.config.exposed_ports;
        ports.insert(port.into(), kiln_image::Empty {});
    }
    let mut create = world.create("sleep 1000");
    create.host.publish_all = true;
    create.host.ports = Publish::parse("127.0.0.1::8000").unwrap();
    create.name = Some("web".into());
    let container = world.containers.create(&create).unwrap();
    container.start(None).unwrap();
    let bound = container.ports().unwrap();
    let mut inside: Vec<u16> = bound.iter().map(|bound| bound.container_port).collect();
    inside.sort_unstable();
    assert_eq!(inside, [8000, 9000]);
    // Who holds a port is said by its name.
    let taken = bound[0].address.port();
    create.host.ports = Publish::parse(&format!("127.0.0.1:{taken}:80")).unwrap();
    create.name = None;
    let second = world.containers.create(&create).unwrap();
    let error = second.start(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortTaken);
    assert!(
        error.to_string().contains("by container `web` (pid "),
        "{error}"
    );
    assert!(matches!(
        second.state().unwrap(),
        State::Exited {
            code: 125,
            started: 0,
            error: Some(_),
            ..
        }
    ));
    // The process itself is killed from outside: that is its end.
    let State::Running { pid, .. } = container.state().unwrap() else {
        panic!("it runs");
    };
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(container.wait().unwrap(), 137);
    second.start(None).unwrap();
    assert_eq!(second.size().unwrap(), 0, "nothing was changed");
    second.kill(None).unwrap();
}
