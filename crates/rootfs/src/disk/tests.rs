//! What an image says, what stands on the disk for it, and what is made of that again.

use std::collections::BTreeMap;

use kiln_layer::Meta;
use kiln_sandbox::IdRange;

use super::*;

fn ids(count: u32) -> IdMap {
    let range = |inside, outside, count| IdRange {
        inside,
        outside,
        count,
    };
    let mut ranges = vec![range(0, 1000, 1)];
    if count > 1 {
        ranges.push(range(1, 100_000, count - 1));
    }
    IdMap {
        uids: ranges.clone(),
        gids: ranges,
    }
}

fn entry(uid: u32, gid: u32, kind: Kind) -> Entry {
    let mut meta = Meta::with_mode(0o4751);
    (meta.uid, meta.gid) = (uid, gid);
    Entry {
        path: "a".parse().unwrap(),
        meta,
        kind,
    }
}

fn file(size: u64) -> What {
    What::File {
        size,
        links: 1,
        inode: (0, 0, 1),
    }
}

const FILE: Kind = Kind::File(File::unread(7));
const CHAR: Kind = Kind::Char { major: 1, minor: 3 };
const BLOCK: Kind = Kind::Block { major: 7, minor: 0 };

fn link() -> Kind {
    Kind::Symlink {
        target: b"to".to_vec(),
    }
}

/// What a scan would find of `entry`, which was put on the disk.
fn found(entry: &Entry) -> Found {
    let mut meta = entry.meta.clone();
    let note = meta.xattrs.remove(ATTRIBUTE);
    let what = match &entry.kind {
        Kind::File(f) => file(f.size),
        Kind::Dir { .. } => What::Dir { opaque: false },
        Kind::Symlink { target } => What::Symlink {
            target: target.clone(),
        },
        Kind::Fifo => What::Fifo,
        kind => panic!("{kind:?} on the disk"),
    };
    let path = entry.path.clone();
    Found {
        path,
        meta,
        what,
        note,
    }
}

/// Image owner, kind; mapped ids; owner on the disk, and the attribute.
#[test]
fn what_stands_on_the_disk() {
    let dir = || Kind::Dir { opaque: false };
    #[rustfmt::skip]
    let rows = [
        ((0, 0), FILE, 65_537, (0, 0), None),
        ((33, 65_536), FILE, 65_537, (33, 65_536), None),
        ((70_000, 4), FILE, 65_537, (65_536, 4), Some("1 uid=70000/65536")),
        ((4, 70_000), dir(), 65_537, (4, 65_536), Some("1 gid=70000/65536")),
        ((33, 44), FILE, 1, (0, 0), Some("1 uid=33/0 gid=44/0")),
        ((0, 5), CHAR, 65_537, (0, 5), Some("1 char=1:3")),
        ((70_000, 5), BLOCK, 65_537, (65_536, 5), Some("1 uid=70000/65536 block=7:0")),
        ((70_000, 5), link(), 65_537, (65_536, 5), None),
        ((33, 0), Kind::Fifo, 1, (0, 0), None),
    ];
    for (owner, kind, count, shown, text) in rows {
        let ids = ids(count);
        let image = entry(owner.0, owner.1, kind);
        let put = on_disk(&image, &ids);
        let row = format!("{owner:?} {:?} {count}", image.kind);
        assert_eq!((put.meta.uid, put.meta.gid), shown, "{row}");
        assert_eq!(put.meta.mode, 0o4751, "{row}");
        let attribute = put.meta.xattrs.get(ATTRIBUTE);
        assert_eq!(attribute.map(|v| str::from_utf8(v).unwrap()), text, "{row}");

        let mut back = found(&put);
        assert_eq!(as_image(&mut back, Some(&image), &ids), None, "{row}");
        assert_eq!(back.meta, image.meta, "{row}");
        let device = matches!(back.what, What::Char { .. } | What::Block { .. });
        assert_eq!(device, text.is_some_and(|t| t.contains(':')), "{row}");
    }
    let whiteout = Entry::whiteout("a".parse().unwrap());
    assert_eq!(on_disk(&whiteout, &ids(1)), whiteout);
}

/// The attribute, and what the disk shows; what the image is, and the attribute that is wanted
/// then (`None`: the one that is there).
#[test]
fn what_a_process_changed_wins() {
    let rows = [
        (
            "1 uid=70000/65536 gid=9/65536",
            (65_536, 65_536),
            (70_000, 9),
            None,
        ),
        (
            "1 uid=70000/65536 gid=9/65536",
            (5, 65_536),
            (5, 9),
            Some("1 gid=9/65536"),
        ),
        (
            "1 uid=70000/65536 gid=9/65536",
            (65_536, 0),
            (70_000, 0),
            Some("1 uid=70000/65536"),
        ),
        ("1 uid=70000/65536", (0, 0), (0, 0), Some("")),
        ("1 uid=0/1000", (1000, 1000), (1000, 1000), Some("")),
        ("1 uid=33/0", (0, 0), (33, 0), None),
        ("2 uid=70000/65536", (65_536, 0), (65_536, 0), Some("")),
        (
            "1 uid=70000/65536 new=1",
            (65_536, 0),
            (65_536, 0),
            Some(""),
        ),
        ("1 uid=x/65536", (65_536, 0), (65_536, 0), Some("")),
        ("", (65_536, 0), (65_536, 0), Some("")),
    ];
    for (text, shown, image, wanted) in rows {
        let mut one = found(&entry(shown.0, shown.1, FILE));
        one.note = Some(text.as_bytes().to_vec());
        let change = as_image(&mut one, None, &ids(65_537));
        assert_eq!((one.meta.uid, one.meta.gid), image, "{text} {shown:?}");
        let wanted = wanted.map(|t| (!t.is_empty()).then(|| t.as_bytes().to_vec()));
        assert_eq!(change, wanted, "{text} {shown:?}");
    }
}

#[test]
fn a_placeholder_that_was_written_to_is_a_file() {
    let ids = ids(65_537);
    let device = entry(0, 5, CHAR);
    // Size, owner, what is below: whether it is the device still.
    let rows = [
        (0, 0, None, true),
        (1, 0, None, false),
        (1, 0, Some(&device), false),
        (0, 1000, None, false),
        (0, 1000, Some(&device), true),
    ];
    for (size, uid, below, is) in rows {
        let mut one = found(&entry(uid, 5, Kind::File(File::unread(size))));
        one.note = Some(b"1 char=1:3".to_vec());
        let change = as_image(&mut one, below, &ids);
        let row = format!("{size} {uid} {}", below.is_some());
        assert_eq!(one.what == What::Char { major: 1, minor: 3 }, is, "{row}");
        assert_eq!(change, (!is).then_some(None), "{row}");
    }
}

#[test]
fn links_and_pipes_belong_to_whom_the_layer_below_says() {
    for kind in [link(), Kind::Fifo] {
        let below = entry(70_000, 80_000, kind.clone());
        let rows = [
            ((65_536, 65_536), (70_000, 80_000)),
            ((5, 65_536), (5, 80_000)),
            ((0, 0), (0, 0)),
        ];
        for (shown, image) in rows {
            let mut one = found(&entry(shown.0, shown.1, kind.clone()));
            as_image(&mut one, Some(&below), &ids(65_537));
            assert_eq!((one.meta.uid, one.meta.gid), image, "{kind:?} {shown:?}");
        }
    }
    let other = Kind::Symlink {
        target: b"elsewhere".to_vec(),
    };
    let mut one = found(&entry(65_536, 65_536, other));
    as_image(&mut one, Some(&entry(70_000, 80_000, link())), &ids(65_537));
    assert_eq!(
        (one.meta.uid, one.meta.gid),
        (65_536, 65_536),
        "another link"
    );
}

/// An attribute that the kernel refused is the image's until the disk has one of that name; and
/// nobody but root gives a file capabilities.
#[test]
fn attributes_that_were_refused() {
    let (list, caps) = ("system.posix_acl_access", "security.capability");
    let value = b"\x02\0".to_vec();
    let own = b"other".to_vec();
    for (name, uid, on_disk, is_below, expected) in [
        (list, 0, None, false, Some(&value)),
        (list, 0, Some(&own), false, Some(&own)),
        (list, 1000, None, false, Some(&value)),
        (caps, 0, None, false, Some(&value)),
        (caps, 1000, None, false, None),
        (caps, 1000, None, true, Some(&value)),
    ] {
        let name = name.as_bytes().to_vec();
        let note = Note {
            xattrs: BTreeMap::from([(name.clone(), value.clone())]),
            ..Note::default()
        };
        let mut below = entry(1000, 0, FILE);
        below.meta.xattrs.insert(name.clone(), value.clone());
        let mut one = found(&entry(uid, 0, FILE));
        one.note = Some(note.encode());
        let there = on_disk.map(|v| (name.clone(), v.clone()));
        one.meta.xattrs.extend(there);
        as_image(&mut one, is_below.then_some(&below), &ids(65_537));
        assert_eq!(one.meta.xattrs.get(&name), expected, "{name:?} {uid}");
    }
}

#[test]
fn notes_survive_being_written() {
    let xattrs = BTreeMap::from([(b"user.\xff ".to_vec(), Vec::new())]);
    let note = Note {
        uid: Some((4_000_000_000, 0)),
        gid: Some((1, 2)),
        device: Some(BLOCK),
        xattrs,
    };
    assert_eq!(Note::decode(&note.encode()), Some(note));
    for bad in [
        "",
        "1 ",
        "1 attr=746f=00",
        "1 attr=757365722e78=0",
        "1 uid",
        "1 char=1/3",
    ] {
        assert_eq!(Note::decode(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(Note::decode(b"1"), Some(Note::default()));
}
