//! Packing on several threads: the bytes are those of one, whatever there is to pack and whatever
//! goes wrong on the way.

use std::{
    fs::File,
    io::{self, Cursor, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kiln_image::Digest;
use kiln_layer::{
    Content, Entry, Error, ErrorKind, Files, InMemory, Kind, Packed, Packer, Packing, Previous,
    Root, RootLayer, Time, Times, Tree,
    copy::{Change, Origin},
    pack_changes, pack_entries,
};
use proptest::prelude::*;

use crate::support::{entry, everything, files, hardlink, meta, path, unread};

/// What one thread gives, entry by entry.
fn one_by_one(files: &InMemory, times: Times) -> (Vec<u8>, Packed) {
    let mut packer = Packer::new(Vec::new(), times);
    for e in files.tree().iter() {
        let mut content = e.file().map(|_| files.open(&e.path).unwrap());
        let content = content.as_deref_mut().map(|c| c as &mut dyn Read);
        packer.add(e, content).unwrap();
    }
    packer.finish().unwrap()
}

fn together(files: &InMemory, how: &Packing<'_>) -> Result<(Vec<u8>, Packed), Error> {
    let open = |e: &Entry| Ok(files.open(&e.path)?);
    pack_entries(files.tree().iter(), &open, Vec::new(), how)
}

fn on(threads: usize) -> Packing<'static> {
    Packing {
        threads,
        ..Packing::default()
    }
}

/// Bytes that depend on nothing but `seed`.
fn bytes(len: usize, mut seed: u64) -> Vec<u8> {
    seed |= 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        out.extend_from_slice(&seed.to_le_bytes());
    }
    out.truncate(len);
    out
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..10usize,
        4 => 0..9000usize,
        2 => 500..530usize,
        1 => (512usize << 10) - 1030..(512 << 10) + 3,
        1 => 0..3_000_000usize,
    ]
}

/// Folders, files, links, marks; some files with their digests, some without.
fn tree() -> impl Strategy<Value = InMemory> {
    let one = (0..9u8, 0..9u8, 0..8u8, size(), any::<u64>());
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let mut out = InMemory::new();
        for (folder, name, kind, size, seed) in all {
            let at = format!("d{folder}");
            let here = path(&format!("{at}/f{name}"));
            let opaque = folder == 0;
            out.entry(Entry {
                kind: Kind::Dir { opaque },
                ..Entry::folder(path(&at), meta(0o755))
            });
            let mut own = meta(0o644);
            own.mtime = Time {
                seconds: (seed % 4_000_000_000) as i64 - 1_000_000_000,
                nanos: 5,
            };
            if seed % 5 == 0 {
                own.xattrs
                    .insert(b"user.x".to_vec(), bytes(size % 2000, seed));
            }
            match kind {
                0 => out.entry(Entry::whiteout(here)),
                1 => out.entry(entry(
                    &here.to_string(),
                    Kind::Symlink {
                        target: bytes(size % 300, seed),
                    },
                )),
                2 => out.entry(entry(&here.to_string(), Kind::Fifo)),
                3 if out
                    .tree()
                    .get(&path("d0/f0"))
                    .is_some_and(|e| e.file().is_some())
                    && folder > 0 =>
                {
                    out.entry(hardlink(&here.to_string(), "d0/f0"));
                }
                _ => out.file(here, own, bytes(size, seed)),
            }
        }
        // A link whose file was replaced afterwards is none.
        let is_file = out
            .tree()
            .get(&path("d0/f0"))
            .is_some_and(|e| e.file().is_some());
        let links: Vec<_> = out
            .tree()
            .iter()
            .filter(|e| matches!(e.kind, Kind::Hardlink { .. }))
            .cloned()
            .collect();
        for link in links.into_iter().filter(|_| !is_file) {
            out.entry(Entry {
                kind: Kind::Fifo,
                ..link
            });
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_number_of_threads_gives_the_bytes_of_one(files in tree(), threads in 1..17usize, clamp: bool) {
        let times = if clamp { Times::Clamp(1000) } else { Times::Keep };
        let (tar, packed) = one_by_one(&files, times);
        prop_assert_eq!(packed.diff_id, Digest::sha256(&tar));
        let how = Packing { times, ..on(threads) };
        let (found, again) = together(&files, &how).unwrap();
        prop_assert!(found == tar);
        prop_assert_eq!(again.diff_id, packed.diff_id);
        prop_assert_eq!(again.size, packed.size);
        prop_assert_eq!(&again.tree, &packed.tree);
        let changes: Vec<_> = files.tree().iter().map(|e| Change {
            entry: e.clone(),
            source: e.file().map(|_| Origin { input: 0, path: e.path.clone() }),
        }).collect();
        let (found, _) = pack_changes(&changes, &[&files], Vec::new(), &how).unwrap();
        prop_assert!(found == tar);
    }

    #[test]
    fn what_is_in_a_previous_tar_is_not_opened(
        old in tree(), new in tree(), threads in 1..5usize, spoilt in any::<Option<(prop::sample::Index, u8)>>(), cut in any::<Option<prop::sample::Index>>(),
    ) {
        // About half of the old files are in the new tree as well.
        let mut files = new;
        for (i, e) in old.tree().iter().enumerate() {
            if e.file().is_some() && i % 2 == 0 {
                let mut content = Vec::new();
                old.open(&e.path).unwrap().read_to_end(&mut content).unwrap();
                let parent = e.path.parent().unwrap();
                if files.tree().get(&parent).is_none() {
                    files.entry(Entry::folder(parent, meta(0o700)));
                }
                files.file(e.path.clone(), meta(0o600), content);
            }
        }
        let dangling: Vec<_> = files.tree().iter().filter(|e| matches!(&e.kind, Kind::Hardlink { target } if files.tree().file(target).is_none())).cloned().collect();
        for link in dangling {
            files.entry(Entry { kind: Kind::Fifo, ..link });
        }
        let (tar, packed) = one_by_one(&files, Times::Keep);
        let (mut before, earlier) = one_by_one(&old, Times::Keep);
        let whole = spoilt.is_none() && cut.is_none();
        if let Some((at, to)) = spoilt {
            let at = at.index(before.len());
            before[at] = to;
        }
        if let Some(cut) = cut {
            before.truncate(cut.index(before.len()));
        }
        let opened = AtomicUsize::new(0);
        let open = |e: &Entry| {
            opened.fetch_add(1, Ordering::Relaxed);
            Ok(files.open(&e.path)?)
        };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&before).unwrap();
        let how = Packing {
            previous: Some(Previous { tar: &file, tree: &earlier.tree }),
            ..on(threads)
        };
        let (found, again) = pack_entries(files.tree().iter(), &open, Vec::new(), &how).unwrap();
        prop_assert!(found == tar);
        prop_assert_eq!(&again.tree, &packed.tree);
        if whole {
            prop_assert_eq!(opened.into_inner(), to_open(files.tree(), &earlier.tree));
        }
    }
}

/// How many contents are not in the earlier tree, or so large that they are read from their files.
fn to_open(now: &Tree, earlier: &Tree) -> usize {
    let with_content = now.iter().filter_map(|e| Some((e, e.file()?)));
    with_content
        .filter(|(e, file)| {
            let there = earlier.get(&e.path).and_then(Entry::file);
            let same = there.is_some_and(|t| t.size == file.size && t.digest == file.digest);
            file.size > 0 && (!same || file.size >= 512 << 10)
        })
        .count()
}

/// A tree of many files of some KiB, to be given to threads.
fn many(n: usize) -> InMemory {
    let mut out = InMemory::new();
    for i in 0..n {
        let name = path(&format!("f{i:05}"));
        out.file(name, meta(0o644), bytes(1 + i * 37 % 9000, i as u64));
    }
    out
}

#[test]
fn one_of_everything() {
    let source = everything();
    let (tar, packed) = one_by_one(&source, Times::Keep);
    for threads in [0, 1, 2, 16] {
        let (found, again) = together(&source, &on(threads)).unwrap();
        assert!(found == tar && again.tree == packed.tree, "{threads}");
    }
}

#[test]
fn the_first_error_in_order_wins() {
    let source = many(2000);
    for threads in [1, 2, 5, 16] {
        for bad in [0, 700, 1999] {
            let open = |e: &Entry| {
                let at: usize = e.path.to_string()[1..].parse().unwrap();
                if at >= bad {
                    let what = format!("cannot open {at}");
                    return Err(Error::new(ErrorKind::NotFound, what).at(&e.path));
                }
                Ok(source.open(&e.path)?)
            };
            let e = pack_entries(source.tree().iter(), &open, io::sink(), &on(threads));
            let e = e.unwrap_err();
            let expected = format!("`f{bad:05}`: cannot open {bad}");
            assert_eq!(
                (e.kind(), e.to_string()),
                (ErrorKind::NotFound, expected),
                "{threads}"
            );
        }
    }
}

#[test]
fn a_content_that_is_not_as_said_is_an_error() {
    let sizes = [3, 600_000, 2_000_000];
    for (threads, size) in [1, 4].into_iter().flat_map(|t| sizes.map(|s| (t, s))) {
        for (len, kind) in [
            (size, None),
            (size - 1, Some(ErrorKind::Changed)),
            (size + 1, Some(ErrorKind::Changed)),
        ] {
            let entries = [entry("a", unread(1)), entry("b", unread(size as u64))];
            let open = |e: &Entry| -> Result<Content, Error> {
                let len = if e.path == path("b") { len } else { 1 };
                Ok(Box::new(Cursor::new(bytes(len, 3))))
            };
            let done = pack_entries(&entries, &open, io::sink(), &on(threads));
            let found = done.err().map(|e| (e.kind(), e.path().cloned()));
            assert_eq!(
                found,
                kind.map(|k| (k, Some(path("b")))),
                "{threads} {size} {len}"
            );
        }
        let mut known = InMemory::new();
        known.file(path("b"), meta(0o644), bytes(size, 3));
        let other =
            |_: &Entry| -> Result<Content, Error> { Ok(Box::new(Cursor::new(bytes(size, 5)))) };
        let e = pack_entries(known.tree().iter(), &other, io::sink(), &on(threads)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Changed);
    }
}

#[test]
fn what_a_tar_cannot_say_is_refused_on_every_thread() {
    let long = "x".repeat(9);
    for (entries, kind) in [
        (
            vec![entry("b", unread(0)), entry("a", unread(0))],
            ErrorKind::Invalid,
        ),
        (
            vec![entry("a", unread(0)), entry("a", unread(0))],
            ErrorKind::Invalid,
        ),
        (vec![entry("a/.wh.b", unread(0))], ErrorKind::Unsupported),
        (vec![entry("b/.wh.b/c", unread(0))], ErrorKind::Unsupported),
        (vec![hardlink("b", "a")], ErrorKind::Invalid),
        (
            vec![entry("a", Kind::Fifo), hardlink("b", "a")],
            ErrorKind::Invalid,
        ),
        (
            vec![hardlink("a", "b"), entry("b", unread(0))],
            ErrorKind::Invalid,
        ),
    ] {
        let mut all: Vec<_> = many(600).tree().iter().cloned().collect();
        for e in &mut all {
            e.path = path(&format!("A{long}/{}", e.path));
        }
        all.extend(entries);
        let open = |e: &Entry| -> Result<Content, Error> {
            let size = e.file().unwrap().size as usize;
            let at: u64 = e
                .path
                .to_string()
                .rsplit('f')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            Ok(Box::new(Cursor::new(bytes(size, at))))
        };
        for threads in [1, 3] {
            let e = pack_entries(&all, &open, io::sink(), &on(threads)).unwrap_err();
            assert_eq!(e.kind(), kind, "{e}");
        }
    }
    let change = Change {
        entry: entry("a", unread(1)),
        source: None,
    };
    let e = pack_changes(&[change], &[&InMemory::new()], io::sink(), &on(1)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
}

/// Takes so many bytes, and is full then.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.0);
        self.0 -= n;
        match n {
            0 => Err(io::ErrorKind::StorageFull.into()),
            n => Ok(n),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_it() {
    let mut source = many(1500);
    source.file(path("large"), meta(0o644), bytes(5 << 20, 9));
    for room in [0, 100, 1 << 20, 9 << 20] {
        for threads in [1, 2, 8] {
            let open = |e: &Entry| Ok(source.open(&e.path)?);
            let e = pack_entries(source.tree().iter(), &open, Full(room), &on(threads));
            let e = e.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Io, "{room} {threads}: {e}");
            let cause = std::error::Error::source(&e).map(ToString::to_string);
            assert_eq!(cause.as_deref(), Some("no storage space"));
        }
    }
}

#[test]
fn a_panic_does_not_hang() {
    let source = many(1500);
    for (threads, at) in [(1, 700), (2, 0), (2, 700), (8, 1499)] {
        let open = |e: &Entry| {
            assert!(e.path != path(&format!("f{at:05}")), "on purpose");
            Ok(source.open(&e.path)?)
        };
        let packing = std::panic::AssertUnwindSafe(|| {
            pack_entries(source.tree().iter(), &open, io::sink(), &on(threads))
        });
        assert!(!matches!(std::panic::catch_unwind(packing), Ok(Ok(_))));
    }
}

#[test]
fn a_previous_tar_that_is_another_is_no_help_and_no_harm() {
    let source = many(300);
    let (tar, packed) = one_by_one(&source, Times::Keep);
    let empty = tempfile::tempfile().unwrap();
    let folder = File::open("/").ok();
    for file in std::iter::once(&empty).chain(&folder) {
        let how = Packing {
            previous: Some(Previous {
                tar: file,
                tree: &packed.tree,
            }),
            ..on(2)
        };
        let (found, _) = together(&source, &how).unwrap();
        assert!(found == tar);
    }
    // A tree that says of every file that it is elsewhere.
    let mut lies = Tree::new();
    for e in packed.tree.iter() {
        let mut e = e.clone();
        if let Kind::File(file) = &mut e.kind {
            file.offset = u64::MAX / 2 - 3 + file.offset % 5;
        }
        lies.insert(e);
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&tar).unwrap();
    let how = Packing {
        previous: Some(Previous {
            tar: &file,
            tree: &lies,
        }),
        ..on(1)
    };
    assert!(together(&source, &how).unwrap().0 == tar);
}

#[test]
fn a_root_opens_one_after_the_other_what_it_opens() {
    let lower = files(&[
        "a/",
        "a/x = lower",
        "a/y = both",
        "b = below",
        "c/",
        "c/z = hidden",
    ]);
    let upper = files(&["a/", "a/y = upper", "d == a/y", "-b", "c/ opaque", "e -> a"]);
    let layer = |files: InMemory| RootLayer {
        diff_id: Digest::sha256(b""),
        files: Arc::new(files),
    };
    let root = Root::new(vec![layer(lower), layer(upper)]);
    let read = |opened: io::Result<Content>| -> Result<String, io::ErrorKind> {
        let mut text = String::new();
        opened
            .map_err(|e| e.kind())?
            .read_to_string(&mut text)
            .unwrap();
        Ok(text)
    };
    let mut opening = root.opening();
    for (p, expected) in [
        ("a/x", Some("lower")),
        ("a/y", Some("upper")),
        ("d", Some("upper")),
        ("b", None),
        ("c/z", None),
        ("c", None),
        ("e", None),
        ("a/y", Some("upper")),
    ] {
        let found = read(opening(&path(p)));
        assert_eq!(found.as_deref().ok(), expected, "{p}");
        assert_eq!(found, read(root.open(&path(p))), "{p}");
    }
}
