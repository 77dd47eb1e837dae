//! Leases: exclusive, gone with their process, swept without a race.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use kiln_durable::{Lease, Lock};

const CHILD: &str = "KILN_DURABLE_TEST_LEASE";

#[test]
fn one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lease");
    let first = Lease::try_take(&path).unwrap().unwrap();
    assert!(Lease::held(&path).unwrap());
    assert!(Lease::try_take(&path).unwrap().is_none());
    first.note(b"a\n").unwrap();
    first.note(b"b\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"a\nb\n");
    first.leave();
    assert!(!Lease::held(&path).unwrap());
    drop(Lease::try_take(&path).unwrap().unwrap());
    assert!(!path.exists());
    assert!(!Lease::held(&path).unwrap());
    assert!(!path.exists(), "asking makes no file");
}

#[test]
fn shared_and_exclusive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let a = Lock::shared(&path).unwrap();
    let b = Lock::try_shared(&path).unwrap();
    assert!(b.is_some());
    assert!(Lock::try_exclusive(&path).unwrap().is_none());
    drop((a, b));
    let c = Lock::try_exclusive(&path).unwrap();
    assert!(c.is_some());
    assert!(Lock::try_shared(&path).unwrap().is_none());
    drop(c);
    assert!(path.exists(), "the file of a lock stays");
    drop(Lock::exclusive(&path).unwrap());
}

/// Taking, sweeping and dropping from many threads: never two holders, never a lost one.
#[test]
fn takers_and_sweepers_do_not_race() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lease");
    let inside = AtomicUsize::new(0);
    let alone = |lease: Lease| {
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        assert!(path.exists(), "a held lease is there to be read");
        thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
        drop(lease);
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..200).for_each(|_| alone(Lease::take(&path).unwrap())));
        }
        scope.spawn(|| {
            for _ in 0..200 {
                Lease::try_take(&path).unwrap().into_iter().for_each(&alone);
                Lease::held(&path).unwrap();
            }
        });
    });
    assert!(!path.exists());
}

#[test]
fn a_killed_holder_leaves_a_lease_that_can_be_swept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lease");
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "leases::hold_until_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|l| l.unwrap().contains("held")),
        "the child holds it"
    );
    assert!(Lease::held(&path).unwrap());
    assert!(Lease::try_take(&path).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"mine\n", "the file stays");
    assert!(!Lease::held(&path).unwrap());
    drop(Lease::try_take(&path).unwrap().unwrap());
    assert!(!path.exists());
}

/// Not a test of its own: the child of the test above.
#[test]
fn hold_until_killed() {
    let Some(path) = env::var_os(CHILD) else {
        return;
    };
    let lease = Lease::take(Path::new(&path)).unwrap();
    lease.note(b"mine\n").unwrap();
    println!("held");
    loop {
        thread::park();
    }
}
