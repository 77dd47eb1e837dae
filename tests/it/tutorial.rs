//! The tutorials of `examples`, played word for word: what stands behind a `$` is run, what stands
//! behind a `#` is typed into the shell that was opened before.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_tests::{
    base::{host_root, pack},
    kiln::Kiln,
    pty::Pty,
    users::User,
};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/commit");

/// The lines of a README's console blocks.
fn lines(readme: &Path) -> Vec<String> {
    let text = fs::read_to_string(readme).unwrap();
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(kind) => inside = kind == "console",
            None if inside => lines.push(line.to_owned()),
            None => {}
        }
    }
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

/// The example's folder where whoever plays it may read it.
fn copied(kiln: &Kiln) -> PathBuf {
    let folder = kiln.scratch().join("example");
    fs::create_dir(&folder).unwrap();
    for name in ["Dockerfile", "README.md"] {
        fs::copy(Path::new(EXAMPLE).join(name), folder.join(name)).unwrap();
    }
    folder
}

/// Plays a tutorial, and gives each command with what it said.
fn play(kiln: &Kiln) -> Vec<(String, String)> {
    let folder = copied(kiln);
    let mut said = Vec::new();
    let mut shell: Option<Pty> = None;
    for line in lines(&folder.join("README.md")) {
        if let Some(typed) = line.strip_prefix("# ") {
            let shell = shell.as_mut().expect("a shell was opened");
            shell.expect("# ");
            shell.send(&format!("{typed}\n"));
            continue;
        }
        if let Some(mut shell) = shell.take() {
            let (code, shown) = shell.wait();
            assert_eq!(code, 0, "{shown}");
        }
        let command = line.strip_prefix("$ ").expect(&line);
        let words = words(command);
        match words[0].as_str() {
            "cd" => continue,
            "kiln" => {}
            other => panic!("{other}"),
        }
        let mut run = kiln.command(&words[1..]);
        run.current_dir(&folder);
        if words.contains(&"-it".to_owned()) {
            shell = Some(Pty::start(&run));
            continue;
        }
        let output = run.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {err}");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push((command.to_owned(), out));
    }
    said
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
    let said = play(kiln);
    let of = |beginning: &str| {
        let found = said
            .iter()
            .find(|(command, _)| command.starts_with(beginning));
        found
            .unwrap_or_else(|| panic!("no `{beginning}`"))
            .1
            .as_str()
    };
    assert_eq!(of("kiln run -d").trim().len(), 64);
    let listed = of("kiln ps").lines().nth(1).unwrap();
    assert!(
        listed.contains("simple:app") && listed.ends_with("sample"),
        "{listed}"
    );
    assert!(
        of("kiln diff").contains("A /notes.txt\n"),
        "{}",
        of("kiln diff")
    );
    assert!(of("kiln commit").starts_with("sha256:"));
    let images = of("kiln images");
    assert!(
        images
            .lines()
            .any(|l| l.starts_with("simple") && l.contains("app1")),
        "{images}"
    );
    assert!(of("kiln history").contains("added file"));
    assert_eq!(of("kiln run --rm"), "made by hand\n");
    assert!(of("kiln exec sample cat").starts_with("FROM debian\n"));
    assert_eq!(of("kiln rm"), "sample\n");
    assert_eq!(kiln.ok(["ps", "-aq"]), "");
}
