//! Each place keeps what it is given; two places act as one.

use std::{fs, thread};

use kiln_cache::{Directory, Error, ErrorKind, Key, Memory, Part, Record, Records, Tiered};

fn key(n: u64) -> Key {
    Key::of("test", &[Part::new("n", n.to_string())])
}

fn record(n: u64) -> Record {
    Record {
        parts: vec![Part::new("n", n.to_string())],
        value: vec![b'x'; 1000],
        refs: vec![key(n).digest()],
    }
}

fn keeps(place: &dyn Records) {
    assert_eq!(place.get(&key(1)).unwrap(), None);
    place.put(&key(1), &record(2)).unwrap();
    place.put(&key(1), &record(1)).unwrap();
    assert_eq!(place.get(&key(1)).unwrap(), Some(record(1)));
    assert_eq!(place.get(&key(2)).unwrap(), None);
}

#[test]
fn each_place_keeps() {
    let dir = tempfile::tempdir().unwrap();
    keeps(&Memory::new());
    keeps(&Directory::open(&dir.path().join("a/b")).unwrap());
    let near = Memory::new();
    let far = Directory::open(dir.path()).unwrap();
    keeps(&Tiered { near, far });
    let again = Directory::open(dir.path()).unwrap();
    assert_eq!(
        again.get(&key(1)).unwrap(),
        Some(record(1)),
        "after a restart"
    );
}

#[test]
fn what_is_far_comes_near_once() {
    let (near, far) = (Memory::new(), Memory::new());
    far.put(&key(1), &record(1)).unwrap();
    let both = Tiered {
        near: &near,
        far: &far,
    };
    assert_eq!(both.get(&key(1)).unwrap(), Some(record(1)));
    assert_eq!(near.get(&key(1)).unwrap(), Some(record(1)));
    both.put(&key(2), &record(2)).unwrap();
    assert_eq!((near.len(), far.len()), (2, 2));
}

struct Down;

impl Records for Down {
    fn get(&self, _: &Key) -> Result<Option<Record>, Error> {
        Err(Error::new(ErrorKind::Io, "reach the cache server"))
    }

    fn put(&self, _: &Key, _: &Record) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Io, "reach the cache server"))
    }
}

#[test]
fn a_far_place_that_is_down_is_not_asked_for_what_is_near() {
    let near = Memory::new();
    near.put(&key(1), &record(1)).unwrap();
    let both = Tiered { near, far: Down };
    assert!(both.get(&key(1)).unwrap().is_some());
    assert_eq!(both.get(&key(2)).unwrap_err().kind(), ErrorKind::Io);
    assert!(both.put(&key(2), &record(2)).is_err());
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = Directory::open(dir.path()).unwrap();
    place.put(&key(1), &record(1)).unwrap();
    let path = dir.path().join(key(1).hex());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let e = place.get(&key(1)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged);
    assert!(e.to_string().contains(&key(1).hex()), "{e}");
    place.put(&key(1), &record(1)).unwrap();
    assert_eq!(place.get(&key(1)).unwrap(), Some(record(1)));
}

#[test]
fn many_writers_and_readers() {
    let dir = tempfile::tempdir().unwrap();
    let place = Directory::open(dir.path()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..50 {
                    place.put(&key(n), &record(n)).unwrap();
                    assert_eq!(place.get(&key(n)).unwrap(), Some(record(n)));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 50);
}
