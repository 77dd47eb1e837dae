//! The tar that is written: its bytes, and that others read it.

use std::{fs, io::Read};

use expect_test::expect;
use kiln_layer::{
    Entry, ErrorKind, Files, InMemory, Kind, Meta, Nothing, Packer, Time, Times, apply, pack,
};

use crate::support::{dir, everything, files, hardlink, meta, packed, path, read, run, unread};

/// The headers of a tar, a line each: what is in which field, and the records.
fn headers(tar: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < tar.len() {
        let block = &tar[at..at + 512];
        at += 512;
        if block == [0; 512] {
            out.push_str("zeros\n");
            continue;
        }
        let text = |r: std::ops::Range<usize>| {
            let s = String::from_utf8_lossy(&block[r]).replace('\0', "·");
            s.trim_end_matches('·').to_owned()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        out.push_str(&format!(
            "{} {} m{} u{} g{} s{} t{} l{} {} {}/{} p{}\n",
            text(156..157),
            text(0..100),
            text(100..108),
            text(108..116),
            text(116..124),
            text(124..136),
            text(136..148),
            text(157..257),
            text(257..265),
            text(329..337),
            text(337..345),
            text(345..512),
        ));
        if &block[156..157] == b"x" {
            out.push_str(&format!(
                "  {:?}\n",
                String::from_utf8_lossy(&tar[at..at + size])
            ));
        }
        at += size.next_multiple_of(512);
    }
    out
}

#[test]
fn the_dialect() {
    let mut source = files(&[
        "usr/",
        "usr/a = text",
        "usr/b == usr/a",
        "-usr/gone",
        "usr/o/ opaque",
    ]);
    source.entry(Entry::folder(path(""), meta(0o755)));
    let name = "n".repeat(101);
    let mut odd = Meta {
        uid: 2_097_152,
        mtime: Time {
            seconds: -1,
            nanos: 5,
        },
        ..meta(0o4755)
    };
    odd.xattrs.insert(b"user.z".to_vec(), b"1\n2".to_vec());
    odd.xattrs.insert(b"user.a".to_vec(), vec![b'x'; 80]);
    source.file(path(&name), odd, "");
    let (tar, _) = packed(&source);
    expect![[r#"
        5 ./ m0000755 u0000000 g0000000 s00000000000 t13727410000 l ustar·00 0000000/0000000 p
        x PaxHeaders.0/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn m0000644 u0000000 g0000000 s00000000416 t00000000000 l ustar·00 0000000/0000000 p
          "105 SCHILY.xattr.user.a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n27 SCHILY.xattr.user.z=1\n2\n12 mtime=-1\n111 path=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\n15 uid=2097152\n"
        0 nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn m0004755 u0000000 g0000000 s00000000000 t00000000000 l ustar·00 0000000/0000000 p
        5 usr/ m0000755 u0000000 g0000000 s00000000000 t13727410000 l ustar·00 0000000/0000000 p
        0 usr/a m0000644 u0000000 g0000000 s00000000004 t13727410000 l ustar·00 0000000/0000000 p
        1 usr/b m0000644 u0000000 g0000000 s00000000000 t13727410000 lusr/a ustar·00 0000000/0000000 p
        0 usr/.wh.gone m0000000 u0000000 g0000000 s00000000000 t00000000000 l ustar·00 0000000/0000000 p
        5 usr/o/ m0000755 u0000000 g0000000 s00000000000 t13727410000 l ustar·00 0000000/0000000 p
        0 usr/o/.wh..wh..opq m0000000 u0000000 g0000000 s00000000000 t00000000000 l ustar·00 0000000/0000000 p
        zeros
        zeros
    "#]].assert_eq(&headers(&tar));
    // The bytes are a promise: other bytes are another DIALECT.
    expect!["sha256:7cc3cbb8d57d7edcd7b4dec4c77941b4dc78f8eb18cdb47040d9a146d522594d"]
        .assert_eq(&packed(&everything()).1.diff_id.to_string());
}

#[test]
fn packed_and_applied_is_the_same() {
    let source = everything();
    let (tar, packed) = packed(&source);
    let mut memory = InMemory::new();
    let applied = apply(&tar[..], &mut memory).unwrap();
    assert_eq!(applied.diff_id, packed.diff_id);
    assert_eq!(applied.size, tar.len() as u64);
    assert_eq!(applied.tree, packed.tree);
    for e in source.tree().iter().filter(|e| e.file().is_some()) {
        let (p, file) = (e.path.to_path().unwrap(), e.file().unwrap());
        let (mut a, mut b) = (Vec::new(), Vec::new());
        source.open(&e.path).unwrap().read_to_end(&mut a).unwrap();
        memory.open(&e.path).unwrap().read_to_end(&mut b).unwrap();
        assert_eq!(a, b, "{p:?}");
        let found = packed.tree.get(&e.path).unwrap();
        assert_eq!(found.meta, e.meta, "{p:?}");
        assert_eq!(found.file().unwrap().digest, file.digest);
        let offset = usize::try_from(found.file().unwrap().offset).unwrap();
        assert_eq!(&tar[offset..offset + a.len()], &a[..]);
    }
    assert_eq!(read(&memory, "c"), b"content of a");
}

#[test]
fn files_that_planning_needs_are_kept() {
    let source = files(&["etc/", "etc/passwd = root:x:0:0", "etc/shadow = secret"]);
    let (tar, packed) = packed(&source);
    let applied = apply(&tar[..], &mut Nothing).unwrap();
    for tree in [packed.tree, applied.tree] {
        let inline = |p| tree.get(&path(p)).unwrap().file().unwrap().inline.clone();
        assert_eq!(inline("etc/passwd").as_deref(), Some(&b"root:x:0:0"[..]));
        assert_eq!(inline("etc/shadow"), None);
    }
}

#[test]
fn times_are_kept_clamped_or_exact() {
    let mut source = InMemory::new();
    for (name, seconds) in [("early", 100), ("late", 300)] {
        let mtime = Time {
            seconds,
            nanos: 999_999_999,
        };
        source.file(
            path(name),
            Meta {
                mtime,
                ..meta(0o644)
            },
            "",
        );
    }
    for (times, expected) in [
        (Times::Keep, [100, 300]),
        (Times::Clamp(200), [100, 200]),
        (Times::Exactly(200), [200, 200]),
    ] {
        let (_, packed) = pack(&source, Vec::new(), times).unwrap();
        let found: Vec<_> = packed.tree.iter().map(|e| e.meta.mtime).collect();
        assert_eq!(found, expected.map(Time::at), "{times:?}");
    }
}

#[test]
fn refuses_what_it_cannot_write_truly() {
    let pack_one = |entry: &Entry, mut content: &[u8]| {
        let mut packer = Packer::new(Vec::new(), Times::Keep);
        packer.add(&dir("m"), None).unwrap();
        let content: &mut dyn Read = &mut content;
        packer.add(entry, Some(content)).unwrap_err().kind()
    };
    let file = |p: &str, size| crate::support::entry(p, unread(size));
    assert_eq!(pack_one(&file("n", 4), b"abc"), ErrorKind::Changed);
    assert_eq!(pack_one(&file("n", 2), b"abc"), ErrorKind::Changed);
    assert_eq!(pack_one(&file("a", 3), b"abc"), ErrorKind::Invalid);
    assert_eq!(pack_one(&file("m", 3), b"abc"), ErrorKind::Invalid);
    assert_eq!(
        pack_one(&file("n/.wh.x", 3), b"abc"),
        ErrorKind::Unsupported
    );
    assert_eq!(pack_one(&hardlink("n", "x"), b""), ErrorKind::Invalid);
    assert_eq!(pack_one(&hardlink("n", "m"), b""), ErrorKind::Invalid);
    let known = files(&["n = abc"]);
    let known = known.tree().get(&path("n")).unwrap();
    assert_eq!(pack_one(known, b"abd"), ErrorKind::Changed);
    let mut odd = file("n", 0);
    odd.meta.xattrs.insert(b"user.a=b".to_vec(), vec![]);
    assert_eq!(pack_one(&odd, b""), ErrorKind::Unsupported);
}

#[test]
fn gnu_tar_and_python_read_it() {
    let temp = tempfile::tempdir().unwrap();
    let (tar, packed) = packed(&everything());
    fs::write(temp.path().join("layer.tar"), &tar).unwrap();
    let list = "import tarfile, sys\n\
        for m in tarfile.open('layer.tar', errors='surrogateescape'):\n\
        \x20 t = {b'0': 'f', b'1': 'h', b'2': 'l', b'3': 'c', b'4': 'b', b'5': 'd', b'6': 'p'}[m.type]\n\
        \x20 name = m.name.encode('utf-8', 'surrogateescape').hex()\n\
        \x20 print(t, name, oct(m.mode), m.uid, m.gid, int(m.mtime), m.size, m.linkname, m.devmajor, m.devminor)\n";
    if let Some(out) = run("python3", &["-c", list], temp.path()) {
        let expected: Vec<String> = packed.tree.iter().map(python_line).collect();
        assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    }
    if let Some(out) = run(
        "tar",
        &["--numeric-owner", "-tvf", "layer.tar"],
        temp.path(),
    ) {
        assert_eq!(out.lines().count(), packed.tree.len());
        assert!(out.contains("3000000/4294967294"), "{out}");
        assert!(out.contains("1969-12-31"), "{out}");
    }
}

fn python_line(e: &Entry) -> String {
    let (kind, size, link, major, minor) = match &e.kind {
        Kind::File(f) => ("f", f.size, String::new(), 0, 0),
        Kind::Hardlink { target } => ("h", 0, target.to_string(), 0, 0),
        Kind::Symlink { target } => ("l", 0, String::from_utf8_lossy(target).into(), 0, 0),
        Kind::Char { major, minor } => ("c", 0, String::new(), *major, *minor),
        Kind::Block { major, minor } => ("b", 0, String::new(), *major, *minor),
        Kind::Dir { .. } => ("d", 0, String::new(), 0, 0),
        Kind::Fifo => ("p", 0, String::new(), 0, 0),
        Kind::Whiteout => unreachable!("there is none in it"),
    };
    let name: String = e
        .path
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let m = &e.meta;
    format!(
        "{kind} {name} 0o{:o} {} {} {} {size} {link} {major} {minor}",
        m.mode, m.uid, m.gid, m.mtime.seconds
    )
}

/// A layer as the only one of an image in an OCI layout, so that image tools take it.
fn oci_layout(dir: &std::path::Path, files: &InMemory) {
    use kiln_image::{Digest, media::Compression};
    let (tar, packed) = packed(files);
    let mut layer = Vec::new();
    kiln_layer::compress(&mut &tar[..], &mut layer, Compression::Gzip, None).unwrap();
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::sha256(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        format!("\"digest\":\"{digest}\",\"size\":{}", bytes.len())
    };
    let layer = put(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"test"}}]}}"#,
        packed.diff_id
    );
    let config = put(config.as_bytes());
    let kind = "application/vnd.oci.image";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}.manifest.v1+json","config":{{"mediaType":"{kind}.config.v1+json",{config}}},"layers":[{{"mediaType":"{kind}.layer.v1.tar+gzip",{layer}}}]}}"#
    );
    let manifest = put(manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{kind}.manifest.v1+json",{manifest},"annotations":{{"org.opencontainers.image.ref.name":"latest"}}}}]}}"#
    );
    fs::write(dir.join("index.json"), index).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// What other tools unpacked, compared with what was packed.
#[cfg(unix)]
fn compare(found: &std::path::Path, files: &InMemory, by: &str) {
    let keep = |_: &kiln_layer::LayerPath, _: bool| kiln_layer::Keep::Yes;
    let found = kiln_layer::Folder::scan(found, &keep, 1).unwrap();
    for e in files.tree().iter() {
        let theirs = found.tree().get(&e.path);
        let theirs = theirs.unwrap_or_else(|| panic!("{by}: {} is missing", e.path));
        let without_place = |kind: &Kind| match kind {
            Kind::File(f) => Kind::File(kiln_layer::File {
                offset: 0,
                ..f.clone()
            }),
            kind => kind.clone(),
        };
        assert_eq!(
            without_place(&theirs.kind),
            without_place(&e.kind),
            "{by}: {}",
            e.path
        );
        let (a, b) = (&theirs.meta, &e.meta);
        assert_eq!(
            (a.mode, a.uid, a.gid),
            (b.mode, b.uid, b.gid),
            "{by}: {}",
            e.path
        );
        // podman, like docker, unpacks no time before 1970.
        let earliest = if by == "podman" { 0 } else { i64::MIN };
        assert_eq!(
            a.mtime.seconds,
            b.mtime.seconds.max(earliest),
            "{by}: {}",
            e.path
        );
        let capability = &b"security.capability"[..];
        assert_eq!(
            a.xattrs.get(capability),
            b.xattrs.get(capability),
            "{by}: {}",
            e.path
        );
    }
}

#[test]
#[cfg(unix)]
fn umoci_and_podman_read_it() {
    if !crate::support::is_root() {
        println!("not run: needs root for owners and devices");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let at = |p: &str| temp.path().join(p).to_str().unwrap().to_owned();
    let mut files = everything();
    // More than one block of what is compressed.
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    files.file(path("large"), meta(0o644), large);
    oci_layout(&temp.path().join("image"), &files);
    let unpack = [
        "unpack",
        "--image",
        &format!("{}:latest", at("image")),
        &at("bundle"),
    ];
    if run("umoci", &unpack, temp.path()).is_some() {
        compare(&temp.path().join("bundle/rootfs"), &files, "umoci");
    }
    let (root, runroot) = (at("storage"), at("run"));
    let podman = |args: &[&str]| {
        let storage = [
            "--storage-driver",
            "vfs",
            "--root",
            &root,
            "--runroot",
            &runroot,
        ];
        run("podman", &[&storage[..], args].concat(), temp.path())
    };
    let Some(id) = podman(&["pull", "-q", "oci:image"]) else {
        return;
    };
    let Some(mounted) = podman(&["image", "mount", id.trim()]) else {
        return;
    };
    compare(std::path::Path::new(mounted.trim()), &files, "podman");
    podman(&["image", "umount", id.trim()]);
}
