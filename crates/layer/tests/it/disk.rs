//! Trees on a disk: unpacked, looked through, packed again.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    sync::Arc,
};

use kiln_layer::{
    Directory, ErrorKind, Files, Folder, Keep, Kind, PlainTar, Unpacked, Whiteouts, apply, write,
};

use crate::support::{everything, files, is_root, listing, packed, path, read, run};

fn all(_: &kiln_layer::LayerPath, _: bool) -> Keep {
    Keep::Yes
}

#[test]
fn unpacked_and_scanned_is_the_same() {
    if !is_root() {
        println!("not run: needs root for owners and devices");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (tar, packed) = packed(&everything());
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let applied = apply(&tar[..], &mut target).unwrap();
    assert_eq!(target.refused(), []);
    let scanned = Folder::scan(temp.path(), &all, 3).unwrap();
    let mut tree = scanned.tree().clone();
    tree.remove(&path("")).unwrap();
    assert_eq!(listing(&tree), listing(&applied.tree));
    for (a, b) in tree.iter().zip(applied.tree.iter()) {
        assert_eq!(a.meta, b.meta, "{}", a.path);
        if let (Some(a), Some(b)) = (a.file(), b.file()) {
            assert_eq!(a.digest, b.digest);
        }
    }
    assert_eq!(
        fs::metadata(temp.path().join("set")).unwrap().mode() & 0o7777,
        0o6755
    );
    assert_eq!(fs::metadata(temp.path().join("a")).unwrap().nlink(), 3);

    // Packed from the unpacked body: the same bytes.
    let unpacked = Unpacked::new(temp.path(), Arc::new(applied.tree)).unwrap();
    let (again, _) = kiln_layer::pack(&unpacked, Vec::new(), kiln_layer::Times::Keep).unwrap();
    assert_eq!(again, tar);

    // GNU tar unpacks the same.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("layer.tar"), &tar).unwrap();
    let args = [
        "--xattrs",
        "--xattrs-include=*",
        "--numeric-owner",
        "-xpf",
        "layer.tar",
    ];
    if run("tar", &args, other.path()).is_some() {
        fs::remove_file(other.path().join("layer.tar")).unwrap();
        let theirs = Folder::scan(other.path(), &all, 1).unwrap();
        let mut theirs = theirs.tree().clone();
        theirs.remove(&path("")).unwrap();
        assert_eq!(
            theirs.iter().collect::<Vec<_>>(),
            tree.iter().collect::<Vec<_>>()
        );
    }
    drop(packed);
}

#[test]
fn a_plain_tar_is_read_by_offset() {
    let temp = tempfile::tempdir().unwrap();
    let (tar, packed) = packed(&everything());
    let file = temp.path().join("layer.tar");
    fs::write(&file, &tar).unwrap();
    let plain = PlainTar::new(fs::File::open(&file).unwrap(), Arc::new(packed.tree));
    assert_eq!(read(&plain, "c"), b"content of a");
    assert_eq!(read(&plain, "owned"), [7; 1025]);
    let mut seen = Vec::new();
    plain
        .read(&|e| e.path.name() != Some(b"owned"), &mut |e, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            assert_eq!(bytes.len() as u64, e.file().unwrap().size);
            seen.push(e.path.clone());
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.len(), 7);
    assert!(plain.open(&path("tmp")).is_err() && plain.open(&path("none")).is_err());
}

#[test]
fn a_scan_keeps_what_it_is_told_and_does_not_block() {
    let temp = tempfile::tempdir().unwrap();
    let at = |p: &str| temp.path().join(p);
    for p in ["no/deep", "look/deep", "empty-look", "yes"] {
        fs::create_dir_all(at(p)).unwrap();
    }
    for p in ["no/deep/x", "look/deep/x", "look/y", "yes/x"] {
        fs::write(at(p), p).unwrap();
    }
    symlink("/etc/passwd", at("yes/link")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("yes/socket")).unwrap();
    assert!(
        fs::symlink_metadata(at("yes/socket"))
            .unwrap()
            .file_type()
            .is_socket()
    );
    assert!(run("mkfifo", &["yes/pipe"], temp.path()).is_some());
    let keep = |p: &kiln_layer::LayerPath, dir: bool| match p.as_bytes() {
        b"no" => Keep::No,
        b"look" | b"look/deep" | b"empty-look" | b"look/y" => {
            assert_eq!(dir, p.as_bytes() != b"look/y");
            Keep::Look
        }
        _ => Keep::Yes,
    };
    let folder = Folder::scan(temp.path(), &keep, 0).unwrap();
    assert_eq!(
        listing(folder.tree()),
        [
            "//",
            "look/",
            "look/deep/",
            "look/deep/x 11",
            "yes/",
            "yes/link -> /etc/passwd",
            "yes/pipe named pipe",
            "yes/x 5",
        ]
    );
    assert_eq!(read(&folder, "yes/x"), b"yes/x");
    fs::write(at("yes/x"), "longer").unwrap();
    let e = folder.open(&path("yes/x")).err().unwrap();
    let e: kiln_layer::Error = e.downcast().unwrap();
    assert_eq!(e.kind(), ErrorKind::Changed);
    // A folder on the way that became a link is not followed.
    fs::rename(at("look"), at("moved")).unwrap();
    symlink(at("moved"), at("look")).unwrap();
    assert!(folder.open(&path("look/deep/x")).is_err());
}

#[test]
fn overlay_marks_go_to_disk_and_back() {
    if !is_root() {
        println!("not run: needs root");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let layer = files(&["a/ opaque", "a/x = 1", "-gone", "b/", "-b/gone"]);
    let (tar, _) = packed(&layer);
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    apply(&tar[..], &mut target).unwrap();
    let back = Unpacked::scan(temp.path(), 1).unwrap();
    assert_eq!(
        listing(back.tree()),
        ["//", "a/ opaque", "a/x 1", "b/", "-b/gone", "-gone"]
    );
    let e = back.tree().get(&path("a")).unwrap();
    assert!(e.meta.xattrs.is_empty());
    assert!(matches!(&back.tree().get(&path("a/x")).unwrap().kind, Kind::File(f) if f.is_unread()));
}

#[test]
fn layers_applied_on_each_other_give_the_merged_tree() {
    let temp = tempfile::tempdir().unwrap();
    let layers = [
        files(&[
            "a/",
            "a/x = 1",
            "a/y = 2",
            "b/",
            "b/c = 3",
            "f = 4",
            "l -> a",
            "o/",
            "o/old = 5",
            "h = 6",
            "h2 == h",
        ]),
        files(&[
            "-a/x",
            "b = file now",
            "f/",
            "f/g = folder now",
            "l/",
            "l/n = not in a",
            "o/ opaque",
            "o/new = 7",
            "h = 8",
        ]),
        files(&["a/", "a/z = 9", "-nothing", "-nowhere/x"]),
    ];
    for layer in &layers {
        let (tar, _) = packed(layer);
        let mut target = Directory::new(temp.path(), Whiteouts::Apply).unwrap();
        apply(&tar[..], &mut target).unwrap();
    }
    let trees: Vec<_> = layers.iter().map(Files::tree).collect();
    let merged = kiln_layer::flatten(&trees);
    let found = Folder::scan(temp.path(), &all, 2).unwrap();
    assert_eq!(listing(found.tree()), listing(&merged));
    assert_eq!(read(&found, "h2"), b"6");
    assert!(fs::read(temp.path().join("a/n")).is_err());
}

#[test]
fn folders_get_their_mode_and_time_last_and_files_are_written_as_planned() {
    let temp = tempfile::tempdir().unwrap();
    let mut source = files(&["d/", "d/e/", "d/e/f = 1"]);
    let mut closed = source.tree().get(&path("d/e")).unwrap().clone();
    closed.meta.mode = 0o500;
    source.entry(closed);
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    write(&source, &mut target).unwrap();
    let stat = fs::metadata(temp.path().join("d/e")).unwrap();
    assert_eq!(
        (stat.permissions().mode() & 0o7777, stat.mtime()),
        (0o500, 1_600_000_000)
    );
    assert_eq!(
        fs::metadata(temp.path().join("d")).unwrap().mtime(),
        1_600_000_000
    );
}

#[test]
fn many_files_come_in_order_whoever_makes_them() {
    // Enough for threads; links, names that come again and folders that go are among them.
    let mut members = Vec::new();
    for n in 0..3000 {
        let (folder, name) = (format!("d{}", n % 37), format!("f{n:04}"));
        members.push((format!("{folder}/{name}"), format!("content {n}"), None));
        if n % 10 == 0 {
            members.push((
                format!("l{n}"),
                String::new(),
                Some(format!("{folder}/{name}")),
            ));
        }
        if n % 100 == 0 {
            members.push((format!("{folder}/{name}"), format!("again {n}"), None));
        }
    }
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content, link) in &members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o640);
        header.set_size(content.len() as u64);
        header.set_entry_type(match link {
            Some(_) => tar::EntryType::Link,
            None => tar::EntryType::Regular,
        });
        match link {
            Some(link) => builder.append_link(&mut header, name, link).unwrap(),
            None => builder
                .append_data(&mut header, name, content.as_bytes())
                .unwrap(),
        }
    }
    let tar = builder.into_inner().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let applied = apply(&tar[..], &mut target).unwrap();
    assert_eq!(applied.tree.len(), 3300);
    for n in 0..3000 {
        let at = temp.path().join(format!("d{}/f{n:04}", n % 37));
        let expected = match n % 100 {
            0 => format!("again {n}"),
            _ => format!("content {n}"),
        };
        assert_eq!(fs::read_to_string(&at).unwrap(), expected);
        let links = if n % 10 == 0 && n % 100 != 0 { 2 } else { 1 };
        let stat = fs::metadata(&at).unwrap();
        assert_eq!((stat.nlink(), stat.mode() & 0o7777), (links, 0o640), "{n}");
        if n % 10 == 0 {
            let link = fs::read_to_string(temp.path().join(format!("l{n}"))).unwrap();
            assert_eq!(link, format!("content {n}"));
        }
    }
}

#[test]
fn of_several_errors_the_first_is_told() {
    // Two entries in the way of a directory that should be empty, and a broken archive after them.
    let names: Vec<_> = (0..2000).map(|n| format!("f{n:04} = {n}")).collect();
    let lines: Vec<_> = names.iter().map(String::as_str).collect();
    let (mut tar, _) = packed(&files(&lines));
    let end = tar.len() - 1024;
    tar.truncate(end);
    tar.extend_from_slice(&[b'x'; 512]);
    for attempt in 0..8 {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("f1900"), "in the way").unwrap();
        fs::write(temp.path().join("f0700"), "in the way").unwrap();
        let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
        let e = apply(&tar[..], &mut target).unwrap_err();
        let found = (e.kind(), e.path().map(ToString::to_string));
        let expected = (ErrorKind::Conflict, Some("f0700".to_owned()));
        assert_eq!(found, expected, "{attempt}: {e}");
    }
}
