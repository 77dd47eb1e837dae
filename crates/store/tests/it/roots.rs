//! Named roots: replaced whole, by any name, believed only where they are worth it.

use std::fs;

use kiln_image::Digest;
use kiln_store::ErrorKind;

use crate::support::{Place, pretend_reboot};

#[test]
fn roots_come_back_by_name() {
    let place = Place::new();
    let store = place.open();
    let refs = store.refs();
    let keeps = vec![Digest::sha256(b"a"), Digest::sha256(b"b")];
    let long = format!("container/{}", "Long/Name ".repeat(40));
    let names = [
        "container/a",
        "container/A",
        "container/a/b",
        "container/..",
        "container/é%2f",
        &long,
        "cache/a",
    ];
    for name in names {
        assert_eq!(refs.get(name).unwrap(), None);
        refs.set(name, vec![], b"old".to_vec()).unwrap();
        let value = [name.as_bytes(), &[0, 10, 255]].concat();
        refs.set_synced(name, keeps.clone(), value).unwrap();
    }
    for name in names {
        let found = refs.get(name).unwrap().unwrap();
        assert_eq!(found.keeps, keeps);
        assert_eq!(found.value, [name.as_bytes(), &[0, 10, 255]].concat());
    }
    let listed = refs.list("container/").unwrap();
    assert_eq!(listed.len(), 6);
    assert!(listed.is_sorted_by_key(|(name, _)| name.clone()));
    assert_eq!(
        refs.names("container/a").unwrap(),
        ["container/a", "container/a/b"]
    );
    assert!(refs.remove("container/a").unwrap());
    assert!(!refs.remove("container/a").unwrap());
    assert_eq!(refs.get("container/a").unwrap(), None);
    assert!(refs.get("container/A").unwrap().is_some());
}

#[test]
fn names_have_a_known_kind() {
    let place = Place::new();
    let store = place.open();
    for name in ["x", "secret/x", "../x", "image", "image/"] {
        let e = store.refs().set(name, vec![], vec![]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{name}");
    }
    assert_eq!(
        store.refs().list("x/").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn a_damaged_root_is_named() {
    let place = Place::new();
    let store = place.open();
    store
        .refs()
        .set("cache/x", vec![], b"value".to_vec())
        .unwrap();
    let file = place.root().join("refs/cache/x");
    let bytes = fs::read(&file).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], b"", &other] {
        fs::write(&file, damaged).unwrap();
        let e = store.refs().get("cache/x").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Damaged);
        assert!(e.to_string().contains("`cache/x`"), "{e}");
    }
    fs::write(place.root().join("refs/cache/y"), &bytes).unwrap();
    let e = store.refs().get("cache/y").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged, "the file of another name");
}

#[test]
fn a_record_is_good_in_its_boot_and_for_ever_when_sealed() {
    let place = Place::new();
    let store = place.open();
    let sealed = store.begin().unwrap();
    sealed
        .record("cache/sealed", vec![], b"1".to_vec())
        .unwrap();
    sealed.seal().unwrap();
    let never = store.begin().unwrap();
    never.record("cache/never", vec![], b"2".to_vec()).unwrap();
    store.refs().set("container/c", vec![], vec![]).unwrap();
    assert!(
        store.refs().get("cache/never").unwrap().is_some(),
        "at once"
    );
    drop((never, store));
    let store = place.open();
    assert_eq!(
        store.refs().list("cache/").unwrap().len(),
        2,
        "in this boot"
    );
    drop(store);
    pretend_reboot(&place.root());
    let store = place.open();
    assert!(store.refs().get("cache/sealed").unwrap().is_some());
    assert_eq!(store.refs().get("cache/never").unwrap(), None);
    assert!(store.refs().get("container/c").unwrap().is_some());
    assert_eq!(store.refs().list("cache/").unwrap().len(), 1);
}
