//! The same for everybody: as root, as a user with subordinate ids, and as one without.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use kiln_tests::{
    kiln::{Kiln, Said},
    registry::docker_registry,
    who::{Who, everybody},
};

const DOCKERFILE: &str = "FROM busybox
COPY --chown=1000:50 --chmod=640 page /www/index.html
RUN echo made > /made && chmod 4711 /made && rm /etc/group && mkdir -m 700 /closed
ENV GREETING=hello
WORKDIR /work
CMD [\"sh\", \"-c\", \"echo $GREETING; cat /www/index.html\"]
";

fn app(kiln: &Kiln) -> String {
    kiln.build(
        "app",
        &[("Dockerfile", DOCKERFILE), ("page", "<h1>hello</h1>\n")],
    )
}

#[test]
fn images_are_built_shown_moved_and_removed() {
    everybody(|_, kiln| {
        let id = app(kiln);
        assert_eq!(app(kiln), id, "built again");
        assert_eq!(kiln.ok(["run", "--rm", "app"]), "hello\n<h1>hello</h1>\n");
        assert!(kiln.ok(["images"]).contains("app"));
        assert!(
            kiln.ok(["history", "--no-trunc", "app"])
                .contains("chmod 4711")
        );
        assert!(kiln.ok(["inspect", "app"]).contains(&id));

        let tar = kiln.scratch().join("app.tar");
        let tar = tar.to_str().unwrap();
        kiln.ok(["save", "-o", tar, "app"]);
        let registry = docker_registry(kiln.scratch()).expect("docker-registry is installed");
        let name = format!("{}/me/app:1", registry.address());
        kiln.ok(["tag", "app", &name]);
        kiln.ok(["push", &name]);
        kiln.ok(["rmi", "-f", &id]);
        kiln.ok(["builder", "prune", "-af"]);
        assert!(
            kiln.ok(["load", "-i", tar])
                .contains("Loaded image: app:latest")
        );
        kiln.ok(["rmi", "app"]);
        kiln.ok(["pull", &name]);
        let shown = kiln.ok(["images", "-q", "--no-trunc", &name]);
        assert_eq!(shown.trim(), id);
        let seen = kiln.ok([
            "run", "--rm", &name, "stat", "-c", "%a %F", "/made", "/closed",
        ]);
        assert_eq!(seen, "4711 regular file\n700 directory\n");
        assert_eq!(
            kiln.ok(["system", "check"]),
            "Everything in the store is whole.\n"
        );
        assert!(kiln.ok(["system", "df"]).contains("Images"));
    });
}

/// Whoever builds it: the layers have the same bytes.
#[test]
fn owners_that_instructions_state_are_right_in_the_image() {
    let mut images = Vec::new();
    for who in Who::ALL {
        let kiln = who.kiln();
        let context = kiln.context("app", &[("Dockerfile", DOCKERFILE), ("page", "page\n")]);
        let mut build = kiln.command(["build", "-q", "-t", "app"]);
        build.arg(&context).env("SOURCE_DATE_EPOCH", "1000000000");
        let said = kiln_tests::kiln::said(&mut build);
        assert_eq!(said.code, 0, "{who:?}: {}", said.err);
        let layers = kiln.ok(["inspect", "-f", "{{json .RootFS.Layers}}", "app"]);
        // The base was packed anew for each, with other times.
        images.push(layers.split_once(',').unwrap().1.to_owned());
    }
    assert_eq!(images[0], images[1]);
    assert_eq!(images[0], images[2]);
}

#[test]
fn what_one_pushes_the_others_pull_and_run() {
    let root = Who::Root.kiln();
    let users = Who::USERS.map(|who| (who, who.kiln()));
    let registry = docker_registry(root.scratch()).expect("docker-registry is installed");
    let name = |who: &str| format!("{}/{who}/app:1", registry.address());
    let publish = |kiln: &Kiln, name: &str| {
        app(kiln);
        kiln.ok(["tag", "app", name]);
        kiln.ok(["push", name]);
    };
    let owner = |kiln: &Kiln, name: &str| {
        let stat = [
            "run", "--rm", "--pull", "always", name, "stat", "-c", "%a %u:%g",
        ];
        kiln.ok(stat.iter().chain(&["/www/index.html", "/made", "/closed"]))
    };
    let told = "640 1000:50\n4711 0:0\n700 0:0\n";
    publish(&root, &name("root"));
    for (who, kiln) in &users {
        // With one id all files are shown as root's; the image says whose they are all the same.
        let seen = owner(kiln, &name("root"));
        match who {
            Who::WithoutIds => assert_eq!(seen, "640 0:0\n4711 0:0\n700 0:0\n"),
            _ => assert_eq!(seen, told),
        }
        let theirs = name(&format!("{who:?}").to_lowercase());
        publish(kiln, &theirs);
        assert_eq!(owner(&root, &theirs), told, "{who:?}");
    }
}

#[test]
fn an_owner_that_needs_a_second_id() {
    everybody(|who, kiln| {
        let file = "FROM busybox\nRUN touch /x && chown 1000:50 /x && stat -c %u:%g /x\n";
        let context = kiln.context("owner", &[("Dockerfile", file)]);
        let said = kiln.run([
            "build",
            "--progress=plain",
            "-t",
            "owner",
            context.to_str().unwrap(),
        ]);
        let ran = kiln.run(["run", "--rm", "-u", "user", "busybox", "id", "-u"]);
        if who == Who::WithoutIds {
            assert_eq!(said.code, 1, "{}", said.err);
            assert!(said.err.contains("Dockerfile:2"), "{}", said.err);
            assert!(
                said.err.contains("this user has no subordinate ids"),
                "{}",
                said.err
            );
            assert!(said.err.contains("kiln doctor"), "{}", said.err);
            assert_eq!(ran.code, 125, "{}", ran.err);
            assert!(
                ran.err.contains("this user has no subordinate ids"),
                "{}",
                ran.err
            );
        } else {
            assert!(said.err.contains("1000:50"), "{}", said.err);
            assert_eq!((ran.out.as_str(), ran.code), ("1000\n", 0), "{}", ran.err);
        }
    });
}

#[test]
fn a_server_in_the_background() {
    everybody(|_, kiln| {
        app(kiln);
        let port = free_port();
        let publish = format!("127.0.0.1:{port}:80");
        let serve = ["httpd", "-f", "-v", "-p", "80", "-h", "/www"];
        let args = [
            "run", "-d", "--init", "--name", "web", "-p", &publish, "app",
        ];
        let id = kiln.ok(args.iter().chain(&serve));
        assert_eq!(id.trim().len(), 64, "{id}");
        assert!(fetch(port).contains("<h1>hello</h1>"));
        let listed = kiln.ok(["ps"]);
        let wanted = format!("127.0.0.1:{port}->80/tcp");
        assert!(
            listed.contains(&wanted) && listed.contains("web"),
            "{listed}"
        );
        assert_eq!(
            kiln.ok(["port", "web"]),
            format!("80/tcp -> 127.0.0.1:{port}\n")
        );
        assert!(until(
            || kiln.run(["logs", "web"]),
            |said| said.err.contains("200")
        ));
        let taken = kiln.run(["run", "--rm", "-p", &publish, "app"]);
        assert_eq!(taken.code, 125);
        assert!(taken.err.contains("pid"), "{}", taken.err);
        assert_eq!(kiln.ok(["stop", "-t", "5", "web"]), "web\n");
        assert!(!kiln.ok(["ps"]).contains("web"));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        kiln.ok(["start", "web"]);
        assert!(fetch(port).contains("<h1>hello</h1>"), "started again");
        kiln.ok(["rm", "-f", "web"]);
        assert_eq!(kiln.ok(["ps", "-aq"]), "");
    });
}

#[test]
fn a_container_is_looked_into_changed_and_committed() {
    everybody(|_, kiln| {
        app(kiln);
        kiln.ok([
            "run", "-d", "--init", "--name", "sample", "app", "sleep", "1000",
        ]);
        let put = [
            "exec",
            "sample",
            "sh",
            "-c",
            "echo new > /work/new; rm /made",
        ];
        kiln.ok(put);
        assert_eq!(
            kiln.ok([
                "exec",
                "-w",
                "/work",
                "-e",
                "A=b",
                "sample",
                "sh",
                "-c",
                "cat new; echo $A"
            ]),
            "new\nb\n"
        );
        let changes = kiln.ok(["diff", "sample"]);
        assert!(
            changes.contains("A /work/new\n") && changes.contains("D /made\n"),
            "{changes}"
        );

        let here = kiln.scratch().join("here");
        std::fs::write(&here, "from outside\n").unwrap();
        kiln.ok(["cp", here.to_str().unwrap(), "sample:/work/"]);
        assert_eq!(
            kiln.ok(["exec", "sample", "cat", "/work/here"]),
            "from outside\n"
        );
        let there = kiln.scratch().join("there");
        kiln.ok(["cp", "sample:/work/new", there.to_str().unwrap()]);
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "new\n");
        assert!(kiln.ok(["top", "sample"]).contains("sleep 1000"));

        let id = kiln.ok([
            "commit",
            "-m",
            "added file",
            "-a",
            "my name",
            "-c",
            "ENV B=c",
            "sample",
            "simple:app1",
        ]);
        assert!(id.starts_with("sha256:"), "{id}");
        let seen = kiln.ok([
            "run",
            "--rm",
            "simple:app1",
            "sh",
            "-c",
            "cat /work/new /work/here; echo $B; test -e /made || echo gone",
        ]);
        assert_eq!(seen, "new\nfrom outside\nc\ngone\n");
        let layers = |name: &str| kiln.ok(["inspect", "-f", "{{json .RootFS.Layers}}", name]);
        let (base, made) = (layers("app"), layers("simple:app1"));
        assert!(
            made.starts_with(base.trim_end_matches("]\n")),
            "{base}{made}"
        );
        let exported = kiln.scratch().join("flat.tar");
        kiln.ok(["export", "-o", exported.to_str().unwrap(), "sample"]);
        kiln.ok(["import", exported.to_str().unwrap(), "flat"]);
        assert_eq!(
            kiln.ok(["run", "--rm", "flat", "cat", "/work/new"]),
            "new\n"
        );
        kiln.ok(["kill", "sample"]);
        assert_eq!(kiln.ok(["wait", "sample"]), "137\n");
        let stopped = kiln.fails(["exec", "sample", "true"]);
        assert!(stopped.err.contains("is not running"), "{}", stopped.err);
        assert!(
            stopped.err.contains("`kiln start sample`"),
            "{}",
            stopped.err
        );
        kiln.ok(["rename", "sample", "other"]);
        assert_eq!(kiln.ok(["rm", "other"]), "other\n");
    });
}

#[test]
fn volumes_keep_what_containers_leave() {
    everybody(|_, kiln| {
        app(kiln);
        kiln.ok(["volume", "create", "kept"]);
        let write = [
            "run",
            "--rm",
            "-v",
            "kept:/www",
            "app",
            "sh",
            "-c",
            "cat /www/index.html; echo more > /www/more",
        ];
        assert_eq!(kiln.ok(write), "<h1>hello</h1>\n", "filled from the image");
        assert_eq!(
            kiln.ok([
                "run",
                "--rm",
                "-v",
                "kept:/data:ro",
                "app",
                "cat",
                "/data/more"
            ]),
            "more\n"
        );
        let read_only = kiln.run([
            "run",
            "--rm",
            "-v",
            "kept:/data:ro",
            "app",
            "touch",
            "/data/x",
        ]);
        assert_ne!(read_only.code, 0);
        let folder = kiln.context("shared", &[("file", "theirs\n")]);
        let bind = format!("{}:/shared", folder.display());
        assert_eq!(
            kiln.ok(["run", "--rm", "-v", &bind, "app", "cat", "/shared/file"]),
            "theirs\n"
        );
        assert!(kiln.ok(["volume", "ls"]).contains("kept"));
        assert_eq!(kiln.ok(["volume", "rm", "kept"]), "kept\n");
        assert_eq!(kiln.ok(["volume", "ls", "-q"]), "");
    });
}

#[test]
fn exit_codes_are_dockers() {
    everybody(|_, kiln| {
        for (args, code, says) in [
            (&["sh", "-c", "exit 7"][..], 7, ""),
            (
                &["nothing"],
                127,
                "executable file not found in $PATH\n  hint: ",
            ),
            (&["/etc/passwd"], 126, "permission denied\n  hint: "),
        ] {
            let ran = kiln.run(["run", "--rm", "busybox"].iter().chain(args));
            assert_eq!(ran.code, code, "{}", ran.err);
            assert!(ran.err.contains(says), "{}", ran.err);
        }
        let unknown = kiln.run(["run", "--rm", "-u", "stranger", "busybox", "true"]);
        assert_eq!(unknown.code, 125);
        assert!(unknown.err.contains("stranger"), "{}", unknown.err);
        assert_eq!(kiln.ok(["ps", "-aq"]), "", "nothing is left of them");
    });
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The page, as soon as somebody answers.
fn fetch(port: u16) -> String {
    let start = Instant::now();
    loop {
        let page = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        });
        match page {
            Ok(text) if !text.is_empty() => return text,
            _ if start.elapsed() > Duration::from_secs(20) => panic!("nobody answers: {page:?}"),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Whether it comes true within some seconds.
fn until(ask: impl Fn() -> Said, good: impl Fn(&Said) -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if good(&ask()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
