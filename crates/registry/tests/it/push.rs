//! Pushing through everything that goes wrong on the way.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use kiln_image::{Descriptor, ErrorKind, Location, Sink, Taken, media};
use kiln_registry::{Client, Options};
use kiln_tests::registry::{Fault, Registry, Rule};

use crate::support::{bytes, client, image, name, pull, push};

fn on(method: &'static str, path: &str, times: u32) -> Rule {
    Rule {
        method,
        path: path.to_owned(),
        times,
    }
}

/// Puts a blob of so many bytes; answers with how, and how many bytes were read for it.
fn put(
    registry: &Registry,
    client: &Client,
    len: usize,
    known: &[Location],
) -> Result<(Taken, u64), kiln_image::Error> {
    let what = name(&registry.address(), "a/b:1");
    let content = bytes(len, 7);
    let blob = Descriptor::of(media::LAYER, &content);
    let read = AtomicU64::new(0);
    let open = |from: u64| -> io::Result<Box<dyn Read + Send>> {
        let rest = content[usize::try_from(from).unwrap()..].to_vec();
        read.fetch_add(rest.len() as u64, Ordering::Relaxed);
        Ok(Box::new(io::Cursor::new(rest)))
    };
    let mut last = 0;
    let taken = client
        .repository(&what)
        .put_blob(&blob, &open, known, &mut |n| {
            assert!(n <= len as u64);
            last = n;
        })?;
    if taken == Taken::Copied {
        assert_eq!(last, len as u64);
        assert!(registry.has_blob("a/b", &blob.digest.to_string()));
    }
    Ok((taken, read.into_inner()))
}

#[test]
fn what_is_there_is_not_sent_again() {
    let registry = Registry::start();
    let client = client();
    assert_eq!(
        put(&registry, &client, 500_000, &[]).unwrap().0,
        Taken::Copied
    );
    assert_eq!(
        put(&registry, &client, 500_000, &[]).unwrap(),
        (Taken::Existed, 0)
    );
    assert_eq!(put(&registry, &client, 0, &[]).unwrap().0, Taken::Copied);
}

#[test]
fn a_neighbour_of_the_same_registry_gives_its_blob() {
    let registry = Registry::start();
    let client = client();
    let there = name(&registry.address(), "other/repo:1");
    let content = bytes(1000, 7);
    let blob = Descriptor::of(media::LAYER, &content);
    let open = |_: u64| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(bytes(1000, 7))))
    };
    client
        .repository(&there)
        .put_blob(&blob, &open, &[], &mut |_| {})
        .unwrap();
    let far = Location {
        registry: "elsewhere.example".to_owned(),
        repository: "x".to_owned(),
    };
    let near = client.repository(&there).location();
    let empty = Location {
        repository: "nothing/here".to_owned(),
        ..near.clone()
    };
    let known = [far, empty, near];
    registry.forget_requests();
    assert_eq!(
        put(&registry, &client, 1000, &known).unwrap(),
        (Taken::Mounted, 0)
    );
    let asked = registry.requests();
    assert!(
        asked.iter().all(|r| !r.path.contains("from=x")),
        "{asked:?}"
    );
    assert!(
        asked.iter().any(|r| r.method == "DELETE"),
        "the session that the empty neighbour began is given up: {asked:?}"
    );
}

#[test]
fn a_mount_that_becomes_an_upload_is_used() {
    let registry = Registry::start();
    let near = Location {
        registry: registry.address(),
        repository: "other/repo".to_owned(),
    };
    registry.inject(on("POST", "mount=", 1), Fault::NoMount);
    assert_eq!(
        put(&registry, &client(), 1000, &[near]).unwrap().0,
        Taken::Copied
    );
    let asked = registry.requests();
    let begun = asked.iter().filter(|r| r.method == "POST").count();
    assert_eq!(begun, 1, "the session of the mount is used: {asked:?}");
}

#[test]
fn a_broken_upload_goes_on_from_where_the_registry_is() {
    let registry = Registry::start();
    registry.inject(on("PUT", "/uploads/", 1), Fault::CutRequest(3_000_000));
    let (taken, read) = put(&registry, &client(), 8_000_000, &[]).unwrap();
    assert_eq!(taken, Taken::Copied);
    assert_eq!(read, 8_000_000 + 5_000_000, "the second time from 3 MB on");
    let asked = registry.requests();
    let pieces: Vec<_> = asked.iter().filter(|r| r.method == "PATCH").collect();
    assert_eq!(pieces.len(), 1, "{asked:?}");
    assert_eq!(pieces[0].range.as_deref(), Some("3000000-7999999"));
}

#[test]
fn an_upload_breaks_again_and_again_and_arrives() {
    let registry = Registry::start();
    registry.inject(on("PUT", "/uploads/", 1), Fault::CutRequest(1_000_000));
    registry.inject(on("PATCH", "/uploads/", 6), Fault::CutRequest(1_000_000));
    let options = Options {
        tries: 3,
        ..Options::default()
    };
    let client = Client::new(options);
    assert_eq!(
        put(&registry, &client, 8_000_000, &[]).unwrap().0,
        Taken::Copied
    );
}

#[test]
fn an_upload_that_is_forgotten_begins_anew() {
    let registry = Registry::start();
    registry.inject(on("PUT", "/uploads/", 1), Fault::CutRequest(100_000));
    registry.inject(on("GET", "/uploads/", 1), Fault::Status(404, vec![]));
    let (taken, read) = put(&registry, &client(), 400_000, &[]).unwrap();
    assert_eq!((taken, read), (Taken::Copied, 800_000));
}

#[test]
fn a_body_too_large_for_one_piece_goes_in_pieces() {
    let registry = Registry::start();
    registry.inject(on("PUT", "/uploads/", 1), Fault::Status(413, vec![]));
    assert_eq!(
        put(&registry, &client(), 40 << 20, &[]).unwrap().0,
        Taken::Copied
    );
    let asked = registry.requests();
    let pieces = asked.iter().filter(|r| r.method == "PATCH").count();
    assert_eq!(pieces, 2, "32 MiB and the rest: {asked:?}");
}

#[test]
fn a_busy_registry_is_asked_again() {
    let registry = Registry::start();
    let now = vec![("Retry-After", "0".to_owned())];
    registry.inject(on("HEAD", "/blobs/", 1), Fault::Status(500, vec![]));
    registry.inject(on("POST", "/uploads/", 1), Fault::Status(429, now.clone()));
    registry.inject(on("PUT", "/uploads/", 1), Fault::Status(503, now));
    registry.inject(on("PUT", "/manifests/", 2), Fault::Status(502, vec![]));
    let what = name(&registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[100_000, 10]);
    let remote = client().repository(&what);
    push(&memory, &remote, &what).unwrap();
    assert_eq!(pull(&remote, &what).unwrap().1.digest, manifest.digest);
}

#[test]
fn wrong_bytes_never_become_a_blob() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let remote = client().repository(&what);
    let right = bytes(300_000, 1);
    let blob = Descriptor::of(media::LAYER, &right);
    let mut wrong = right.clone();
    wrong[1] ^= 1;
    let mut longer = right.clone();
    longer.push(0);
    let shorter = right[..299_999].to_vec();
    for (content, said) in [
        (wrong, "have the digest"),
        (longer, "more than the 300000 bytes"),
        (shorter, "got 299999 bytes of 300000"),
    ] {
        let open = |_: u64| -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(io::Cursor::new(content.clone())))
        };
        let e = remote.put_blob(&blob, &open, &[], &mut |_| {}).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
        assert!(e.to_string().contains(said), "{e}");
        assert!(!registry.has_blob("a/b", &blob.digest.to_string()));
    }
    let asked = registry.requests();
    let tries = asked.iter().filter(|r| r.method == "PUT").count();
    assert!(tries <= 3, "wrong bytes are not tried again: {asked:?}");
}

#[test]
fn what_the_reader_says_is_what_the_caller_hears() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let blob = Descriptor::of(media::LAYER, &bytes(300_000, 1));
    let open = |_: u64| -> io::Result<Box<dyn Read + Send>> {
        Err(kiln_image::Error::new(ErrorKind::NotFound, "the layer is gone").into())
    };
    let e = client()
        .repository(&what)
        .put_blob(&blob, &open, &[], &mut |_| {})
        .unwrap_err();
    assert_eq!(e.to_string(), "the layer is gone");
}

#[test]
fn names_stay_in_their_repository() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[1]);
    let remote = client().repository(&what);
    push(&memory, &remote, &what).unwrap();
    let other = name(&registry.address(), "a/c:1");
    let e = remote.name(&manifest, &other).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    // Another tag for what another client has put.
    let more = name(&registry.address(), "a/b:2");
    client().repository(&what).name(&manifest, &more).unwrap();
    assert_eq!(remote.tags().unwrap(), ["1", "2"]);
}
