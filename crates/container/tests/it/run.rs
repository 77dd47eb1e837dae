//! What a container's process sees, and what its end tells.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use kiln_container::{ErrorKind, Publish, State};
use kiln_sandbox::{Exit, Io, Native};

use crate::world::{World, output, until};

pub(crate) fn as_the_image_says() {
    let mut world = World::new("image");
    world.image.config.user = "app".into();
    world.image.config.working_dir = "/srv".into();
    world.image.config.entrypoint = Some(vec!["sh".into(), "-c".into()]);
    let show = "pwd; id; env; hostname; cat /etc/hostname";
    world.image.config.cmd = Some(vec![show.into()]);
    let create = kiln_container::Create::new(world.image.clone());
    let container = world.containers.create(&create).unwrap();
    let out = world.folder.join("out");
    let mut running = container.start(output(&out), &Native::default()).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    let text = std::fs::read_to_string(out).unwrap();
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
    assert!(text.starts_with("/tmp\n7\n8\ncaller 1 /\n"), "{text}");
    assert!(text.contains("localhost"), "{text}");
    assert_eq!(exit, Exit::Code(1), "user 7 may not write there: {text}");
    create.user = None;
    create.command = vec!["-c".into(), "echo $0".into()];
    create.entrypoint = Some(vec!["/bin/sh".into()]);
    assert_eq!(world.run(&create).0, "/bin/sh\n");
}

pub(crate) fn exit_codes() {
    let world = World::new("codes");
    assert_eq!(world.run(&world.create("exit 7")).1, Exit::Code(7));
    for (argv, kind, code) in [
        ("nothing-here", ErrorKind::ProgramNotFound, 127),
        ("/srv/data", ErrorKind::NotExecutable, 126),
    ] {
        let mut create = world.create("");
        create.command = vec![argv.into()];
        let container = world.containers.create(&create).unwrap();
        let error = container.start(Io::null(), &Native::default()).unwrap_err();
        assert_eq!((error.kind(), error.docker_code()), (kind, code), "{error}");
        assert!(matches!(container.state().unwrap(), State::Exited { code: c, .. } if c == code));
        assert!(
            container.start(Io::null(), &Native::default()).is_err(),
            "once only"
        );
        world.containers.remove(&container, false).unwrap();
    }
    let mut create = world.create("true");
    create.user = Some("nobody-here".into());
    let container = world.containers.create(&create).unwrap();
    let error = container.start(Io::null(), &Native::default()).unwrap_err();
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
    let error = container.start(Io::null(), &Native::default()).unwrap_err();
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
    let mut running = container.start(Io::null(), &Native::default()).unwrap();
    let address = running.ports()[0].address;
    assert!(running.outward().is_some(), "a network of its own");
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
    running.signal(9).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Signal(9));
    assert_eq!(running.wait().unwrap(), Exit::Signal(9), "again");
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
    let error = container.start(Io::null(), &Native::default()).unwrap_err();
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
    let out = world.folder.join("out");
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let container = world.containers.create(&world.create(script)).unwrap();
    let mut running = container.start(output(&out), &Native::default()).unwrap();
    until("it is ready", || {
        std::fs::read_to_string(&out).unwrap() == "ready\n"
    });
    let State::Running { pid, .. } = container.state().unwrap() else {
        panic!("it runs");
    };
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    running.signaller()(15);
    assert_eq!(running.wait().unwrap(), Exit::Code(3));
    assert!(std::fs::read_to_string(&out).unwrap().ends_with("asked\n"));
}
