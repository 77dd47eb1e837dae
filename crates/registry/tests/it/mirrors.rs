//! What users have configured about registries, against real ones: mirrors, other places, insecure
//! ones, certificates of both sides.

use std::{fs, path::Path, process::Command, sync::Arc};

use kiln_image::{ErrorKind, Reference, Source};
use kiln_registry::{Client, Options, Places, Registries, Remote};
use kiln_tests::{
    peers::installed,
    registry::{self, Access, Registry, Tokens, docker_registry_with},
};

use crate::support::{ME, client, image, name, pull, push};

/// A repository as files below `folder` have it.
fn remote(folder: &Path, what: &Reference) -> Remote {
    let at = |name: &str| vec![folder.join(name)];
    let registries = Registries::read(Places {
        conf: at("registries.conf"),
        conf_folders: at("registries.conf.d"),
        daemon: at("daemon.json"),
        certs: at("certs.d"),
    });
    let options = Options {
        tries: 1,
        hosts: Arc::new(move |registry: &str, repository: &str| {
            registries.host(registry, repository)
        }),
        ..Options::default()
    };
    Client::new(options).repository(what)
}

/// A registry with an image in it, below `prefix`.
fn filled(repository: &str) -> Registry {
    let registry = Registry::start();
    let what = name(&registry.address(), &format!("{repository}:1"));
    let (memory, _) = image(&what, &[10_000]);
    push(&memory, &client().repository(&what), &what).unwrap();
    registry.forget_requests();
    registry
}

#[test]
fn mirrors_in_their_order_and_then_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let (mirror, itself) = (filled("cache/a/b"), filled("a/b"));
    let conf = |first: &str| {
        let text = format!(
            "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\n\
             [[registry.mirror]]\nlocation = \"{first}\"\n",
            itself.address()
        );
        fs::write(dir.path().join("registries.conf"), text).unwrap();
    };
    let what = name(&itself.address(), "a/b:1");
    conf(&format!("{}/cache", mirror.address()));
    pull(&remote(dir.path(), &what), &what).unwrap();
    assert!(itself.requests().is_empty());
    assert!(
        mirror
            .requests()
            .iter()
            .all(|r| r.path.starts_with("/v2/cache/a/b/"))
    );
    // One that has nothing of the kind is passed over.
    conf(&format!("{}/nothing", mirror.address()));
    pull(&remote(dir.path(), &what), &what).unwrap();
    // And what is pushed goes to the registry itself.
    mirror.forget_requests();
    let (memory, _) = image(&what, &[5]);
    push(&memory, &remote(dir.path(), &what), &what).unwrap();
    assert!(mirror.requests().is_empty());
    // Where all fail, all are named.
    let absent = name(&itself.address(), "a/b:2");
    let e = remote(dir.path(), &absent).resolve(&absent).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    let said = e.to_string();
    for part in [
        "`127.0.0.1:1`: cannot be reached",
        &mirror.address(),
        &itself.address(),
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_mirror_that_cannot_be_reached_is_asked_once() {
    let dir = tempfile::tempdir().unwrap();
    let itself = filled("a/b");
    // It takes connections and says nothing that is HTTP.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = listener.local_addr().unwrap();
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{dead}\"\n",
        itself.address()
    );
    fs::write(dir.path().join("registries.conf"), text).unwrap();
    let what = name(&itself.address(), "a/b:1");
    pull(&remote(dir.path(), &what), &what).unwrap();
    let again = taken.join().unwrap().accept();
    assert!(again.is_err(), "it was asked a second time: {again:?}");
}

#[test]
fn another_place_with_tokens_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start_with(registry::Options {
        access: Access::Tokens(Tokens::new(ME)),
        folder: None,
    });
    let there = name(&registry.address(), "stock/hub/tool:1");
    let (memory, manifest) = image(&there, &[1000]);
    let pusher = crate::support::client_as(crate::support::me());
    push(&memory, &pusher.repository(&there), &there).unwrap();
    let text = format!(
        "[[registry]]\nprefix = \"far.example/team\"\nlocation = \"{}/stock/hub\"\n",
        registry.address()
    );
    fs::write(dir.path().join("registries.conf"), text).unwrap();
    let what: Reference = "far.example/team/tool:1".parse().unwrap();
    let (_, found) = pull(&remote(dir.path(), &what), &what).unwrap();
    assert_eq!(found.digest, manifest.digest);
}

#[test]
fn insecure_is_tls_from_anybody_or_none_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let plain = filled("a/b");
    let Some((_folder, secure)) = with_tls(None) else {
        return;
    };
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\ninsecure = true\n[[registry]]\nlocation = \"{}\"\ninsecure = true\n",
        plain.address(),
        secure.address()
    );
    fs::write(dir.path().join("registries.conf"), text).unwrap();
    for address in [&plain.address()[..], secure.address()] {
        let what = name(address, "a/b:1");
        let (memory, manifest) = image(&what, &[10_000]);
        let remote = remote(dir.path(), &what);
        push(&memory, &remote, &what).unwrap();
        assert_eq!(pull(&remote, &what).unwrap().1.digest, manifest.digest);
    }
}

#[test]
fn certificates_of_both_sides() {
    let ca = tempfile::tempdir().unwrap();
    if !installed(&["openssl"]) {
        return;
    }
    certificate(ca.path(), "ca", None);
    certificate(ca.path(), "client", Some("ca"));
    let Some((server, registry)) = with_tls(Some(&ca.path().join("ca.crt"))) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs.d").join(registry.address());
    fs::create_dir_all(&certs).unwrap();
    let what = name(registry.address(), "a/b:1");
    let (memory, manifest) = image(&what, &[10_000]);
    // Nobody vouches for it; then it does not know us; then all is well.
    let e = push(&memory, &remote(dir.path(), &what), &what).unwrap_err();
    assert!(e.to_string().contains("certificate"), "{e}");
    fs::copy(server.path().join("server.crt"), certs.join("ca.crt")).unwrap();
    let e = push(&memory, &remote(dir.path(), &what), &what).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unreachable, "{e}");
    fs::copy(ca.path().join("client.crt"), certs.join("client.cert")).unwrap();
    fs::copy(ca.path().join("client.key"), certs.join("client.key")).unwrap();
    let remote = remote(dir.path(), &what);
    push(&memory, &remote, &what).unwrap();
    assert_eq!(pull(&remote, &what).unwrap().1.digest, manifest.digest);
}

/// docker-registry with a certificate of its own, asking for one by `clients` where given.
fn with_tls(clients: Option<&Path>) -> Option<(tempfile::TempDir, registry::Debian)> {
    let folder = tempfile::tempdir().unwrap();
    if !installed(&["openssl", "docker-registry"]) {
        return None;
    }
    certificate(folder.path(), "server", None);
    let asked = clients.map_or(String::new(), |ca| {
        format!("    clientcas:\n      - {}\n", ca.display())
    });
    let at = folder.path().display();
    let tls =
        format!("  tls:\n    certificate: {at}/server.crt\n    key: {at}/server.key\n{asked}");
    let registry = docker_registry_with(folder.path(), &tls, "")?;
    Some((folder, registry))
}

/// Makes `NAME.crt` and `NAME.key`, signed by `ca` or by itself.
fn certificate(folder: &Path, name: &str, ca: Option<&str>) {
    let mut openssl = Command::new("openssl");
    openssl
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-keyout", &format!("{name}.key"), "-out"])
        .arg(format!("{name}.crt"))
        .args(["-subj", &format!("/CN={name}"), "-addext"])
        .arg("subjectAltName=IP:127.0.0.1,DNS:localhost");
    if let Some(ca) = ca {
        openssl.args(["-CA", &format!("{ca}.crt"), "-CAkey", &format!("{ca}.key")]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    let output = openssl.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
