//! What scans of folders found out: kept, bounded, taken away.

use std::{fs, path::Path, time::SystemTime};

use crate::support::Place;

#[test]
fn indexes_are_kept_by_folder_and_cleared() {
    let place = Place::new();
    let store = place.open();
    let (a, b) = (Path::new("/src/a"), Path::new("/src/b"));
    assert_eq!(store.indexes().get(a).unwrap(), None);
    assert_eq!(store.indexes().clear().unwrap(), 0);
    store.indexes().put(a, b"first").unwrap();
    store.indexes().put(a, b"second").unwrap();
    store.indexes().put(b, b"other").unwrap();
    let other = place.open();
    assert_eq!(other.indexes().get(a).unwrap().unwrap(), b"second");
    assert_eq!(other.indexes().get(b).unwrap().unwrap(), b"other");
    assert!(store.check().unwrap().is_empty());
    store.collect(&Default::default()).unwrap();
    assert!(store.indexes().get(a).unwrap().is_some());
    assert_eq!(store.indexes().clear().unwrap(), 11);
    assert_eq!(other.indexes().get(a).unwrap(), None);
}

#[test]
fn a_store_that_was_made_without_indexes_takes_them() {
    let place = Place::new();
    drop(place.open());
    fs::remove_dir(place.root().join("indexes")).unwrap();
    let store = place.open();
    assert_eq!(store.indexes().get(Path::new("/a")).unwrap(), None);
    store.indexes().put(Path::new("/a"), b"1").unwrap();
    assert!(store.indexes().get(Path::new("/a")).unwrap().is_some());
}

#[test]
fn the_oldest_indexes_go() {
    let place = Place::new();
    let store = place.open();
    let folder = |i: u64| Path::new("/src").join(i.to_string());
    for i in 0..70 {
        store.indexes().put(&folder(i), b"index").unwrap();
        // Each is a minute older than the next.
        let age = std::time::Duration::from_secs((100 - i) * 60);
        for file in fs::read_dir(place.root().join("indexes")).unwrap() {
            let path = file.unwrap().path();
            let young = fs::metadata(&path).unwrap().modified().unwrap();
            if young.elapsed().unwrap_or_default().as_secs() < 60 {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
        }
    }
    let kept: Vec<u64> = (0..70)
        .filter(|i| store.indexes().get(&folder(*i)).unwrap().is_some())
        .collect();
    assert_eq!(kept, (6..70).collect::<Vec<_>>());
}
