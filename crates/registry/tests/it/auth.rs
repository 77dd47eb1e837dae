//! Passwords, tokens, refresh tokens; and who never gets to see them.

use std::{fs, sync::Arc, time::Duration};

use kiln_image::{ErrorKind, Location, Sink, Source, Taken};
use kiln_registry::{Client, Credential, DockerConfig, Options, Secret};
use kiln_tests::registry::{self, Access, Fault, Registry, Rule, Tokens};

use crate::support::{ME, bytes, client, client_as, image, me, name, pull, push};

fn with(access: Access) -> Registry {
    Registry::start_with(registry::Options {
        access,
        folder: None,
    })
}

fn tokens() -> Registry {
    with(Access::Tokens(Tokens::new(ME)))
}

#[test]
fn a_password_is_shown_when_asked_for() {
    let registry = with(Access::Basic(ME.to_owned()));
    let what = name(&registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[1000]);
    let e = push(&memory, &client().repository(&what), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied);
    let hint = format!("kiln login {}", registry.address());
    assert!(e.hint_text().unwrap().contains(&hint), "{e:?}");
    let remote = client_as(me()).repository(&what);
    push(&memory, &remote, &what).unwrap();
    assert_eq!(pull(&remote, &what).unwrap().1.digest, manifest.digest);
}

#[test]
fn anybody_may_pull_and_who_has_a_password_may_push() {
    let registry = tokens();
    let what = name(&registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[1000, 2000]);
    push(&memory, &client_as(me()).repository(&what), &what).unwrap();
    registry.forget_requests();
    let anonymous = client().repository(&what);
    assert_eq!(pull(&anonymous, &what).unwrap().1.digest, manifest.digest);
    let asked = registry.requests();
    let fetched = asked
        .iter()
        .filter(|r| r.path.starts_with("/token"))
        .count();
    assert_eq!(fetched, 1, "one token for all of an image: {asked:?}");
    assert!(
        asked.iter().filter(|r| r.authorization.is_none()).count() <= 2,
        "the first question and the token's: {asked:?}"
    );
    let (memory, _) = image(&what, &[3000]);
    let e = push(&memory, &anonymous, &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied);
    let said = e.to_string();
    assert!(
        said.contains("pull and push") && said.contains("`a/b`"),
        "{said}"
    );
    assert!(e.hint_text().unwrap().contains("kiln login"), "{e:?}");
}

#[test]
fn a_wrong_password_is_denied_and_not_told() {
    let registry = tokens();
    let what = name(&registry.address(), "a/b:1");
    let wrong = Credential::Basic {
        user: "me".to_owned(),
        password: Secret::new("hunter2"),
    };
    let e = client_as(wrong)
        .repository(&what)
        .resolve(&what)
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
    assert!(!format!("{e:?} {e}").contains("hunter2"));
}

#[test]
fn a_refresh_token_becomes_tokens() {
    let mut server = Tokens::new(ME);
    server.identity = "refresh&me=1".to_owned();
    let registry = with(Access::Tokens(server));
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[1000]);
    let identity = Credential::Identity(Secret::new("refresh&me=1"));
    push(&memory, &client_as(identity).repository(&what), &what).unwrap();
    let posts = registry.requests();
    assert!(
        posts
            .iter()
            .any(|r| r.method == "POST" && r.path == "/token")
    );
}

#[test]
fn tokens_that_are_over_are_fetched_again() {
    let mut server = Tokens::new(ME);
    // Shorter than the margin before its end in which a client does not use a token any more.
    server.good_for = Some(Duration::from_secs(1));
    let registry = with(Access::Tokens(server));
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[1000]);
    let remote = client_as(me()).repository(&what);
    push(&memory, &remote, &what).unwrap();
    registry.forget_requests();
    remote.resolve(&what).unwrap();
    remote.resolve(&what).unwrap();
    let asked = registry.requests();
    let fetched = asked
        .iter()
        .filter(|r| r.path.starts_with("/token"))
        .count();
    assert_eq!(fetched, 2, "{asked:?}");
    assert_eq!(asked.len(), 4, "no question was asked in vain: {asked:?}");
}

#[test]
fn a_token_that_is_taken_back_is_fetched_again() {
    let registry = tokens();
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[1000]);
    let remote = client_as(me()).repository(&what);
    push(&memory, &remote, &what).unwrap();
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"test\",scope=\"repository:a/b:pull\"",
        registry.address()
    );
    let rule = Rule {
        method: "HEAD",
        path: "/manifests/".to_owned(),
        times: 1,
    };
    let refused = Fault::Status(401, vec![("WWW-Authenticate", challenge)]);
    registry.inject(rule, refused);
    remote.resolve(&what).unwrap();
}

#[test]
fn a_mount_asks_for_the_neighbour_too() {
    let registry = tokens();
    let there = name(&registry.address(), "other/repo:1");
    let here = name(&registry.address(), "a/b:1");
    let client = client_as(me());
    let (memory, _) = image(&there, &[1000]);
    push(&memory, &client.repository(&there), &there).unwrap();
    let blob = kiln_image::Descriptor::of(kiln_image::media::LAYER, &bytes(1000, 1));
    let known: Vec<Location> = client.repository(&there).locations(&blob);
    let open = |_| panic!("nothing is to be read");
    let taken = client
        .repository(&here)
        .put_blob(&blob, &open, &known, &mut |_| {});
    assert_eq!(taken.unwrap(), Taken::Mounted);
    let asked = registry.requests();
    let scope = "scope=repository%3Aother%2Frepo%3Apull";
    assert!(asked.iter().any(|r| r.path.contains(scope)), "{asked:?}");
}

#[test]
fn another_host_sees_no_credentials() {
    let registry = with(Access::Basic(ME.to_owned()));
    let elsewhere = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[500_000]);
    push(&memory, &client_as(me()).repository(&what), &what).unwrap();
    let copy = name(&elsewhere.address(), "a/b:1");
    push(
        &image(&copy, &[500_000]).0,
        &client().repository(&copy),
        &copy,
    )
    .unwrap();
    elsewhere.forget_requests();
    let layer = kiln_image::Descriptor::of(kiln_image::media::LAYER, &bytes(500_000, 1));
    let path = format!("/v2/a/b/blobs/{}", layer.digest);
    registry.inject(
        Rule {
            method: "GET",
            path: path.clone(),
            times: 1,
        },
        Fault::Status(
            307,
            vec![(
                "Location",
                format!("http://{}{path}?signature=s3cret", elsewhere.address()),
            )],
        ),
    );
    let (_, found) = pull(&client_as(me()).repository(&what), &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].authorization, None);
}

#[test]
fn an_upload_that_is_sent_elsewhere_shows_no_credentials() {
    let registry = with(Access::Basic(ME.to_owned()));
    let elsewhere = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[500_000]);
    let there = format!("http://{}/v2/a/b/blobs/uploads/1", elsewhere.address());
    registry.inject(
        Rule {
            method: "POST",
            path: "/uploads/".to_owned(),
            times: 1,
        },
        Fault::Status(202, vec![("Location", there)]),
    );
    push(&memory, &client_as(me()).repository(&what), &what).unwrap();
    let seen = elsewhere.requests();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|r| r.authorization.is_none()), "{seen:?}");
}

#[test]
fn errors_of_a_redirect_do_not_tell_its_signature() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let layer = kiln_image::Descriptor::of(kiln_image::media::LAYER, &bytes(10, 1));
    let location = "http://127.0.0.1:1/x?signature=s3cret".to_owned();
    registry.inject(
        Rule {
            method: "GET",
            path: "/blobs/".to_owned(),
            times: 9,
        },
        Fault::Status(307, vec![("Location", location)]),
    );
    let Err(e) = client().repository(&what).blob(&layer, 0) else {
        panic!("there is nothing at the end of that redirect");
    };
    assert!(!format!("{e} {e:?}").contains("s3cret"), "{e:?}");
}

#[test]
fn docker_s_configuration_and_its_helpers_are_used() {
    let registry = tokens();
    let what = name(&registry.address(), "a/b:1");
    let (memory, _) = image(&what, &[1000]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let auths = format!(
        r#"{{"auths":{{"{}":{{"auth":"{ME}"}}}}}}"#,
        registry.address()
    );
    fs::write(&path, auths).unwrap();
    let options = Options {
        credentials: Arc::new(DockerConfig::read(vec![path.clone()])),
        ..Options::default()
    };
    push(&memory, &Client::new(options).repository(&what), &what).unwrap();
    // A helper that is named and missing is told only where it matters.
    fs::write(&path, r#"{"credsStore":"surely-not-installed"}"#).unwrap();
    let options = Options {
        credentials: Arc::new(DockerConfig::read(vec![path])),
        ..Options::default()
    };
    let remote = Client::new(options).repository(&what);
    pull(&remote, &what).unwrap();
    let (memory, _) = image(&what, &[2000]);
    let e = push(&memory, &remote, &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied);
    let hint = e.hint_text().unwrap();
    assert!(
        hint.contains("docker-credential-surely-not-installed"),
        "{hint}"
    );
}
