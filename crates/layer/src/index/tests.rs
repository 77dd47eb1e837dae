use super::*;
use crate::ErrorKind;

fn stamp(inode: u64, ctime: Time) -> Stamp {
    Stamp {
        device: 7,
        inode,
        size: 3,
        mtime: Time::at(-5),
        ctime,
    }
}

fn index(inodes: impl IntoIterator<Item = u64>) -> Index {
    let xattrs = |inode| match inode % 3 {
        0 => BTreeMap::from([(b"user.x".to_vec(), vec![inode as u8; 3])]),
        _ => BTreeMap::new(),
    };
    let record = |inode| {
        let digest = Digest::new(Algorithm::Blake3, [inode as u8; 32]);
        Record::new(stamp(inode, Time::at(100)), &digest, xattrs(inode))
    };
    Index::new().after(Time::at(200), &[], inodes.into_iter().map(record).collect())
}

#[test]
fn only_what_has_aged_is_settled() {
    let time = |seconds, nanos| Time { seconds, nanos };
    for (ctime, now, settled) in [
        (time(10, 5), time(10, 100_000_004), false),
        (time(10, 5), time(10, 100_000_005), true),
        (time(9, 950_000_000), time(10, 40_000_000), false),
        (time(9, 950_000_000), time(10, 50_000_000), true),
        // A time that is yet to come.
        (time(10, 5), time(9, 0), false),
        (time(i64::MAX, 5), time(i64::MIN, 0), false),
        (time(-10, 5), time(-9, 5), true),
    ] {
        assert_eq!(
            stamp(1, ctime).is_settled(now),
            settled,
            "{ctime:?} {now:?}"
        );
    }
}

#[test]
fn whole_seconds_are_of_no_clock() {
    let of = |nanos| stamp(1, Time { seconds: 10, nanos }).is_of_a_clock();
    assert!(!of(0) && of(1) && of(999_999_999));
}

#[test]
fn files_are_found_by_the_whole_stamp() {
    let index = index([5, 3, 9]);
    let mut near = 0;
    for (place, inode) in [(0, 3), (1, 5), (2, 9), (0, 3)] {
        let found = index.find(&stamp(inode, Time::at(100)), &mut near);
        assert_eq!(found, Some(place));
        assert_eq!(index.record(place).digest, [inode as u8; 32]);
    }
    let known = stamp(3, Time::at(100));
    let others = [
        Stamp { device: 8, ..known },
        Stamp { inode: 4, ..known },
        Stamp { size: 4, ..known },
        Stamp {
            mtime: Time::at(5),
            ..known
        },
        Stamp {
            ctime: Time::at(101),
            ..known
        },
    ];
    for other in others {
        assert_eq!(index.find(&other, &mut 0), None, "{other:?}");
    }
}

#[test]
fn what_is_new_replaces_what_was_and_the_unseen_age() {
    let old = index([1, 2]);
    let newer = Record::new(
        stamp(2, Time::at(150)),
        &old.records[0].digest(),
        BTreeMap::new(),
    );
    let mut now = old.after(Time::at(190), &[], vec![newer]);
    assert_eq!((now.len(), now.looked), (2, 200));
    assert_eq!(now.find(&stamp(2, Time::at(100)), &mut 0), None);
    assert_eq!(now.find(&stamp(2, Time::at(150)), &mut 0), Some(1));
    assert!(now.is_from_the_future(Time::at(199)) && !now.is_from_the_future(Time::at(200)));
    for _ in 0..OLDEST + 1 {
        now = now.after(Time::at(300), &[now.len() as u32 - 1], Vec::new());
    }
    assert_eq!(now.len(), 1);
    assert_eq!(now.records[0].stamp.inode, 2);
}

#[test]
fn damaged_bytes_are_an_error_and_never_an_index() {
    let index = index(0..20);
    let bytes = index.encode();
    assert_eq!(Index::decode(&bytes).unwrap(), index);
    for cut in 0..bytes.len() {
        assert!(Index::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    // With a checksum that fits, too, nothing panics and nothing is out of order.
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x41;
        assert!(Index::decode(&bad).is_err(), "{at}");
        let body = bad.len() - 32;
        let sum = *blake3::hash(&bad[..body]).as_bytes();
        bad[body..].copy_from_slice(&sum);
        if let Ok(read) = Index::decode(&bad) {
            assert!(
                read.records
                    .is_sorted_by(|a, b| a.stamp.key() < b.stamp.key()),
                "{at}"
            );
        }
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(Index::decode(&longer).is_err());
    let mut other = bytes.clone();
    other[8] = 2;
    assert_eq!(
        Index::decode(&other).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}
