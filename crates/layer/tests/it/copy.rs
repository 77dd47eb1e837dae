//! COPY and WORKDIR as plans.

use kiln_layer::{
    Entry, Error, ErrorKind, Files, Keep, Kind, LayerPath, Meta, Root, Time,
    copy::{self, Change, Copied, Inputs, Mode, Request, Source},
};

use crate::{
    diff::root,
    support::{entry, files, path, symlink},
};

fn base() -> Root {
    root(vec![files(&[
        "run/",
        "run/lock/",
        "var/",
        "var/run -> /run",
        "app/",
        "app/file = there",
        "app/sub/",
        "app/link -> /app/file",
        "etc/",
        "etc/conf = 1",
        "broken -> /made/here",
        "loop -> loop",
    ])])
}

fn source() -> kiln_layer::InMemory {
    let mut f = files(&[
        "f = one",
        "g = two",
        "dir/",
        "dir/x = x",
        "dir/sub/",
        "dir/sub/y = yy",
        "dir/h == dir/x",
        "dir/link -> x",
        "tofile -> f",
        "todir -> dir",
        "up -> ../../f",
        "none -> nothing",
        "file/",
        "file/file = file in a folder named file",
        "sub = a file named sub",
        "folder-link/",
        "folder-link/link/",
    ]);
    f.file(
        path("owned"),
        Meta {
            uid: 7,
            gid: 8,
            mode: 0o4711,
            mtime: Time {
                seconds: 5,
                nanos: 6,
            },
            ..Meta::default()
        },
        "o",
    );
    f
}

fn of(input: usize, text: &str) -> Source {
    Source {
        input,
        path: path(text),
        ..Source::default()
    }
}

/// A source of which the path from `base` on is kept.
fn from(base: &str, text: &str) -> Source {
    Source {
        base: Some(path(base)),
        ..of(0, text)
    }
}

fn plan(from: &dyn Files, request: &Request, onto: &Root) -> Result<Copied, Error> {
    let files = [from];
    let inputs = Inputs {
        files: &files,
        keep: None,
    };
    copy::plan(inputs, request, onto)
}

fn request(sources: &[&str], destination: &str) -> Request {
    Request {
        sources: sources.iter().map(|s| of(0, s)).collect(),
        destination: destination.into(),
        made: Time::at(77),
        ..Request::default()
    }
}

fn show(changes: &[Change]) -> Vec<String> {
    let line = |c: &Change| {
        let p = &c.entry.path;
        match (&c.entry.kind, &c.source) {
            (Kind::File(_), Some(from)) if from.input > 0 => {
                format!("{p} < {}:{}", from.input, from.path)
            }
            (Kind::File(_), Some(from)) => format!("{p} < {}", from.path),
            (Kind::Dir { .. }, None) => format!("{p}/"),
            (Kind::Symlink { target }, None) => {
                format!("{p} -> {}", String::from_utf8_lossy(target))
            }
            (Kind::Hardlink { target }, None) => format!("{p} == {target}"),
            (kind, source) => panic!("{p}: {kind:?} from {source:?}"),
        }
    };
    changes.iter().map(line).collect()
}

#[test]
fn where_things_go() {
    let (source, base) = (source(), base());
    let rows: &[(&[&str], &str, &[&str])] = &[
        // Files: as the destination, into a folder, over a file.
        (&["f"], "/new", &["new < f"]),
        (&["f"], "/new/", &["new/", "new/f < f"]),
        (&["f"], "/new/.", &["new/", "new/f < f"]),
        (&["f"], "/app", &["app/", "app/f < f"]),
        (&["f"], "/app/.", &["app/", "app/f < f"]),
        (&["f"], "/a/b/c", &["a/", "a/b/", "a/b/c < f"]),
        (&["f"], "/app/file", &["app/", "app/file < f"]),
        (&["f"], "/app//x/../file", &["app/", "app/file < f"]),
        (&["f"], "/../../etc/conf", &["etc/", "etc/conf < f"]),
        (&["f"], "/", &["f < f"]),
        // Links on the way and at the end of the destination.
        (&["f"], "/var/run/pid", &["run/", "run/pid < f"]),
        (&["f"], "/var/run", &["run/", "run/f < f"]),
        (
            &["f"],
            "/var/run/new/",
            &["run/", "run/new/", "run/new/f < f"],
        ),
        (&["f"], "/app/link", &["app/", "app/file < f"]),
        (&["f"], "/broken", &["made/", "made/here < f"]),
        // A link that has the name of the file in the destination folder is replaced, not followed.
        (&["dir/link"], "/app/", &["app/", "app/link < dir/x"]),
        // Folders: their contents.
        (
            &["dir"],
            "/new",
            &[
                "new/",
                "new/h == new/x",
                "new/link -> x",
                "new/sub/",
                "new/sub/y < dir/sub/y",
                "new/x < dir/x",
            ],
        ),
        (&["dir/sub"], "/app", &["app/", "app/y < dir/sub/y"]),
        (&["dir/sub"], "/var/run", &["run/", "run/y < dir/sub/y"]),
        (&["dir/sub"], "/", &["y < dir/sub/y"]),
        // Links in the sources themselves.
        (&["tofile"], "/new/", &["new/", "new/tofile < f"]),
        (&["up"], "/new", &["new < f"]),
        (&["todir/sub"], "/app/", &["app/", "app/y < dir/sub/y"]),
        (
            &["todir"],
            "/app/",
            &[
                "app/",
                "app/h == app/x",
                "app/link -> x",
                "app/sub/",
                "app/sub/y < dir/sub/y",
                "app/x < dir/x",
            ],
        ),
        // Several.
        (&["f", "g"], "/app/", &["app/", "app/f < f", "app/g < g"]),
        (
            &["f", "g"],
            "/many/",
            &["many/", "many/f < f", "many/g < g"],
        ),
        (
            &["f", "dir/sub"],
            "/n/",
            &["n/", "n/f < f", "n/y < dir/sub/y"],
        ),
        (&["f", "f"], "/n/", &["n/", "n/f < f"]),
    ];
    for (sources, destination, expected) in rows {
        let request = request(sources, destination);
        let found = plan(&source, &request, &base).unwrap().changes;
        let mut expected = expected.to_vec();
        // The first name in order is the file.
        if let Some(h) = expected.iter_mut().find(|l| l.contains("h == ")) {
            *h = if h.starts_with("new") {
                "new/h < dir/x"
            } else {
                "app/h < dir/x"
            };
        }
        let expected: Vec<String> = expected
            .iter()
            .map(|l| match *l {
                "new/x < dir/x" => "new/x == new/h".to_owned(),
                "app/x < dir/x" => "app/x == app/h".to_owned(),
                l => l.to_owned(),
            })
            .collect();
        assert_eq!(show(&found), expected, "{sources:?} to {destination}");
    }
}

#[test]
fn what_is_refused() {
    let (source, base) = (source(), base());
    for (sources, destination, kind, at) in [
        (&["missing"][..], "/x", ErrorKind::NotFound, "missing"),
        (&["none"], "/x", ErrorKind::NotFound, "none"),
        (&["file"], "/app/", ErrorKind::Conflict, ""), // fine: see below
        (&["sub"], "/app/", ErrorKind::Conflict, "app/sub"),
        (&["dir"], "/etc/conf", ErrorKind::Conflict, "etc/conf"),
        (&["folder-link"], "/app", ErrorKind::Conflict, "app/link"),
        (&["f"], "/etc/conf/", ErrorKind::Conflict, "etc/conf"),
        (&["f"], "/etc/conf/x", ErrorKind::Conflict, "etc/conf"),
        (&["f", "g"], "/etc/conf", ErrorKind::Conflict, "etc/conf"),
        (&["f"], "/loop/x", ErrorKind::Loop, "loop/x"),
    ] {
        let found = plan(&source, &request(sources, destination), &base).map(|c| c.changes);
        if at.is_empty() {
            assert_eq!(show(&found.unwrap()), ["app/", "app/file < file/file"]);
            continue;
        }
        let e = found.unwrap_err();
        assert_eq!(
            (e.kind(), e.path()),
            (kind, Some(&path(at))),
            "{sources:?} to {destination}: {e}"
        );
    }
}

#[test]
fn owners_modes_and_times() {
    let (source, base) = (source(), base());
    let of = |request: &Request, p: &str| {
        let changes = plan(&source, request, &base).unwrap().changes;
        let found = changes.iter().find(|c| c.entry.path == path(p)).unwrap();
        let m = &found.entry.meta;
        (m.mode, m.uid, m.gid, m.mtime.seconds)
    };
    let plain = request(&["owned"], "/made/here");
    assert_eq!(of(&plain, "made/here"), (0o4711, 0, 0, 5));
    assert_eq!(of(&plain, "made"), (0o755, 0, 0, 77));
    let mut keep = plain.clone();
    keep.sources[0].keep_owner = true;
    assert_eq!(of(&keep, "made/here"), (0o4711, 7, 8, 5));
    let owner = Request {
        owner: Some((3, 4)),
        ..keep
    };
    assert_eq!(of(&owner, "made/here"), (0o4711, 3, 4, 5));
    assert_eq!(of(&owner, "made"), (0o755, 3, 4, 77));
    let mode = Request {
        mode: Some(Mode::parse("0640").unwrap()),
        ..request(&["dir"], "/m")
    };
    assert_eq!(of(&mode, "m/sub/y").0, 0o640);
    assert_eq!(of(&mode, "m/sub").0, 0o640);
    assert_eq!(of(&mode, "m/link").0, 0o777);
    // Made as a process with the usual umask would.
    assert_eq!(of(&mode, "m").0, 0o640);
    // A folder on the way keeps what it has; one beneath the destination gets the source's.
    let owner = Request {
        owner: Some((3, 4)),
        ..request(&["dir"], "/app")
    };
    assert_eq!(of(&owner, "app"), (0o755, 0, 0, 1_600_000_000));
    assert_eq!(of(&owner, "app/sub"), (0o755, 3, 4, 1_600_000_000));
}

#[test]
fn a_wildcard_that_means_one_file_copies_it_to_that_name() {
    let (source, base) = (source(), base());
    let copied = |sources: &[&str], destination: &str| {
        plan(&source, &request(sources, destination), &base).map(|c| show(&c.changes))
    };
    assert_eq!(copied(&["f"], "/app.jar").unwrap(), ["app.jar < f"]);
    let into = copied(&["f", "g"], "/app").unwrap();
    assert_eq!(into, ["app/", "app/f < f", "app/g < g"]);
    let into = copied(&["dir/sub", "file"], "/new").unwrap();
    assert_eq!(into, ["new/", "new/file < file/file", "new/y < dir/sub/y"]);
    let e = copied(&["f", "g"], "/new").unwrap_err();
    assert_eq!(
        (e.kind(), e.path()),
        (ErrorKind::Conflict, Some(&path("new")))
    );
    let over = Request {
        last_stays: true,
        ..request(&["f", "g"], "/new")
    };
    let copied = plan(&source, &over, &base).unwrap();
    assert_eq!(show(&copied.changes), ["new < g"]);
}

#[test]
fn parents_are_kept() {
    let (source, base) = (source(), base());
    let rows: &[(&str, &str, &[&str])] = &[
        ("", "dir/x", &["p/", "p/dir/", "p/dir/x < dir/x"]),
        ("dir", "dir/sub/y", &["p/", "p/sub/", "p/sub/y < dir/sub/y"]),
        ("dir/sub", "dir/sub/y", &["p/", "p/y < dir/sub/y"]),
        ("dir", "dir/sub", &["p/", "p/sub/", "p/sub/y < dir/sub/y"]),
        ("dir/sub", "dir/sub", &["p/", "p/y < dir/sub/y"]),
        // Links on the way are folders afterwards.
        (
            "",
            "todir/sub/y",
            &[
                "p/",
                "p/todir/",
                "p/todir/sub/",
                "p/todir/sub/y < dir/sub/y",
            ],
        ),
    ];
    for (kept, text, expected) in rows {
        let request = Request {
            sources: vec![from(kept, text)],
            ..request(&[], "/p")
        };
        let found = plan(&source, &request, &base).unwrap().changes;
        assert_eq!(show(&found), *expected, "{text} from {kept}");
    }
    let mut closed = files(&["a/b/c = 1"]);
    let folder = |mode| Meta::with_mode(mode);
    closed.entry(Entry::folder(path("a"), folder(0o700)));
    closed.entry(Entry::folder(path("a/b"), folder(0o710)));
    let request = Request {
        sources: vec![from("", "a/b/c")],
        ..request(&[], "/p")
    };
    let found = plan(&closed, &request, &base).unwrap().changes;
    let modes: Vec<_> = found.iter().map(|c| c.entry.meta.mode).collect();
    assert_eq!(modes, [0o755, 0o700, 0o710, 0o644]);
}

#[test]
fn what_is_left_out() {
    let (source, base) = (source(), base());
    let rows: &[(Source, &[&str], &[&str])] = &[
        (
            of(0, "dir"),
            &["sub"],
            &["p/", "p/h < dir/x", "p/link -> x", "p/x == p/h"],
        ),
        (
            of(0, "dir"),
            &["h", "link", "sub/y"],
            &["p/", "p/sub/", "p/x < dir/x"],
        ),
        // A folder is looked into, and made for what is taken in it.
        (
            of(0, "dir"),
            &["h", "link", "x", "?sub"],
            &["p/", "p/sub/", "p/sub/y < dir/sub/y"],
        ),
        (of(0, "dir"), &["h", "link", "x", "?sub", "sub/y"], &["p/"]),
        // A file by its own name; a folder whose contents are copied not at all.
        (of(0, "dir/x"), &["x"], &["p/"]),
        (of(0, "dir/x"), &["dir"], &["p/", "p/x < dir/x"]),
        (of(0, "dir/sub"), &["sub"], &["p/", "p/y < dir/sub/y"]),
        // By all that is kept of the path.
        (
            from("", "dir/sub"),
            &["dir/sub/y"],
            &["p/", "p/dir/", "p/dir/sub/"],
        ),
        (from("dir", "dir/sub"), &["sub/y"], &["p/", "p/sub/"]),
        (from("", "dir/x"), &["dir"], &["p/"]),
    ];
    for (source_, left_out, expected) in rows {
        let keep = |at: &LayerPath, _: bool| {
            let within = |text: &str| at.starts_with(&path(text.trim_start_matches('?')));
            match left_out.iter().rfind(|text| within(text)) {
                Some(text) if text.starts_with('?') && *at == path(&text[1..]) => Keep::Look,
                Some(text) if !text.starts_with('?') => Keep::No,
                _ => Keep::Yes,
            }
        };
        let given: [&dyn Files; 1] = [&source];
        let inputs = Inputs {
            files: &given,
            keep: Some(&keep),
        };
        let request = Request {
            sources: vec![source_.clone()],
            ..request(&[], "/p/")
        };
        let found = copy::plan(inputs, &request, &base).unwrap().changes;
        assert_eq!(show(&found), *expected, "{source_:?} without {left_out:?}");
    }
}

#[test]
fn inputs_of_several_kinds() {
    let (one, two) = (source(), files(&["two = 2", "f = of the second"]));
    let given: [&dyn Files; 2] = [&one, &two];
    let inputs = Inputs {
        files: &given,
        keep: None,
    };
    let request = Request {
        sources: vec![of(0, "g"), of(1, "two"), of(0, "f"), of(1, "f")],
        ..request(&[], "/p/")
    };
    let found = copy::plan(inputs, &request, &base()).unwrap().changes;
    assert_eq!(
        show(&found),
        ["p/", "p/f < 1:f", "p/g < g", "p/two < 1:two"]
    );
    let (tar, packed) =
        kiln_layer::pack_changes(&found, &given, Vec::new(), &Default::default()).unwrap();
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("of the second") && packed.tree.len() == 4);
    assert!(
        kiln_layer::pack_changes(&found, &given[..1], Vec::new(), &Default::default()).is_err()
    );
}

#[test]
fn a_later_source_replaces_a_file_that_others_link_to() {
    let source = files(&["a/", "a/f = old", "a/l == a/f", "b/", "b/f = new"]);
    let request = request(&["a", "b"], "/n/");
    let found = plan(&source, &request, &base()).unwrap().changes;
    assert_eq!(show(&found), ["n/", "n/f < b/f", "n/l < a/f"]);
}

#[test]
fn only_what_is_copied_is_linked() {
    let source = files(&["a/", "a/l == f", "a/m == f", "f = 1"]);
    // In a tree as archives may have it, the file comes after its links.
    let found = plan(&source, &request(&["a"], "/n"), &base())
        .unwrap()
        .changes;
    assert_eq!(show(&found), ["n/", "n/l < f", "n/m == n/l"]);
    // Two sources are two files, whatever they were.
    let found = plan(&source, &request(&["a/l", "a/m"], "/n/"), &base());
    assert_eq!(show(&found.unwrap().changes), ["n/", "n/l < f", "n/m < f"]);
}

#[test]
fn what_a_plan_met() {
    let met = |destination: &str, base: &Root| {
        plan(&source(), &request(&["f"], destination), base)
            .unwrap()
            .met
    };
    let lines = |met: &[copy::Met]| -> Vec<String> {
        met.iter()
            .map(|m| format!("{} {} {:o}", m.path, m.kind, m.mode))
            .collect()
    };
    assert_eq!(
        lines(&met("/var/run/x", &base())),
        [
            "run folder 755",
            "var folder 755",
            "var/run symbolic link 0"
        ]
    );
    assert_eq!(lines(&met("/new/x", &base())), [] as [&str; 0]);
    assert_eq!(
        lines(&met("/app/file", &base())),
        ["app folder 755", "app/file file 644"]
    );
    // Another owner of a folder on the way is another key; an unrelated change is none.
    let other = root(vec![files(&["app/", "app/file = there", "unrelated = 1"])]);
    assert_eq!(met("/app/file", &other), met("/app/file", &base()));
}

#[test]
fn workdir() {
    let base = base();
    let make = |text: &str| {
        let made = copy::make_folder(text.as_bytes(), Some((5, 6)), 0o755, Time::at(9), &base);
        made.map(|c| show(&c)).map_err(|e| e.kind())
    };
    let some = |lines: &[&str]| Ok(lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
    assert_eq!(make("/"), some(&[]));
    assert_eq!(make("/app/sub"), some(&[]));
    assert_eq!(make("/var/run"), some(&[]));
    assert_eq!(make("/var/run/a/b"), some(&["run/", "run/a/", "run/a/b/"]));
    assert_eq!(make("/etc/conf"), Err(ErrorKind::Conflict));
    assert_eq!(make("/loop"), Err(ErrorKind::Loop));
    let made = copy::make_folder(b"/n", Some((5, 6)), 0o755, Time::at(9), &base).unwrap();
    let meta = &made[0].entry.meta;
    assert_eq!(
        (meta.uid, meta.gid, meta.mode, meta.mtime),
        (5, 6, 0o755, Time::at(9))
    );
}

#[test]
fn folders_that_are_made_in_one_with_setgid_are_as_a_disk_makes_them() {
    let mut below = files(&["plain/"]);
    let shared = Meta {
        uid: 5,
        gid: 6,
        ..Meta::with_mode(0o2775)
    };
    below.entry(Entry::folder(path("s"), shared));
    let base = root(vec![below]);
    let shown = |changes: &[Change]| -> Vec<String> {
        let of = |c: &Change| {
            let meta = &c.entry.meta;
            let (path, mode) = (&c.entry.path, meta.mode);
            format!("{path} {mode:o} {}:{}", meta.uid, meta.gid)
        };
        changes.iter().map(of).collect()
    };
    let made = |owner| {
        let made = copy::make_folder(b"/s/a/b", owner, 0o755, Time::at(9), &base);
        shown(&made.unwrap())
    };
    assert_eq!(made(None), ["s 2775 5:6", "s/a 2755 0:6", "s/a/b 2755 0:6"]);
    assert_eq!(
        made(Some((9, 8))),
        ["s 2775 5:6", "s/a 2755 9:8", "s/a/b 2755 9:8"]
    );
    // What is copied into them is as it was.
    let copied = plan(&source(), &request(&["dir"], "/s/new"), &base).unwrap();
    let all = shown(&copied.changes);
    for line in ["s/new 2755 0:6", "s/new/sub 755 0:0", "s/new/x 644 0:0"] {
        assert!(all.iter().any(|l| l == line), "{line}: {all:?}");
    }
}

#[test]
fn devices_and_pipes_are_copied_and_an_archive_without_folders_is_taken() {
    let mut source = files(&["d/deep/f = 1"]);
    source.entry(entry("d/pipe", Kind::Fifo));
    source.entry(symlink("d/l", "nowhere"));
    let found = plan(&source, &request(&["d"], "/n"), &base())
        .unwrap()
        .changes;
    let paths: Vec<_> = found.iter().map(|c| c.entry.path.to_string()).collect();
    assert_eq!(paths, ["n", "n/deep", "n/deep/f", "n/l", "n/pipe"]);
}

/// An archive with these entries unpacked at `/d` of a root.
fn unpacked(entries: &[Entry], onto: &Root) -> Result<Copied, Error> {
    let mut archive = kiln_layer::InMemory::new();
    for entry in entries {
        archive.entry(entry.clone());
    }
    let request = Request {
        sources: vec![Source {
            unpack: true,
            keep_owner: true,
            ..Source::default()
        }],
        ..request(&[], "/d")
    };
    plan(&archive, &request, onto)
}

fn hard(at: &str, target: &str, mode: u32) -> Entry {
    Entry {
        path: path(at),
        meta: Meta {
            uid: 5,
            ..Meta::with_mode(mode)
        },
        kind: Kind::Hardlink {
            target: path(target),
        },
    }
}

#[test]
fn a_hard_link_of_an_archive_takes_what_the_root_has() {
    let onto = |text: &str| {
        let links = ["d/pipe-link -> orig", "d/sub -> /deep", "d/deep/"];
        let texts = [&["d/", text, "d/deep/in = 1"][..], &links].concat();
        root(vec![files(&texts)])
    };
    let of = |text: &str| {
        let links = [
            hard("a", "orig", 0o700),
            hard("b", "orig", 0o700),
            hard("c", "sub/in", 0o711),
        ];
        unpacked(&links, &onto(text)).unwrap()
    };
    let found = of("d/orig = there");
    let lines = [
        "d/",
        "d/a < 1:d/orig",
        "d/b == d/a",
        "d/c < 1:d/deep/in",
        "d/deep/",
        "d/deep/in == d/c",
        "d/orig == d/a",
    ];
    assert_eq!(show(&found.changes), lines);
    let orig = |copied: &Copied| {
        let change = copied
            .changes
            .iter()
            .find(|c| c.entry.path == path("d/orig"));
        change.map(|c| (c.entry.meta.mode, c.entry.meta.uid))
    };
    assert_eq!(orig(&found), Some((0o700, 5)));
    // The content of what was taken is a part of what was met.
    assert_ne!(found.met, of("d/orig = other").met);
    assert_eq!(found.met, of("d/orig = there").met);

    for (link, kind, said) in [
        ("nothing", ErrorKind::NotFound, "hard link to `d/nothing`"),
        ("deep", ErrorKind::Conflict, "which is a folder"),
        ("h", ErrorKind::NotFound, "hard link to `d/h`"),
    ] {
        let e = unpacked(&[hard("h", link, 0o700)], &onto("d/orig = there")).unwrap_err();
        assert_eq!(e.kind(), kind, "{link}: {e}");
        assert!(e.to_string().contains(said), "{link}: {e}");
    }
}

#[test]
fn names_of_a_file_whose_first_one_was_replaced() {
    let onto = root(vec![files(&["d/", "d/near -> real", "d/real/"])]);
    let entries: Vec<Entry> = files(&["near/a = 1", "real/a = 22", "z == near/a"])
        .tree()
        .iter()
        .cloned()
        .collect();
    let found = unpacked(&entries, &onto).unwrap();
    assert!(
        show(&found.changes).contains(&"d/z < near/a".to_owned()),
        "{:?}",
        show(&found.changes)
    );
}

#[test]
fn a_folder_that_was_replaced_and_is_made_again_hides_what_was_there() {
    let onto = root(vec![files(&["d/", "d/x/", "d/x/l -> /elsewhere"])]);
    let inputs = [files(&["x = file"]), files(&["x/", "x/l/y = 1"])];
    let inputs: Vec<&dyn Files> = inputs.iter().map(|f| f as &dyn Files).collect();
    let source = |input| Source {
        input,
        unpack: true,
        ..Source::default()
    };
    let request = Request {
        sources: vec![source(0), source(1)],
        ..request(&[], "/d")
    };
    let from = Inputs {
        files: &inputs,
        keep: None,
    };
    let found = copy::plan(from, &request, &onto).unwrap();
    assert_eq!(
        show(&found.changes),
        ["d/", "d/x/", "d/x/l/", "d/x/l/y < 1:x/l/y"]
    );
    let x = found.changes.iter().find(|c| c.entry.path == path("d/x"));
    assert_eq!(
        x.map(|c| c.entry.kind.clone()),
        Some(Kind::Dir { opaque: true })
    );
}

#[test]
fn what_an_archive_says_of_its_entries() {
    let mut archive = files(&["deep/f = 1", "l -> f"]);
    archive.entry(Entry {
        meta: Meta::with_mode(0o644),
        ..symlink("l", "f")
    });
    let source = Source {
        time: Some(Time::at(3)),
        unpack: true,
        ..Source::default()
    };
    let request = Request {
        sources: vec![source],
        owner: Some((8, 9)),
        mode: Some(Mode::parse("700").unwrap()),
        ..request(&[], "/new")
    };
    let found = plan(&archive, &request, &base()).unwrap();
    let line = |c: &Change| {
        let meta = &c.entry.meta;
        let (path, time) = (&c.entry.path, meta.mtime.seconds);
        format!("{path} {:o} {}:{} {time}", meta.mode, meta.uid, meta.gid)
    };
    let lines: Vec<String> = found.changes.iter().map(line).collect();
    let expected = [
        "new 700 8:9 77",
        "new/deep 755 0:0 77", // implied, and root's
        "new/deep/f 644 8:9 3",
        "new/l 777 8:9 3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_later_archive_links_to_what_an_earlier_one_brought() {
    let first = files(&["a = 1", "b == a"]);
    let mut second = kiln_layer::InMemory::new();
    second.entry(hard("c", "b", 0o711));
    let mut noted = hard("d", "b", 0o711);
    noted
        .meta
        .xattrs
        .insert(b"user.note".to_vec(), b"1".to_vec());
    second.entry(noted);
    let inputs: [&dyn Files; 2] = [&first, &second];
    let source = |input| Source {
        input,
        unpack: true,
        keep_owner: true,
        ..Source::default()
    };
    let request = Request {
        sources: vec![source(0), source(1)],
        ..request(&[], "/d")
    };
    let from = Inputs {
        files: &inputs,
        keep: None,
    };
    let found = copy::plan(from, &request, &base()).unwrap();
    assert_eq!(
        show(&found.changes),
        ["d/", "d/a < a", "d/b == d/a", "d/c == d/a", "d/d == d/a"]
    );
    for change in &found.changes[1..] {
        let meta = &change.entry.meta;
        assert_eq!((meta.mode, meta.uid), (0o711, 5), "{}", change.entry.path);
        assert_eq!(meta.xattrs.len(), 1, "{}", change.entry.path);
    }
}
