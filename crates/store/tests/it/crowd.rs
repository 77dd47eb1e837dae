//! Several handles at once, as several processes: what one relies on another does not collect.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use kiln_store::CollectOptions;

use crate::support::{Place, build_image, is_whole, layer, pull, reference};

/// Builders put, let go, find again, rely and name, while collectors collect all the time.
#[test]
fn what_was_kept_and_found_stays() {
    let place = Place::new();
    let over = AtomicBool::new(false);
    let found = AtomicUsize::new(0);
    thread::scope(|scope| {
        let builders: Vec<_> = (0..3)
            .map(|n| {
                let (place, found) = (&place, &found);
                scope.spawn(move || (0..60).for_each(|m| build(place, found, n, m)))
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let store = place.open();
                    store.collect(&CollectOptions::default()).unwrap();
                }
            });
        }
        let done: Vec<_> = builders
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        done.into_iter().for_each(|d| d.unwrap());
    });
    assert!(
        found.load(Ordering::Relaxed) > 0,
        "nothing was ever found again"
    );
    let store = place.open();
    is_whole(&store);
    store.images().prune(&|_| true).unwrap();
    assert_eq!(store.images().list().unwrap().len(), 3);
    drop(store);
    for folder in ["tmp", "leases", "unsynced"] {
        assert_eq!(crate::support::count(&place.root(), folder), 0, "{folder}");
    }
}

fn build(place: &Place, found: &AtomicUsize, n: usize, m: usize) {
    let store = place.open();
    let build = store.begin().unwrap();
    // Of four layers, all builders make the same: one puts, another finds.
    let made = layer("file", format!("{}", m % 4).as_bytes());
    let here = build.keep(&[made.diff_id]).unwrap().is_empty();
    // Somebody may be putting it just now, and have put the blob alone.
    if here && store.layers().get(&made.diff_id).unwrap().is_some() {
        found.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
        let tree = store.layers().tree(&made.diff_id).unwrap();
        assert_eq!(*tree.unwrap(), made.tree, "was here, and is kept");
        store.layers().files(&made.diff_id).unwrap();
    } else {
        made.put(&store);
    }
    store.layers().files(&made.diff_id).unwrap();
    let image = build_image(&build, &format!("{}", m % 4), &n.to_string());
    build.name(&reference(&format!("app:{n}")), &image).unwrap();
    build.seal().unwrap();
    let now = store
        .images()
        .get(&reference(&format!("app:{n}")))
        .unwrap()
        .unwrap();
    assert_eq!(now, image);
    store.images().prune(&|_| true).unwrap();
}

#[test]
fn the_same_image_is_pulled_by_many_at_once() {
    use kiln_image::media::Compression;

    let place = Place::new();
    let contents: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let (memory, manifest) = crate::support::elsewhere("app", &contents, Compression::Gzip);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pull(&memory, &place.open(), "app"));
        }
    });
    let store = place.open();
    let image = store.images().get(&reference("app")).unwrap().unwrap();
    assert_eq!(image.manifest, Some(manifest));
    is_whole(&store);
}
