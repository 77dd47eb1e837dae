//! Pulling through everything that goes wrong on the way.

use std::io::Read;

use kiln_image::{Descriptor, ErrorKind, Source, media};
use kiln_registry::{Client, Endpoint, Host, Options};
use kiln_tests::registry::{Fault, Registry, Rule};

use crate::support::{bytes, client, image, name, pull, push};

fn on(method: &'static str, path: &str, times: u32) -> Rule {
    Rule {
        method,
        path: path.to_owned(),
        times,
    }
}

/// A registry with an image of one layer of 3 MB, and the layer.
fn filled() -> (Registry, Descriptor, kiln_image::Reference) {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[3_000_000]);
    push(&memory, &client().repository(&what), &what).unwrap();
    let layer = Descriptor::of(media::LAYER, &bytes(3_000_000, 1));
    registry.forget_requests();
    (registry, layer, what)
}

fn read(client: &Client, what: &kiln_image::Reference, blob: &Descriptor, from: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = client.repository(what).blob(blob, from).unwrap();
    stream.read_to_end(&mut out).unwrap();
    out
}

#[test]
fn an_image_goes_there_and_comes_back() {
    let registry = Registry::start();
    let what = name(&registry.address(), "deep/er/app:v1");
    let (memory, manifest) = image(&what, &[0, 10, 700_000]);
    let remote = client().repository(&what);
    let pushed = push(&memory, &remote, &what).unwrap();
    assert_eq!(pushed.digest, manifest.digest);
    let (back, found) = pull(&remote, &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
    assert_eq!(
        back.document(&manifest).unwrap(),
        memory.document(&manifest).unwrap()
    );
    assert_eq!(remote.tags().unwrap(), ["v1"]);
    let by_digest = what.with_digest(manifest.digest);
    assert_eq!(remote.resolve(&by_digest).unwrap(), found);
}

#[test]
fn a_blob_goes_on_from_where_the_connection_broke() {
    let (registry, layer, what) = filled();
    registry.inject(on("GET", "/blobs/", 2), Fault::Cut(1_000_000));
    assert_eq!(read(&client(), &what, &layer, 0), bytes(3_000_000, 1));
    let asked = registry.requests();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[0].range, None);
    let at = |n: usize| -> u64 {
        let range = asked[n].range.clone().unwrap();
        let from = range.strip_prefix("bytes=").unwrap().split('-').next();
        from.unwrap().parse().unwrap()
    };
    assert!(at(1) > 0 && at(2) > at(1), "it went on: {asked:?}");
}

#[test]
fn a_registry_without_ranges_still_serves_the_rest() {
    let (registry, layer, what) = filled();
    registry.inject(on("GET", "/blobs/", 9), Fault::NoRanges);
    assert_eq!(
        read(&client(), &what, &layer, 2_500_000),
        bytes(3_000_000, 1)[2_500_000..]
    );
    registry.inject(on("GET", "/blobs/", 1), Fault::Cut(1_500_000));
    assert_eq!(read(&client(), &what, &layer, 0), bytes(3_000_000, 1));
}

#[test]
fn an_offset_is_honoured_to_the_end() {
    let (_registry, layer, what) = filled();
    let whole = bytes(3_000_000, 1);
    for from in [1, 2_999_999, 3_000_000] {
        let rest = read(&client(), &what, &layer, from);
        assert_eq!(rest, whole[usize::try_from(from).unwrap()..]);
    }
}

#[test]
fn bad_moments_of_a_server_pass() {
    let (registry, _, what) = filled();
    registry.inject(on("HEAD", "/manifests/", 1), Fault::Status(500, vec![]));
    registry.inject(
        on("GET", "/manifests/", 1),
        Fault::Status(429, vec![("Retry-After", "0".to_owned())]),
    );
    registry.inject(on("GET", "/blobs/", 1), Fault::Status(503, vec![]));
    pull(&client().repository(&what), &what).unwrap();
}

#[test]
fn a_server_that_stays_bad_is_told_with_the_number_of_tries() {
    let (registry, _, what) = filled();
    let now = vec![("Retry-After", "0".to_owned())];
    registry.inject(on("", "/manifests/", 99), Fault::Status(429, now));
    let e = client().repository(&what).resolve(&what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable);
    let said = e.to_string();
    assert!(
        said.contains("429") && said.contains("tried 5 times"),
        "{said}"
    );
    assert!(said.contains(&registry.address()), "{said}");
    assert!(e.hint_text().unwrap().contains("kiln login"), "{e:?}");
    assert_eq!(registry.requests().len(), 5);
}

#[test]
fn a_truncated_body_is_not_the_end() {
    let (registry, layer, what) = filled();
    registry.inject(on("GET", "/blobs/", 1), Fault::Truncate(1_234_567));
    assert_eq!(read(&client(), &what, &layer, 0), bytes(3_000_000, 1));
}

#[test]
fn a_blob_that_is_shorter_than_announced_is_a_mismatch() {
    let (registry, layer, what) = filled();
    registry.inject(on("GET", "/blobs/", 99), Fault::Truncate(0));
    let options = Options {
        tries: 2,
        ..Options::default()
    };
    let remote = Client::new(options).repository(&what);
    let mut stream = remote.blob(&layer, 0).unwrap();
    let e = stream.read_to_end(&mut Vec::new()).unwrap_err();
    let e = kiln_image::Error::from(e);
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    assert!(
        e.to_string().contains("ended after 0 bytes of 3000000"),
        "{e}"
    );
}

#[test]
fn corrupt_blobs_are_not_taken() {
    let (registry, layer, what) = filled();
    let path = format!("/blobs/{}", layer.digest);
    registry.inject(on("GET", &path, 1), Fault::Corrupt);
    let e = pull(&client().repository(&what), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    assert!(e.to_string().contains(&layer.digest.to_string()), "{e}");
}

#[test]
fn a_manifest_with_another_digest_is_not_taken() {
    let (registry, _, what) = filled();
    let remote = client().repository(&what);
    let found = remote.resolve(&what).unwrap();
    let mut bytes = remote.document(&found).unwrap();
    let last = bytes.len() - 2;
    bytes[last] = b' ';
    registry.tamper("a/b", &found.digest.to_string(), &bytes);
    let e = remote.document(&found).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    let e = remote
        .resolve(&what.with_digest(layer_less(&bytes)))
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
}

fn layer_less(bytes: &[u8]) -> kiln_image::Digest {
    kiln_image::Digest::sha256(bytes)
}

#[test]
fn head_may_be_refused() {
    let (registry, _, what) = filled();
    let remote = client().repository(&what);
    let by_head = remote.resolve(&what).unwrap();
    registry.inject(on("HEAD", "/manifests/", 1), Fault::Status(405, vec![]));
    assert_eq!(remote.resolve(&what).unwrap(), by_head);
}

#[test]
fn mirrors_are_asked_first_and_may_fail() {
    let (registry, _, what) = filled();
    let (mirror, _, _) = filled();
    let urls = [
        "http://127.0.0.1:1".to_owned(),
        format!("http://{}", mirror.address()),
        format!("http://{}", registry.address()),
    ];
    let host = Host {
        endpoints: urls
            .iter()
            .map(|url| Endpoint::new(url).unwrap().pull_only())
            .collect(),
    };
    let options = Options {
        tries: 1,
        hosts: std::sync::Arc::new(move |_: &str, _: &str| Ok(host.clone())),
        ..Options::default()
    };
    let remote = Client::new(options).repository(&what);
    pull(&remote, &what).unwrap();
    assert!(registry.requests().is_empty() && !mirror.requests().is_empty());
    let (memory, _) = image(&what, &[1]);
    let e = push(&memory, &remote, &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
}

#[test]
fn a_reader_that_is_dropped_ends_the_download() {
    let (_registry, layer, what) = filled();
    let remote = client().repository(&what);
    let mut stream = remote.blob(&layer, 0).unwrap();
    let mut some = [0; 10];
    stream.read_exact(&mut some).unwrap();
    drop(stream);
    drop(remote);
}
