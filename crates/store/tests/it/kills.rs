//! kill -9 at any moment: nothing half-done is taken for done, the next one sweeps and goes on.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kiln_image::media::Compression;
use kiln_store::{CollectOptions, Store};

use crate::support::{Place, count, elsewhere, is_whole, layer, named_image, pull, reference};

const ROOT: &str = "KILN_STORE_TEST_ROOT";

fn child(root: &Path, what: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("kills::{what}"), "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills a child after each of many delays, spread over the first rounds of its work; on a busy machine
/// these take longer.
fn at_many_moments(what: &str) {
    let place = Place::new();
    named_image(&place.open(), "before", "before");
    let mut rounds = 0;
    let busy = (1..8).map(|n| 40_000 << n);
    for moment in (0..24_u64).map(|n| n * 1700).chain(busy) {
        if moment > 40_000 && rounds > 0 {
            break;
        }
        let mut child = child(&place.root(), what);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let started = (&mut out).lines().any(|l| l.unwrap().contains("started"));
        assert!(started);
        std::thread::sleep(Duration::from_micros(moment));
        kill(child);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        rounds += rest.lines().count();

        let store = place.open();
        for folder in ["tmp", "leases"] {
            assert_eq!(count(&place.root(), folder), 0, "{folder} after {moment}");
        }
        assert!(count(&place.root(), "locks") <= 2, "locks after {moment}");
        is_whole(&store);
        assert!(store.images().find("before").is_ok());
    }
    assert!(rounds > 0, "the child never got anywhere");
    // What it was about is done by somebody who is not killed, and nothing is left over.
    let store = place.open();
    store.collect(&CollectOptions::default()).unwrap();
    is_whole(&store);
    named_image(&store, "after", "after");
    assert_eq!(count(&place.root(), "unsynced"), 0);
    is_whole(&store);
}

#[cfg(unix)]
#[test]
fn a_killed_build() {
    at_many_moments("build_until_killed");
}

#[test]
fn a_killed_pull() {
    at_many_moments("pull_until_killed");
}

#[test]
fn a_killed_collection() {
    at_many_moments("collect_until_killed");
}

#[test]
fn what_a_killed_build_finished_is_found_again_even_after_a_power_failure() {
    let place = Place::new();
    let mut child = child(&place.root(), "record_and_wait");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|l| l.unwrap().contains("recorded")));
    let store = place.open();
    store.collect(&CollectOptions::default()).unwrap();
    kill(child);
    let step = layer("file", b"step");
    store.collect(&CollectOptions::default()).unwrap();
    let found = store.refs().get("cache/step").unwrap().unwrap();
    assert_eq!(found.keeps, [step.diff_id]);
    assert!(store.layers().files(&step.diff_id).is_ok());
    named_image(&store, "next", "next");
    drop(store);
    crate::support::pretend_reboot(&place.root());
    assert!(place.open().refs().get("cache/step").unwrap().is_some());
}

fn root() -> Option<Store> {
    let root = env::var_os(ROOT)?;
    Some(Store::open(Path::new(&root)).unwrap())
}

/// Not a test of its own: a child of the tests above.
#[cfg(unix)]
#[test]
fn build_until_killed() {
    use crate::support::build_image;
    use kiln_layer::{Directory, Whiteouts, apply};

    let Some(first) = root() else {
        return;
    };
    println!("started");
    for n in 0.. {
        let store = Store::open(first.root()).unwrap();
        let build = store.begin().unwrap();
        std::fs::write(build.tmp().unwrap().join("scratch"), [0; 10_000]).unwrap();
        let image = build_image(&build, &n.to_string(), "");
        build
            .record("cache/step", image.layers.clone(), vec![0; 3000])
            .unwrap();
        let prepared = build.tmp().unwrap().join("body");
        std::fs::create_dir_all(prepared.join("root")).unwrap();
        let big = layer("file", &[7; 100_000]);
        let mut body = Directory::new(&prepared.join("root"), Whiteouts::Overlay).unwrap();
        apply(&big.tar[..], &mut body).unwrap();
        big.put(&store);
        store.layers().adopt(&big.diff_id, &prepared).unwrap();
        store.layers().evict(&big.diff_id).unwrap();
        build.name(&reference("app"), &image).unwrap();
        build.seal().unwrap();
        println!("{n}");
    }
}

/// Not a test of its own: a child of the tests above.
#[test]
fn pull_until_killed() {
    let Some(store) = root() else {
        return;
    };
    println!("started");
    for n in 0.. {
        let contents: Vec<String> = (0..5).map(|m| format!("{n}-{m}")).collect();
        let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
        let (memory, _) = elsewhere("app", &contents, Compression::Gzip);
        pull(&memory, &store, "app");
        let image = store.images().get(&reference("app")).unwrap().unwrap();
        store.layers().files(&image.layers[2]).unwrap();
        println!("{n}");
    }
}

/// Not a test of its own: a child of the tests above.
#[test]
fn collect_until_killed() {
    let Some(first) = root() else {
        return;
    };
    println!("started");
    for n in 0.. {
        let store = Store::open(first.root()).unwrap();
        let image = named_image(&store, "app", &n.to_string());
        store.images().remove(&image.id).unwrap();
        drop(store);
        let store = Store::open(first.root()).unwrap();
        store.collect(&CollectOptions::default()).unwrap();
        println!("{n}");
    }
}

/// Not a test of its own: a child of the tests above.
#[test]
fn record_and_wait() {
    let Some(store) = root() else {
        return;
    };
    let build = store.begin().unwrap();
    let diff_id = layer("file", b"step").put(&store);
    build.record("cache/step", vec![diff_id], vec![]).unwrap();
    println!("recorded");
    loop {
        std::thread::park();
    }
}
