//! A build: nothing named before it is sealed, nothing lost after.

use std::fs;

use crate::support::{
    Place, build_image, count, is_whole, layer, named_image, pretend_reboot, reference,
};

#[test]
fn names_are_set_by_the_seal_alone() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let image = build_image(&build, "x", "");
    build.name(&reference("app"), &image).unwrap();
    assert_eq!(store.images().get(&reference("app")).unwrap(), None);
    drop(build);
    assert_eq!(store.images().get(&reference("app")).unwrap(), None);
    assert_eq!(
        store.images().by_id(&image.id).unwrap(),
        Some(image.clone())
    );
    let build = store.begin().unwrap();
    build.name(&reference("app"), &image).unwrap();
    build.seal().unwrap();
    assert_eq!(store.images().get(&reference("app")).unwrap(), Some(image));
}

#[test]
fn a_name_keeps_its_image_through_a_power_failure() {
    let place = Place::new();
    let store = place.open();
    // Recorded by a build that is never sealed, named by another.
    let dropped = store.begin().unwrap();
    let image = build_image(&dropped, "x", "");
    drop(dropped);
    let build = store.begin().unwrap();
    build.name(&reference("app"), &image).unwrap();
    build.seal().unwrap();
    drop(store);
    pretend_reboot(&place.root());
    let store = place.open();
    assert_eq!(
        store.images().get(&reference("app")).unwrap(),
        Some(image.clone())
    );
    assert_eq!(
        store.images().by_id(&image.id).unwrap(),
        Some(image.clone())
    );
    store.images().remove_name(&reference("app")).unwrap();
    store.collect(&Default::default()).unwrap();
    assert!(store.blobs().has(&image.id), "dangling, not gone");
    is_whole(&store);
}

#[test]
fn a_name_does_not_stand_on_a_record_of_somebody_else() {
    let place = Place::new();
    let store = place.open();
    let alive = store.begin().unwrap();
    let image = build_image(&alive, "x", "");
    let build = store.begin().unwrap();
    build.name(&reference("app"), &image).unwrap();
    build.seal().unwrap();
    drop((alive, store));
    pretend_reboot(&place.root());
    let store = place.open();
    assert_eq!(store.images().by_id(&image.id).unwrap(), Some(image));
}

#[test]
fn a_seal_leaves_nothing_unsynced_behind() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let image = build_image(&build, "x", "");
    build
        .record("cache/step", vec![image.layers[0]], vec![])
        .unwrap();
    fs::write(build.tmp().unwrap().join("scratch"), "").unwrap();
    assert!(count(&place.root(), "unsynced") > 3);
    build.name(&reference("app"), &image).unwrap();
    build.seal().unwrap();
    assert_eq!(count(&place.root(), "unsynced"), 0);
    assert_eq!(count(&place.root(), "sealed"), 1);
    // Only a name, and even that is set already: nothing to sync, nothing to mark.
    for name in ["app", "app:2"] {
        let build = store.begin().unwrap();
        build.name(&reference(name), &image).unwrap();
        assert_eq!(count(&place.root(), "unsynced"), 0);
        build.seal().unwrap();
        assert_eq!(count(&place.root(), "sealed"), 1, "no mark for a name");
    }
    drop(store);
    assert_eq!(
        count(&place.root(), "tmp") + count(&place.root(), "leases"),
        0
    );
}

#[test]
fn what_others_are_writing_stays_unsynced() {
    let place = Place::new();
    let (ours, theirs) = (place.open(), place.open());
    let alive = theirs.begin().unwrap();
    alive.record("cache/theirs", vec![], vec![]).unwrap();
    theirs.blobs().put(b"theirs").unwrap();
    let gone = theirs.begin().unwrap();
    gone.record("cache/gone", vec![], vec![]).unwrap();
    drop(gone);
    named_image(&ours, "app", "ours");
    assert_eq!(count(&place.root(), "unsynced"), 2, "of those that live");
    drop((ours, theirs, alive));
    pretend_reboot(&place.root());
    let store = place.open();
    let refs = store.refs();
    assert!(
        refs.get("cache/gone").unwrap().is_some(),
        "was over before the sync"
    );
    assert_eq!(
        refs.get("cache/theirs").unwrap(),
        None,
        "could have gone on"
    );
}

#[test]
fn what_a_power_failure_tore_is_found() {
    let place = Place::new();
    let store = place.open();
    named_image(&store, "app", "sealed");
    let build = store.begin().unwrap();
    let torn = layer("file", b"torn");
    torn.put(&store);
    let whole = store.blobs().put(b"whole").unwrap();
    build
        .record("cache/torn", vec![], b"value".to_vec())
        .unwrap();
    let prepared = build.tmp().unwrap().join("body");
    fs::create_dir_all(prepared.join("root")).unwrap();
    store.layers().adopt(&torn.diff_id, &prepared).unwrap();
    drop((build, store));
    pretend_reboot(&place.root());
    let tree = torn.tree.digest().hex();
    for path in [
        format!("blobs/sha256/{}", torn.diff_id.hex()),
        format!("layers/{}", torn.diff_id.hex()),
        format!("trees/{tree}"),
        "refs/cache/torn".to_owned(),
    ] {
        let path = place.root().join(path);
        assert!(path.exists());
        fs::write(&path, "").unwrap();
    }
    let store = place.open();
    assert!(!store.blobs().has(&torn.diff_id));
    assert!(store.blobs().has(&whole), "looked at, and left");
    assert_eq!(store.layers().get(&torn.diff_id).unwrap(), None);
    assert_eq!(store.layers().unpacked(&torn.diff_id).unwrap(), None);
    assert_eq!(store.refs().get("cache/torn").unwrap(), None);
    assert!(store.images().get(&reference("app")).unwrap().is_some());
    assert_eq!(count(&place.root(), "unsynced"), 0);
    is_whole(&store);
    // It is made again, as if it had never been.
    torn.put(&store);
    is_whole(&store);
}

#[test]
fn keeping_tells_what_is_not_here() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let made = layer("x", b"1");
    let blob = store.blobs().put(b"blob").unwrap();
    let tree = made.tree.digest();
    assert_eq!(
        build.keep(&[blob, made.diff_id, tree]).unwrap(),
        [made.diff_id, tree]
    );
    made.put(&store);
    assert_eq!(build.keep(&[blob, made.diff_id, tree]).unwrap(), []);
}
