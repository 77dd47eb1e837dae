//! Archives that nobody should trust: what must not happen outside the root, nor inside.
//!
//! Each row of the tables is applied to a directory beside canaries, in both styles of whiteouts, to
//! one in which an earlier layer has left traps, and to a tree in memory; all must agree. The canaries
//! must be as they were, whatever the answer is; as root, and as a user who is not.
#![cfg(unix)]

mod refused;
mod taken;
mod tar;
mod world;

use std::{
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use kiln_image::media::Compression;

use kiln_layer::{
    Directory, Error, ErrorKind, Files, Folder, InMemory, Keep, Kind, Limits, Nothing, Refusal,
    Tree, Unpacked, Whiteouts, apply, apply_within, compress, decompress, flatten,
};

use crate::support::{is_root, listing, path};
use tar::tar;
use world::{World, real, without_waiting};

fn all(_: &kiln_layer::LayerPath, _: bool) -> Keep {
    Keep::Yes
}

/// Applies a case everywhere; the same answer and tree from all.
fn answer(name: &'static str, tar: Vec<u8>) -> Result<Tree, Error> {
    without_waiting(name, move || {
        let in_memory = apply(&tar[..], &mut InMemory::new());
        let mut last = None;
        let world = World::new();
        for (n, whiteouts) in [Whiteouts::Overlay, Whiteouts::Apply]
            .into_iter()
            .enumerate()
        {
            let mut target = Directory::new(&world.root(n), whiteouts).unwrap();
            let on_disk = apply(&tar[..], &mut target);
            world.check(name);
            if let Ok(applied) = &on_disk {
                let expected = in_memory.as_ref().unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(applied.tree, expected.tree, "{name}");
                said(name, &applied.tree, target.refused());
                shown(name, &world.root(n), &applied.tree, whiteouts);
            }
            last = Some(on_disk.map(|a| a.tree));
        }
        among_traps(name, &tar, &world);
        last.unwrap()
    })
}

/// What a user who is not root cannot put on disk has to be said.
fn said(name: &str, tree: &Tree, refused: &[Refusal]) {
    if is_root() {
        return assert_eq!(refused, [], "{name}");
    }
    let me = rustix::process::geteuid().as_raw();
    let own = |e: &kiln_layer::Entry| matches!(e.kind, Kind::Hardlink { .. } | Kind::Whiteout);
    for entry in tree.iter().filter(|e| e.meta.uid != me && !own(e)) {
        let of_it = refused.iter().any(|r| r.path == entry.path);
        let below_a_link = entry.path.is_root();
        assert!(
            of_it || below_a_link,
            "{name}: nothing is said of {}",
            entry.path
        );
    }
}

/// Whether the disk shows the tree.
fn shown(name: &str, root: &Path, tree: &Tree, whiteouts: Whiteouts) {
    if !is_root() {
        return;
    }
    let (found, mut tree) = match whiteouts {
        Whiteouts::Overlay => {
            let found = Unpacked::scan(root, 1).unwrap();
            let mut found = found.tree().clone();
            for implied in tree.implied() {
                assert!(found.remove(&implied).is_some(), "{name}");
            }
            (found, tree.clone())
        }
        Whiteouts::Apply => {
            let found = Folder::scan(root, &all, 1).unwrap();
            (found.tree().clone(), flatten(&[tree]))
        }
    };
    let mut found = found;
    // The mark of an opaque root is on the root, which is in the tree only then.
    if tree.get(&path("")).is_none() || whiteouts == Whiteouts::Apply {
        tree.remove(&path(""));
        found.remove(&path(""));
    }
    assert_eq!(listing(&found), listing(&tree), "{name}");
}

/// The same in a directory in which an earlier layer, or a process that ran on it, has left links to
/// what is outside, pipes and folders in all places. The answer may be another, for what is there
/// counts; outside nothing may change.
fn among_traps(name: &str, tar: &[u8], world: &World) {
    let root = world.root(2);
    for trap in [
        "a", "b", "d", "f", "h", "s", "canary", "tmp", "dev", "proc", "out",
    ] {
        std::os::unix::fs::symlink("../canary", root.join(trap)).unwrap();
    }
    for trap in ["file", "x", "l", "S"] {
        std::os::unix::fs::symlink("../canary/file", root.join(trap)).unwrap();
    }
    std::os::unix::fs::symlink("../canary/pipe", root.join("p")).unwrap();
    std::os::unix::fs::symlink("../canary/pipe", root.join("g")).unwrap();
    let mut target = Directory::new(&root, Whiteouts::Apply).unwrap();
    let _ = apply(tar, &mut target);
    world.check(name);
}

#[test]
fn every_row_of_the_tables() {
    let (refused, taken) = (refused::cases(), taken::cases());
    println!("{} archives", refused.len() + taken.len());
    for (name, tar, kind) in refused {
        match answer(name, tar.end()) {
            Err(e) => {
                assert_eq!(e.kind(), kind, "{name}: {e}");
                assert!(!e.to_string().is_empty(), "{name}");
            }
            Ok(tree) => panic!("{name}: was taken: {:?}", listing(&tree)),
        }
    }
    for (name, tar, expected) in taken {
        let tree = answer(name, tar.end()).unwrap_or_else(|e| panic!("{name}: {e}"));
        if expected.is_empty() {
            assert_eq!(listing(&tree), [format!("{} -> target", "n".repeat(120))]);
        } else {
            let expected: Vec<_> = expected.iter().map(|l| real(l)).collect();
            assert_eq!(listing(&tree), expected, "{name}");
        }
    }
}

#[test]
fn and_as_a_user_who_is_not_root() {
    if !is_root() {
        println!("not run: this is somebody who is not root");
        return;
    }
    let user = kiln_tests::users::User::without_ids();
    let mut again = user.again();
    again.args(["--exact", "hostile::every_row_of_the_tables", "--nocapture"]);
    let done = again.output().unwrap();
    let (said, cause) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{said}{cause}");
    assert!(
        said.contains(" archives") && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn cut_anywhere_nothing_happens_outside() {
    let mut rows: Vec<_> = taken::cases()
        .into_iter()
        .map(|(_, tar, _)| tar.end())
        .collect();
    rows.extend(refused::cases().into_iter().map(|(_, tar, _)| tar.end()));
    for tar in rows.iter().filter(|tar| tar.len() < 10 << 10) {
        for cut in (0..tar.len()).step_by(97) {
            let read = apply(&tar[..cut], &mut Nothing);
            let kept = apply(&tar[..cut], &mut InMemory::new());
            assert_eq!(read.is_ok(), kept.is_ok());
        }
    }
}

#[test]
fn attributes_that_mean_something_here_are_not_taken() {
    let temp = tempfile::tempdir().unwrap();
    let records: Vec<(&str, &[u8])> = vec![
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.overlay.whiteout", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.kiln.stat", b"0:0"),
        ("SCHILY.xattr.security.selinux", b"label"),
        ("SCHILY.xattr.user.mine", b"kept"),
    ];
    let bytes = tar()
        .pax(&records)
        .dir("d/")
        .pax(&records)
        .file("f", "")
        .end();
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let tree = apply(&bytes[..], &mut target).unwrap().tree;
    for p in ["d", "f"] {
        let names: Vec<_> = tree.get(&path(p)).unwrap().meta.xattrs.keys().collect();
        assert_eq!(names, [b"user.mine"], "{p}");
        let mut list = [0; 4096];
        let n = rustix::fs::listxattr(temp.path().join(p), &mut list[..]).unwrap();
        assert_eq!(&list[..n], b"user.mine\0", "{p}");
    }
}

#[test]
fn limits_hold() {
    let two = tar().file("a", "1").file("b", "2").end();
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        apply_within(&limits, &two[..], &mut Nothing)
            .map(|_| ())
            .map_err(|e| e.kind())
    };
    let refused = Err(ErrorKind::Refused);
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|l| l.entries = 1), refused);
    assert_eq!(with(&|l| l.metadata = 1), refused);
    assert_eq!(with(&|l| l.stream = 2048), refused);
    assert_eq!(with(&|l| l.stream = 3072), Ok(()));
    let endless = std::io::repeat(0).take(1 << 20);
    let limits = Limits {
        stream: 1 << 16,
        ..Limits::default()
    };
    assert!(apply_within(&limits, endless, &mut Nothing).is_err());
}

#[test]
fn setuid_survives_the_change_of_owner() {
    if !is_root() {
        println!("not run: needs root for owners");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let owned = |b: &mut [u8; 512]| {
        b[100..108].copy_from_slice(b"0006755\0");
        b[108..116].copy_from_slice(b"0001750\0");
    };
    let layer = tar().raw(b'0', "f", owned).raw(b'5', "d", owned).end();
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    apply(&layer[..], &mut target).unwrap();
    for name in ["f", "d"] {
        let stat = fs::metadata(temp.path().join(name)).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.uid()), (0o6755, 1000), "{name}");
    }
}

#[test]
fn holes_in_all_are_within_the_limit() {
    let holes = |names: &[&str]| {
        let hole = |t: tar::Tar, name: &&str| t.sparse(name, &[(0, 512)], 1 << 20, 512);
        names.iter().fold(tar(), hole).end()
    };
    let limits = Limits {
        holes: 2 << 20,
        ..Limits::default()
    };
    assert!(apply_within(&limits, &holes(&["a", "b"])[..], &mut Nothing).is_ok());
    let e = apply_within(&limits, &holes(&["a", "b", "c"])[..], &mut Nothing).unwrap_err();
    assert_eq!((e.kind(), e.path()), (ErrorKind::Refused, Some(&path("c"))));
    assert!(e.hint_text().is_some());
}

#[test]
fn a_bomb_is_read_up_to_the_limit() {
    let header = tar().raw(b'0', "zeros", |b| tar::size(b, 1 << 28)).0;
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut stream = header.chain(std::io::repeat(0).take(1 << 28));
        let mut blob = Vec::new();
        compress(&mut stream, &mut blob, compression, None).unwrap();
        let (_, stream) = decompress(std::io::Cursor::new(blob)).unwrap();
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted(stream, read.clone());
        let limits = Limits {
            stream: 1 << 20,
            ..Limits::default()
        };
        let temp = tempfile::tempdir().unwrap();
        let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
        let e = apply_within(&limits, counted, &mut target).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
        assert!(e.to_string().contains("zeros"), "{e}");
        assert!(read.load(Ordering::Relaxed) <= 2 << 20);
    }
}

/// A stream that tells how much was taken of it.
struct Counted<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

#[test]
fn the_diff_id_is_of_every_byte_and_a_cut_stream_is_an_error() {
    let mut bytes = tar().file("a", "content").end();
    bytes.extend_from_slice(&[0; 9000]);
    bytes.extend_from_slice(b"and something behind the end");
    let applied = apply(&bytes[..], &mut Nothing).unwrap();
    assert_eq!(applied.diff_id, kiln_image::Digest::sha256(&bytes));
    assert_eq!(applied.size, bytes.len() as u64);
    for cut in [1, 100, 511, 513, 600, 1023] {
        assert!(apply(&bytes[..cut], &mut Nothing).is_err(), "{cut}");
    }
    // Go's reader takes an archive without its end, and an empty one.
    assert_eq!(apply(&bytes[..1024], &mut Nothing).unwrap().tree.len(), 1);
    assert!(apply(&b""[..], &mut Nothing).unwrap().tree.is_empty());
}

#[test]
fn a_layer_cannot_leave_the_directory_by_what_lower_layers_left_there() {
    let temp = tempfile::tempdir().unwrap();
    let canary = temp.path().join("canary");
    let root = temp.path().join("root");
    fs::create_dir_all(&canary).unwrap();
    fs::create_dir_all(&root).unwrap();
    fs::write(canary.join("file"), "untouched").unwrap();
    let layers = [
        tar()
            .symlink("out", "../canary")
            .symlink("file", "../canary/file")
            .end(),
        tar().file("out/file", "bad").file("file", "mine").end(),
        tar().symlink("out", "../canary").end(),
        tar()
            .file("out/.wh.file", "")
            .file("out/.wh..wh..opq", "")
            .end(),
        tar().symlink("out", "../canary").end(),
        tar().file(".wh.out", "").end(),
    ];
    for layer in &layers {
        let mut target = Directory::new(&root, Whiteouts::Apply).unwrap();
        apply(&layer[..], &mut target).unwrap();
        assert_eq!(fs::read(canary.join("file")).unwrap(), b"untouched");
    }
    assert!(!root.join("out").exists());
    assert_eq!(fs::read(root.join("file")).unwrap(), b"mine");
}

#[test]
fn folders_that_are_implied_have_what_the_lower_layers_say() {
    let mut lower = InMemory::new();
    lower.entry(kiln_layer::Entry::folder(
        path("tmp"),
        crate::support::meta(0o1777),
    ));
    lower.file(path("tmp/f"), crate::support::meta(0o640), "below");
    let temp = tempfile::tempdir().unwrap();
    let target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let mut target = target.over(Arc::new(lower));
    let layer = tar().file("tmp/x", "1").hardlink("tmp/h", "tmp/f").end();
    apply(&layer[..], &mut target).unwrap();
    let mode = |p: &str| fs::metadata(temp.path().join(p)).unwrap().mode() & 0o7777;
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(fs::read(temp.path().join("tmp/h")).unwrap(), b"below");
    let keep = |_: &kiln_layer::LayerPath, _: bool| Keep::Yes;
    assert!(Folder::scan(temp.path(), &keep, 1).is_ok());
}
