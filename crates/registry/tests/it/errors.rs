//! What a person is told.

use kiln_image::{ErrorKind, Source};
use kiln_registry::{Client, Host, Options};
use kiln_tests::registry::Registry;

use crate::support::{client, image, name, push};

#[test]
fn nobody_listens() {
    let what = name("127.0.0.1:1", "a/b:1");
    let e = client().repository(&what).resolve(&what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable);
    assert_eq!(
        e.to_string(),
        "registry `127.0.0.1:1`: cannot be reached: connection refused \
         (`http://127.0.0.1:1/v2/a/b/manifests/1`, tried 2 times)"
    );
}

#[test]
fn a_name_that_is_not_there() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let e = client().repository(&what).resolve(&what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    let said = e.to_string();
    assert!(
        said.contains(&format!("`{what}` is not in registry")),
        "{said}"
    );
    assert!(said.contains("manifest unknown"), "{said}");
    let e = client().repository(&what).tags().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
}

#[test]
fn plain_http_where_tls_is_expected() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let url = format!("https://{}", registry.address());
    let options = Options {
        hosts: std::sync::Arc::new(move |_: &str, _: &str| {
            Ok(Host {
                endpoints: vec![kiln_registry::Endpoint::new(&url)?],
            })
        }),
        ..Options::default()
    };
    let e = Client::new(options)
        .repository(&what)
        .resolve(&what)
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable);
    assert!(
        e.hint_text().is_some_and(|h| h.contains("plain HTTP")),
        "{e:?}"
    );
}

#[test]
fn inside_a_runtime_it_refuses() {
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let remote = client().repository(&what);
    let (memory, _) = image(&what, &[10]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    for e in [
        remote.resolve(&what).unwrap_err(),
        push(&memory, &remote, &what).unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.hint_text().unwrap().contains("thread"), "{e:?}");
    }
}
