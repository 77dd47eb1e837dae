//! The tutorials of `examples` and of the README, played word for word: what stands behind a `$` is run, what stands
//! behind a `#` is typed into the shell that was opened before.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    sync::Arc,
};

use kiln_tests::{
    base::{host_root, pack, python_modules},
    kiln::Kiln,
    pty::Pty,
    until::until,
    users::User,
};

const HOUSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The lines of the console blocks below the heading `below`.
fn lines(readme: &Path, below: &str) -> Vec<String> {
    let text = fs::read_to_string(readme).unwrap();
    let (mut here, mut inside) = (false, false);
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(kind) => inside = kind == "console",
            None if inside && here => lines.push(line.to_owned()),
            None if inside => {}
            None if line.starts_with('#') => here = line.trim_start_matches('#').trim() == below,
            None => {}
        }
    }
    assert!(!lines.is_empty(), "nothing stands below `{below}`");
    lines
}

/// A command line as words; the tutorials quote with `"` only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Stands in for the `debian` of the Dockerfile, made of this machine's own programs.
fn debian(kiln: &Kiln) {
    let root = kiln.scratch().join("root");
    let programs = ["bash", "dash", "cat", "sleep", "ls", "mkdir"];
    host_root(&root, &programs).unwrap();
    let tar = kiln.scratch().join("root.tar");
    pack(&root, &tar).unwrap();
    kiln.ok(["import", tar.to_str().unwrap(), "debian"]);
}

/// An example's folder where whoever plays it may read it.
fn copied(kiln: &Kiln, example: &str) -> PathBuf {
    let folder = kiln.scratch().join("example");
    fs::create_dir(&folder).unwrap();
    let from = Path::new(HOUSE).join("examples").join(example);
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    // What is copied out of a container comes here.
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&folder, open).unwrap();
    folder
}

/// Whoever plays a tutorial.
struct Player<'a> {
    kiln: &'a Kiln,
    folder: PathBuf,
    /// Each command with what it said.
    said: Vec<(String, String)>,
    shell: Option<Pty>,
    /// What goes on in another terminal until it ends by itself.
    following: Vec<(String, Child)>,
}

impl<'a> Player<'a> {
    fn new(kiln: &'a Kiln, folder: PathBuf) -> Self {
        Self {
            kiln,
            folder,
            said: Vec::new(),
            shell: None,
            following: Vec::new(),
        }
    }

    /// Plays `lines`; `after` is called after each command.
    fn play(&mut self, lines: &[String], after: &dyn Fn(&str)) {
        for line in lines {
            if let Some(typed) = line.strip_prefix("# ") {
                let shell = self.shell.as_mut().expect("a shell was opened");
                shell.expect("# ");
                shell.send(&format!("{typed}\n"));
                continue;
            }
            if let Some(mut shell) = self.shell.take() {
                let (code, shown) = shell.wait();
                assert_eq!(code, 0, "{shown}");
            }
            let command = line.strip_prefix("$ ").expect(line);
            self.command(command);
            after(command);
        }
        for (command, child) in std::mem::take(&mut self.following) {
            let output = child.wait_with_output().unwrap();
            self.heard(&command, &output);
        }
    }

    fn command(&mut self, command: &str) {
        let words = words(command);
        match words[0].as_str() {
            "cd" => return,
            "kiln" => {}
            other => panic!("{other}"),
        }
        let mut run = self.kiln.command(&words[1..]);
        run.current_dir(&self.folder);
        if words.contains(&"-it".to_owned()) {
            self.shell = Some(Pty::start(&run));
        } else if words.contains(&"-f".to_owned()) && words[1] == "logs" {
            run.stdout(Stdio::piped()).stderr(Stdio::piped());
            self.following
                .push((command.to_owned(), run.spawn().unwrap()));
        } else {
            let output = run.output().unwrap();
            self.heard(command, &output);
        }
    }

    fn heard(&mut self, command: &str, output: &Output) {
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {err}");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if command.contains("logs") {
            text.push_str(&err);
        }
        self.said.push((command.to_owned(), text));
    }

    /// What the first command that begins so has said.
    fn of(&self, beginning: &str) -> &str {
        let begins = |(command, _): &&(String, String)| command.starts_with(beginning);
        match self.said.iter().find(begins) {
            Some((_, text)) => text,
            None => panic!("no `{beginning}`"),
        }
    }
}

#[test]
fn an_image_made_by_hand() {
    an_image_by(&Kiln::new());
}

#[test]
fn an_image_made_by_hand_without_root() {
    an_image_by(&Kiln::of(&Arc::new(User::with_ids())));
}

#[test]
fn an_image_made_by_hand_with_one_id() {
    an_image_by(&Kiln::of(&Arc::new(User::without_ids())));
}

fn an_image_by(kiln: &Kiln) {
    debian(kiln);
    let folder = copied(kiln, "commit");
    let lines = lines(&folder.join("README.md"), "An image made by hand");
    let mut player = Player::new(kiln, folder);
    player.play(&lines, &|_| ());
    assert_eq!(player.of("kiln run -d").trim().len(), 64);
    let listed = player.of("kiln ps").lines().nth(1).unwrap();
    assert!(
        listed.contains("simple:app") && listed.ends_with("sample"),
        "{listed}"
    );
    let diff = player.of("kiln diff");
    assert!(diff.contains("A /notes.txt\n"), "{diff}");
    assert!(player.of("kiln commit").starts_with("sha256:"));
    let images = player.of("kiln images");
    let mut rows = images.lines();
    assert!(
        rows.any(|l| l.starts_with("simple") && l.contains("app1")),
        "{images}"
    );
    assert!(player.of("kiln history").contains("added file"));
    assert_eq!(player.of("kiln run --rm"), "made by hand\n");
    assert!(
        player
            .of("kiln exec sample cat")
            .starts_with("FROM debian\n")
    );
    assert_eq!(player.of("kiln rm"), "sample\n");
    assert_eq!(kiln.ok(["ps", "-aq"]), "");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("Hello from kiln").then_some(answer)
}

/// The server of the first tutorial in the background, as the README of the house shows it.
fn a_server_by(kiln: &Kiln) {
    let root = kiln.scratch().join("root");
    host_root(&root, &["python3", "dash", "grep"]).unwrap();
    python_modules(&root).unwrap();
    let tar = kiln.scratch().join("root.tar");
    pack(&root, &tar).unwrap();
    kiln.ok(["import", tar.to_str().unwrap(), "debian:bookworm-slim"]);
    let folder = copied(kiln, "flask");
    let file = folder.join("offline.Dockerfile");
    let (file, context) = (file.to_str().unwrap(), folder.to_str().unwrap());
    kiln.ok(["build", "-q", "-t", "my-flask-app", "-f", file, context]);
    let port = free_port();
    let lines: Vec<String> = lines(&Path::new(HOUSE).join("README.md"), "Containers")
        .iter()
        .map(|line| line.replace("5000:5000", &format!("127.0.0.1:{port}:5000")))
        .collect();
    let mut player = Player::new(kiln, folder.clone());
    player.play(&lines, &|command| {
        if command.starts_with("kiln run -d") || command.starts_with("kiln start") {
            until("a page", || page(port));
        }
        if command.starts_with("kiln stop") {
            assert_eq!(page(port), None);
        }
    });
    let log = player.of("kiln logs -f");
    assert!(log.contains("\"GET / HTTP/1.0\" 200"), "{log}");
    assert_eq!(player.of("kiln stop"), "web\n");
    let tags = kiln.ok(["images", "--format", "{{.Tag}}", "my-flask-app"]);
    assert_eq!(tags, "2\nlatest\n");
    assert_eq!(kiln.ok(["ps", "-aq"]), "");
}

#[test]
fn a_server_in_the_background() {
    a_server_by(&Kiln::new());
}

#[test]
fn a_server_in_the_background_without_root() {
    a_server_by(&Kiln::of(&Arc::new(User::with_ids())));
}
