//! Scans of a folder: the index, the threads, and what changes under them.
#![cfg(unix)]

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

use kiln_layer::{Error, ErrorKind, Files, Folder, Index, Keep, Kind, LayerPath, Scan, Scanned};
use tempfile::TempDir;

use crate::support::{is_root, listing, path, read, run};

fn all(_: &LayerPath, _: bool) -> Keep {
    Keep::Yes
}

fn scan(root: &Path, index: Option<&Index>) -> (Folder, Scanned) {
    let how = Scan {
        index,
        ..Scan::default()
    };
    Folder::scan_with(root, &all, &how).unwrap()
}

/// A folder with these files, each with its path as its content.
fn folder(files: &[&str]) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    for file in files {
        let at = temp.path().join(file);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, file).unwrap();
    }
    temp
}

/// Waits until a later change is sure to show: indexes take nothing younger.
fn settle() {
    std::thread::sleep(Duration::from_millis(150));
}

/// An index of all that is in a folder now.
fn index_of(root: &Path) -> Index {
    settle();
    scan(root, None).1.index.unwrap()
}

fn digest(files: &Folder, at: &str) -> kiln_image::Digest {
    files.tree().file(&path(at)).unwrap().1.digest
}

/// What a scan says when the folder is changed by `change` while its entry `at` is come to.
fn scan_while(root: &Path, at: &str, change: impl Fn() + Sync) -> Result<Folder, Error> {
    let done = AtomicBool::new(false);
    let keep = |p: &LayerPath, _: bool| {
        if p.as_bytes() == at.as_bytes() && !done.swap(true, Ordering::Relaxed) {
            change();
        }
        Keep::Yes
    };
    let found = Folder::scan(root, &keep, 1);
    assert!(done.load(Ordering::Relaxed));
    found
}

#[test]
fn what_the_index_knows_is_not_read_again() {
    let temp = folder(&["a", "d/b", "d/e/c", "same"]);
    fs::hard_link(temp.path().join("same"), temp.path().join("same2")).unwrap();
    let index = index_of(temp.path());
    assert_eq!(index.len(), 4);
    let (first, _) = scan(temp.path(), None);
    let (again, scanned) = scan(temp.path(), Some(&index));
    // A link is known twice, by one file.
    assert_eq!((scanned.known, scanned.read, scanned.unread), (4, 0, 0));
    assert!(scanned.index.is_none(), "nothing is new");
    assert_eq!(first.tree(), again.tree());
    assert_eq!(read(&again, "d/e/c"), b"d/e/c");

    // The same from its bytes; from other bytes none at all.
    let bytes = index.encode();
    let back = Index::decode(&bytes).unwrap();
    assert_eq!(back, index);
    assert_eq!(scan(temp.path(), Some(&back)).1.known, 4);

    // Another folder with the same files has other inodes.
    let other = folder(&["a", "d/b", "d/e/c", "same"]);
    let (_, scanned) = scan(other.path(), Some(&index));
    assert_eq!((scanned.known, scanned.read), (0, 4));
}

#[test]
fn whatever_changes_is_read_again() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("content of the same size and time", |at| {
            let time = fs::metadata(at).unwrap().modified().unwrap();
            let file = fs::File::options().write(true).open(at).unwrap();
            (&file).write_all(b"FILE").unwrap();
            file.set_modified(time).unwrap();
        }),
        ("size", |at| fs::write(at, "longer than it was").unwrap()),
        ("replaced by a file of the same size and time", |at| {
            let time = fs::metadata(at).unwrap().modified().unwrap();
            let new = at.with_extension("new");
            fs::write(&new, "FILE").unwrap();
            let file = fs::File::options().write(true).open(&new).unwrap();
            file.set_modified(time).unwrap();
            fs::rename(new, at).unwrap();
        }),
        ("time", |at| {
            let file = fs::File::options().write(true).open(at).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("mode", |at| {
            fs::set_permissions(at, fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("name", |at| fs::rename(at, at.with_extension("x")).unwrap()),
    ];
    for (what, change) in changes {
        let temp = folder(&["file", "other"]);
        let index = index_of(temp.path());
        change(&temp.path().join("file"));
        let (found, scanned) = scan(temp.path(), Some(&index));
        assert_eq!((scanned.known, scanned.read), (1, 1), "{what}");
        let fresh = Folder::scan(temp.path(), &all, 1).unwrap();
        assert_eq!(found.tree(), fresh.tree(), "{what}");
        // What was there and is known stays known beside what is new.
        settle();
        let (_, scanned) = scan(temp.path(), Some(&index));
        let (_, scanned) = scan(temp.path(), scanned.index.as_ref());
        assert_eq!((scanned.known, scanned.read), (2, 0), "{what}");
    }
}

#[test]
fn attributes_come_from_the_index_as_from_the_disk() {
    let temp = folder(&["with", "without"]);
    let set = ["-n", "user.x", "-v", "1", "with"];
    if run("setfattr", &set, temp.path()).is_none() {
        println!("not run: `setfattr` is not here, or the file system has no attributes");
        return;
    }
    let index = index_of(temp.path());
    let (found, scanned) = scan(temp.path(), Some(&index));
    assert_eq!(scanned.known, 2);
    let xattrs = |p: &str| found.tree().get(&path(p)).unwrap().meta.xattrs.clone();
    assert_eq!(xattrs("with")[&b"user.x"[..]], b"1");
    assert!(xattrs("without").is_empty());
    run(
        "setfattr",
        &["-n", "user.x", "-v", "2", "with"],
        temp.path(),
    )
    .unwrap();
    let (found, scanned) = scan(temp.path(), Some(&index));
    assert_eq!((scanned.known, scanned.read), (1, 1));
    let entry = found.tree().get(&path("with")).unwrap();
    assert_eq!(entry.meta.xattrs[&b"user.x"[..]], b"2");
}

#[test]
fn an_index_remembers_what_another_selection_leaves_out_for_a_while() {
    let temp = folder(&["a", "b"]);
    let mut index = index_of(temp.path());
    let only_a = |p: &LayerPath, _: bool| match p.as_bytes() {
        b"a" => Keep::Yes,
        _ => Keep::No,
    };
    let forgets = (0..100).position(|_| {
        fs::write(temp.path().join("a"), "a").unwrap();
        settle();
        let how = Scan {
            index: Some(&index),
            ..Scan::default()
        };
        index = Folder::scan_with(temp.path(), &only_a, &how)
            .unwrap()
            .1
            .index
            .unwrap();
        index.len() == 1
    });
    assert!(forgets.is_some_and(|n| n > 4), "{forgets:?}");
}

#[test]
fn unread_files_are_learnt_from_those_who_read_them() {
    let temp = folder(&["a", "b", "gone"]);
    settle();
    let how = Scan {
        read_up_to: 4096,
        ..Scan::default()
    };
    let (folder, scanned) = Folder::scan_with(temp.path(), &all, &how).unwrap();
    assert_eq!((scanned.known, scanned.read, scanned.unread), (0, 0, 3));
    let unread = |p: &str| {
        folder
            .tree()
            .get(&path(p))
            .unwrap()
            .file()
            .unwrap()
            .is_unread()
    };
    assert!(unread("a") && unread("b"));
    assert!(folder.learn(None, &|_| None).is_none());
    let blake3 = |bytes: &[u8]| {
        kiln_image::Digest::new(
            kiln_image::Algorithm::Blake3,
            *blake3::hash(bytes).as_bytes(),
        )
    };
    let digest =
        |p: &LayerPath| (p.as_bytes() != b"gone").then(|| blake3(&read(&folder, &p.to_string())));
    let index = folder.learn(None, &digest).unwrap();
    assert_eq!(index.len(), 2);
    // One is unknown, and little to read.
    let how = Scan {
        index: Some(&index),
        read_up_to: 4100,
        ..Scan::default()
    };
    let (again, scanned) = Folder::scan_with(temp.path(), &all, &how).unwrap();
    assert_eq!((scanned.known, scanned.read, scanned.unread), (2, 1, 0));
    assert_eq!(
        again.tree(),
        Folder::scan(temp.path(), &all, 1).unwrap().tree()
    );
}

#[test]
fn an_unread_file_that_changes_before_its_end_is_noticed() {
    let temp = folder(&["before", "during", "after"]);
    settle();
    let how = Scan {
        read_up_to: 0,
        ..Scan::default()
    };
    let (folder, _) = Folder::scan_with(temp.path(), &all, &how).unwrap();
    let kind = |e: std::io::Error| e.downcast::<Error>().unwrap().kind();
    fs::write(temp.path().join("before"), "BEFORE").unwrap();
    assert_eq!(
        folder.open(&path("before")).err().map(kind),
        Some(ErrorKind::Changed)
    );
    let mut open = folder.open(&path("during")).unwrap();
    let mut byte = [0];
    open.read_exact(&mut byte).unwrap();
    fs::write(temp.path().join("during"), "DURING").unwrap();
    let e = open.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(kind(e), ErrorKind::Changed);
    assert_eq!(read(&folder, "after"), b"after");
}

#[test]
fn the_tree_does_not_depend_on_the_threads() {
    let temp = tempfile::tempdir().unwrap();
    let at = |p: String| temp.path().join(p);
    for i in 0..60 {
        fs::create_dir_all(at(format!("d{}/e{i}/deep", i % 7))).unwrap();
        fs::write(at(format!("d{}/e{i}/f", i % 7)), format!("{i}")).unwrap();
        symlink("../x", at(format!("d{}/e{i}/deep/l", i % 7))).unwrap();
    }
    // More than one thread looks at in a row.
    fs::create_dir(at("large".into())).unwrap();
    for i in 0..5000 {
        fs::write(at(format!("large/{i}")), format!("{}", i % 100)).unwrap();
    }
    for i in 0..50 {
        let first = at(format!("d{}/e{i}/f", i % 7));
        fs::hard_link(first, at(format!("large/{i}-again"))).unwrap();
    }
    let keep = |p: &LayerPath, dir: bool| match p.components().last().unwrap() {
        b"e3" => Keep::No,
        b"d2" if dir => Keep::Look,
        b"e9" => Keep::Look,
        _ => Keep::Yes,
    };
    let one = Folder::scan(temp.path(), &keep, 1).unwrap();
    let links = one
        .tree()
        .iter()
        .filter(|e| matches!(e.kind, Kind::Hardlink { .. }));
    assert_eq!(
        links.count(),
        49,
        "one of them is left out under its first name"
    );
    let paths: Vec<_> = one.tree().iter().map(|e| &e.path).collect();
    assert!(paths.is_sorted());
    for threads in [2, 3, 8, 16] {
        let many = Folder::scan(temp.path(), &keep, threads).unwrap();
        assert_eq!(one.tree(), many.tree(), "{threads} threads");
    }
}

#[test]
fn nothing_outside_is_read_through_a_folder_that_becomes_a_link() {
    let outside = folder(&["d/secret"]);
    for other in ["gone", "link", "file"] {
        let temp = folder(&["d/x", "z"]);
        let d = temp.path().join("d");
        // `z` is come to before what is in `d`.
        let found = scan_while(temp.path(), "z", || {
            fs::rename(&d, temp.path().join("moved")).unwrap();
            match other {
                "link" => symlink(outside.path().join("d"), &d).unwrap(),
                "file" => fs::write(&d, "").unwrap(),
                _ => {}
            }
        });
        match (other, found) {
            // What is not there when its turn comes is not in the tree.
            ("gone", Ok(found)) => assert_eq!(listing(found.tree()), ["//", "z 1"]),
            (_, Err(e)) => {
                assert_eq!((e.kind(), e.path()), (ErrorKind::Changed, Some(&path("d"))));
            }
            (_, Ok(found)) => panic!("{other}: {:?}", listing(found.tree())),
        }
    }
}

#[test]
fn a_file_that_becomes_something_else_is_noticed_without_waiting_for_it() {
    for other in ["pipe", "link", "folder", "gone", "content"] {
        let temp = folder(&["a/x", "b/y"]);
        let x = temp.path().join("a/x");
        // All of `a` has been looked at, and nothing been read.
        let found = scan_while(temp.path(), "b/y", || {
            fs::remove_file(&x).unwrap();
            match other {
                "pipe" => drop(run("mkfifo", &["a/x"], temp.path()).unwrap()),
                "link" => symlink("/etc/passwd", &x).unwrap(),
                "folder" => fs::create_dir(&x).unwrap(),
                "content" => fs::write(&x, "new").unwrap(),
                _ => {}
            }
        });
        match (other, found) {
            ("gone", Ok(found)) => {
                assert_eq!(listing(found.tree()), ["//", "a/", "b/", "b/y 3"]);
            }
            ("content", Ok(found)) => {
                assert_eq!(read(&found, "a/x"), b"new");
                let fresh = Folder::scan(temp.path(), &all, 1).unwrap();
                assert_eq!(digest(&found, "a/x"), digest(&fresh, "a/x"));
            }
            (_, Err(e)) => {
                let want = (ErrorKind::Changed, Some(&path("a/x")));
                assert_eq!((e.kind(), e.path()), want, "{other}");
            }
            (_, Ok(found)) => panic!("{other}: {:?}", listing(found.tree())),
        }
    }
}

#[test]
fn a_file_that_does_not_hold_still_is_an_error() {
    let temp = folder(&["log"]);
    let log = temp.path().join("log");
    fs::write(&log, vec![1; 4 << 20]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(&log).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"line\n").unwrap();
            }
        });
        // It holds still for the time of a scan if its writer has to wait; not for ever.
        let end = Instant::now() + Duration::from_secs(60);
        let noticed = std::iter::from_fn(|| (Instant::now() < end).then_some(()))
            .find_map(|()| Folder::scan(temp.path(), &all, 1).err());
        stop.store(true, Ordering::Relaxed);
        let e = noticed.expect("a file that grows is noticed");
        assert_eq!(
            (e.kind(), e.path()),
            (ErrorKind::Changed, Some(&path("log")))
        );
    });
}

#[test]
fn what_may_not_be_read_is_named() {
    if !is_root() {
        println!("not run: needs root to become somebody else");
        return;
    }
    let temp = folder(&["a/secret", "closed/x"]);
    let mode = |p: &str, mode| {
        fs::set_permissions(temp.path().join(p), fs::Permissions::from_mode(mode)).unwrap();
    };
    let said = || {
        let scanned = std::thread::scope(|scope| {
            let scan = || {
                // This thread's alone, and those that it starts.
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
                Folder::scan(temp.path(), &all, 2).map(drop)
            };
            scope.spawn(scan).join().unwrap()
        });
        let e = scanned.unwrap_err();
        let source = std::error::Error::source(&e).unwrap().to_string();
        assert!(source.contains("ermission denied"), "{source}");
        (e.kind(), e.path().unwrap().to_string())
    };
    mode("", 0o755);
    mode("a/secret", 0o600);
    assert_eq!(said(), (ErrorKind::Io, "a/secret".to_owned()));
    mode("a/secret", 0o644);
    mode("closed", 0o700);
    assert_eq!(said(), (ErrorKind::Io, "closed".to_owned()));
}
