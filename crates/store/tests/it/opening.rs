//! Opening: made when new, refused when strange, swept when somebody was killed.

use std::fs;

use kiln_store::{ErrorKind, Store};

use crate::support::{Place, count};

#[test]
fn a_new_store_is_made_and_opened_again() {
    let place = Place::new();
    let digest = place.open().blobs().put(b"x").unwrap();
    let store = place.open();
    assert!(store.blobs().has(&digest));
    assert_eq!(store.root(), place.root());
    assert_eq!(
        (count(&place.root(), "tmp"), count(&place.root(), "leases")),
        (0, 0)
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_looks_into_it() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    place.open();
    let mode = fs::metadata(place.root()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_newer_layout_is_refused() {
    let place = Place::new();
    place.open();
    let version = place.root().join("version");
    fs::write(&version, "kiln store 2\n").unwrap();
    let e = Store::open(&place.root()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Newer);
    assert!(e.to_string().contains("layout 2"), "{e}");
    fs::write(&version, "").unwrap();
    assert_eq!(
        Store::open(&place.root()).unwrap_err().kind(),
        ErrorKind::Damaged
    );
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.odt"), "").unwrap();
    let e = Store::open(dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("`thesis.odt`"), "{e}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_store_that_was_half_made_is_made() {
    let place = Place::new();
    fs::create_dir_all(place.root().join("blobs")).unwrap();
    fs::create_dir_all(place.root().join("tmp")).unwrap();
    place.open().blobs().put(b"x").unwrap();
}

#[test]
fn what_was_left_of_making_a_store_is_swept() {
    for missing in ["version", "boot"] {
        let place = Place::new();
        drop(place.open());
        fs::remove_file(place.root().join(missing)).unwrap();
        let left = place.root().join("tmp/.new-0123456789abcdef");
        fs::write(&left, "half").unwrap();
        drop(place.open());
        assert!(!left.exists(), "{missing}");
    }
}

#[test]
fn many_open_a_new_store_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 0..8_u8 {
            let place = &place;
            scope.spawn(move || place.open().blobs().put(&[n]).unwrap());
        }
    });
    assert_eq!(count(&place.root(), "blobs/sha256"), 8);
}
