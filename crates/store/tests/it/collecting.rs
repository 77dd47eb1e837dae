//! Garbage collection: roots and leases stay with all that belongs to them, the rest goes.

use std::{fs, sync::mpsc, thread, time::Duration};

use kiln_durable::Lock;
use kiln_image::media::Compression;
use kiln_store::{CollectOptions, Collected, ErrorKind, Store};

use crate::support::{
    Place, build_image, count, elsewhere, files_below, is_whole, layer, named_image, pull,
    reference,
};

fn collect(store: &Store) -> Collected {
    store.collect(&CollectOptions::default()).unwrap()
}

#[test]
fn what_roots_keep_stays_with_all_that_belongs_to_it() {
    let place = Place::new();
    let store = place.open();
    named_image(&store, "built", "built");
    let (memory, _) = elsewhere("pulled", &["a", "b"], Compression::Gzip);
    pull(&memory, &store, "pulled");
    let cached = layer("step", b"cached").put(&store);
    let scanned = store.trees().put(&layer("context", b"").tree).unwrap();
    let build = store.begin().unwrap();
    build
        .record("cache/step", vec![cached, scanned], vec![])
        .unwrap();
    build.seal().unwrap();
    drop(store);
    let before = files_below(&place.root());
    let store = place.open();
    assert_eq!(collect(&store), Collected::default());
    drop(store);
    assert_eq!(files_below(&place.root()), before);
    is_whole(&place.open());
}

#[test]
fn what_nothing_keeps_goes_with_all_that_belongs_to_it() {
    let place = Place::new();
    let store = place.open();
    let (memory, _) = elsewhere("pulled", &["a", "b"], Compression::Gzip);
    pull(&memory, &store, "pulled");
    let image = store.images().get(&reference("pulled")).unwrap().unwrap();
    store.layers().files(&image.layers[0]).unwrap();
    let build = store.begin().unwrap();
    let prepared = build.tmp().unwrap().join("body");
    fs::create_dir_all(prepared.join("root/usr")).unwrap();
    store.layers().adopt(&image.layers[1], &prepared).unwrap();
    store.images().remove(&image.id).unwrap();
    drop((build, store));

    let store = place.open();
    let dry = CollectOptions { dry_run: true };
    let would = store.collect(&dry).unwrap();
    assert_eq!(would, store.collect(&dry).unwrap(), "nothing went yet");
    let did = collect(&store);
    assert_eq!(did, would);
    assert_eq!((did.blobs.len(), did.layers.len(), did.trees), (5, 2, 2));
    assert!(did.bytes > 1000, "{}", did.bytes);
    for folder in [
        "blobs/sha256",
        "layers",
        "trees",
        "diffs",
        "unpacked",
        "sealed",
        "tmp",
    ] {
        assert_eq!(count(&place.root(), folder), 0, "{folder}");
    }
    assert_eq!(collect(&store), Collected::default());
    pull(&memory, &store, "pulled");
    is_whole(&store);
}

#[test]
fn what_is_shared_stays_for_the_other() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let (one, two) = (
        build_image(&build, "same", "1"),
        build_image(&build, "same", "2"),
    );
    build.seal().unwrap();
    store.images().remove(&one.id).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(collect(&store).blobs, [one.id]);
    assert!(store.blobs().has(&two.layers[0]));
    is_whole(&store);
}

#[test]
fn what_the_living_named_stays_until_they_are_gone() {
    let place = Place::new();
    let theirs = place.open();
    let put = theirs.blobs().put(b"put by a handle").unwrap();
    let made = layer("file", b"left by somebody");
    made.put(&place.open());
    let build = theirs.begin().unwrap();
    assert_eq!(build.keep(&[made.diff_id]).unwrap(), []);

    let ours = place.open();
    assert_eq!(collect(&ours), Collected::default());
    theirs.layers().files(&made.diff_id).unwrap();
    drop(build);
    assert_eq!(collect(&ours).layers, [made.diff_id]);
    assert!(ours.blobs().has(&put));
    drop(theirs);
    assert_eq!(collect(&ours).blobs, [put]);
}

/// Between reading the leases and removing, nobody can name a thing or write a root.
#[test]
fn naming_waits_for_a_collection() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let digest = kiln_image::Digest::sha256(b"x");
    let keep = || drop(build.keep(&[digest]).unwrap());
    let put = || assert!(store.blobs().put(b"x").is_ok());
    let record = || build.record("cache/x", vec![digest], vec![]).unwrap();
    for name in [&keep as &(dyn Fn() + Sync), &put, &record] {
        let alone = Lock::exclusive(&place.root().join("locks/collect")).unwrap();
        let (done, wait) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                name();
                done.send(()).unwrap();
            });
            let early = wait.recv_timeout(Duration::from_millis(60));
            assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
            drop(alone);
            wait.recv().unwrap();
        });
    }
}

#[test]
fn a_root_that_cannot_be_read_stops_it() {
    let place = Place::new();
    let store = place.open();
    named_image(&store, "app", "x");
    let left = layer("left", b"").put(&place.open());
    store.refs().set("cache/x", vec![], vec![]).unwrap();
    drop(store);
    let store = place.open();
    let of_cache = place.root().join("refs/cache/x");
    fs::write(&of_cache, "torn").unwrap();
    let of_image = &files_below(&place.root().join("refs/image"))[0];
    let bytes = fs::read(of_image).unwrap();
    fs::write(of_image, "torn").unwrap();
    let e = store.collect(&CollectOptions::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged);
    assert!(store.blobs().has(&left));
    fs::write(of_image, bytes).unwrap();
    assert_eq!(collect(&store).layers, [left]);
    assert!(!of_cache.exists(), "a torn cache record is no record");
    is_whole(&store);
}

#[test]
fn folders_are_removed_as_one_is_told() {
    let place = Place::new();
    let store = place.open();
    let made = layer("file", b"x");
    made.put(&store);
    let build = store.begin().unwrap();
    let prepared = build.tmp().unwrap().join("body");
    fs::create_dir_all(prepared.join("root")).unwrap();
    store.layers().adopt(&made.diff_id, &prepared).unwrap();
    drop((build, store));
    let refuse = |_: &std::path::Path| Err(std::io::ErrorKind::PermissionDenied.into());
    let store = place.open().with_remover(std::sync::Arc::new(refuse));
    collect(&store);
    drop(store);
    assert_eq!(count(&place.root(), "unpacked"), 0, "out of sight");
    assert_eq!(count(&place.root(), "tmp"), 1, "waits for somebody who can");
    place.open();
    assert_eq!(
        count(&place.root(), "tmp") + count(&place.root(), "leases"),
        0
    );
}

#[test]
fn usage_adds_up() {
    let place = Place::new();
    let store = place.open();
    let used = named_image(&store, "used", "12345");
    let idle = named_image(&store, "idle", "123");
    let cached = layer("cached", &[0; 5000]);
    cached.put(&store);
    let build = store.begin().unwrap();
    build
        .record("cache/1", vec![cached.diff_id], vec![])
        .unwrap();
    build
        .record("cache/2", used.layers.clone(), vec![])
        .unwrap();
    build.seal().unwrap();
    let keeps = [vec![used.id], used.layers.clone()].concat();
    store.refs().set("container/1", keeps, vec![]).unwrap();
    drop(store);

    let store = place.open();
    let usage = store.usage().unwrap();
    let (images, cache) = (usage.images, usage.cache);
    assert_eq!((images.total, images.active), (2, 1));
    assert_eq!((usage.containers.total, usage.containers.size), (1, 0));
    assert_eq!((cache.total, cache.active), (2, 1));
    assert!(images.reclaimable < images.size);

    store.images().remove(&idle.id).unwrap();
    // Facts are files too, and small.
    let freed = collect(&store).bytes;
    let about = images.reclaimable..images.reclaimable + 1000;
    assert!(about.contains(&freed), "{freed} {images:?}");
    store.refs().remove("cache/1").unwrap();
    let freed = collect(&store).bytes;
    assert!(
        freed >= cache.size && cache.size > 5000,
        "{freed} {cache:?}"
    );
    let usage = store.usage().unwrap();
    assert_eq!((usage.images.reclaimable, usage.cache.reclaimable), (0, 0));
    is_whole(&store);
}
