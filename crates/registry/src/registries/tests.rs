use std::{fs, path::Path};

use kiln_image::ErrorKind;

use super::*;

/// Reads files, given by their names below a folder: `registries.conf`, `conf.d/…`, `daemon.json`.
fn registries(files: &[(&str, &str)]) -> (tempfile::TempDir, Registries) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let at = |name: &str| vec![dir.path().join(name)];
    let places = Places {
        conf: at("registries.conf"),
        conf_folders: at("conf.d"),
        daemon: at("daemon.json"),
        certs: at("certs.d"),
    };
    (dir, Registries::read(places))
}

/// The endpoints of `registry/repository` as text: whom they serve, where, and under which name.
fn endpoints(registries: &Registries, name: &str) -> Vec<String> {
    let (registry, repository) = name.split_once('/').unwrap();
    let host = registries.host(registry, repository).unwrap();
    let shown = host.endpoints.iter().map(|e| {
        let insecure = if e.is_unsettled() { " insecure" } else { "" };
        format!(
            "{:?} {}{} {}{insecure}",
            e.serves,
            e.base(),
            e.repository(repository),
            e.name
        )
    });
    shown.collect()
}

#[test]
fn without_files_loopback_alone_is_plain() {
    let (_dir, none) = registries(&[]);
    for (name, expected) in [
        (
            "docker.io/library/a",
            "All https://registry-1.docker.io/v2/library/a docker.io",
        ),
        ("x.y:5000/a", "All https://x.y:5000/v2/a x.y:5000"),
        (
            "localhost:5000/a",
            "All http://localhost:5000/v2/a localhost:5000",
        ),
        ("127.9.9.9/a", "All http://127.9.9.9/v2/a 127.9.9.9"),
        ("10.0.0.1/a", "All https://10.0.0.1/v2/a 10.0.0.1"),
    ] {
        assert_eq!(endpoints(&none, name), [expected]);
    }
}

#[test]
fn rules_of_registries_conf() {
    let conf = r#"
        unqualified-search-registries = ["quay.io"]
        short-name-mode = "enforcing"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "one.x:5000"
        insecure = true
        [[registry.mirror]]
        location = "two.x/cache"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "localhost:5000/hub"
        pull-from-mirror = "tag-only"

        [[registry]]
        prefix = "docker.io/library/mine"
        location = "localhost:5000/elsewhere"

        [[registry]]
        prefix = "*.example.com"
        insecure = true

        [[registry]]
        prefix = "*.corp.example.com"
        location = "gate.z/corp"

        [[registry]]
        location = "127.0.0.1:1"
        insecure = false
    "#;
    let (_dir, all) = registries(&[("registries.conf", conf)]);
    assert_eq!(
        endpoints(&all, "docker.io/library/busybox"),
        [
            "Pulls https://one.x:5000/v2/library/busybox one.x:5000 insecure",
            "Digests https://two.x/v2/cache/library/busybox two.x",
            "Tags http://localhost:5000/v2/hub/library/busybox localhost:5000",
            "All https://registry-1.docker.io/v2/library/busybox docker.io",
        ]
    );
    for name in ["docker.io/library/mine", "docker.io/library/mine/er"] {
        let rest = name.strip_prefix("docker.io/library/mine").unwrap();
        assert_eq!(
            endpoints(&all, name),
            [
                format!("Pulls http://localhost:5000/v2/elsewhere{rest} localhost:5000"),
                format!("Pushes https://registry-1.docker.io/v2/library/mine{rest} docker.io"),
            ]
        );
    }
    assert_eq!(endpoints(&all, "docker.io/library/miner").len(), 4);
    assert_eq!(
        endpoints(&all, "a.example.com:8/b"),
        ["All https://a.example.com:8/v2/b a.example.com:8 insecure"]
    );
    assert_eq!(
        endpoints(&all, "a.corp.example.com/b/c")[0],
        "Pulls https://gate.z/v2/corp/b/c gate.z"
    );
    assert_eq!(
        endpoints(&all, "example.com/b"),
        ["All https://example.com/v2/b example.com"]
    );
    assert_eq!(
        endpoints(&all, "127.0.0.1:1/b"),
        ["All https://127.0.0.1:1/v2/b 127.0.0.1:1"]
    );
}

#[test]
fn what_is_dropped_in_overrides() {
    let (_dir, all) = registries(&[
        (
            "registries.conf",
            "[[registry]]\nlocation = \"x.y\"\nblocked = true\n",
        ),
        ("conf.d/20-later.conf", "[[registry]]\nlocation = \"x.y\"\n"),
        (
            "conf.d/10-earlier.conf",
            "[[registry]]\nlocation = \"x.y\"\ninsecure = true\n[[registry]]\nlocation = \"z.y\"\nblocked = true\n",
        ),
        ("conf.d/notes.txt", "no toml"),
    ]);
    assert_eq!(endpoints(&all, "x.y/a"), ["All https://x.y/v2/a x.y"]);
    let e = all.host("z.y", "a").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Denied);
    let said = e.to_string();
    assert!(
        said.contains("blocked") && said.contains("10-earlier.conf"),
        "{said}"
    );
}

#[test]
fn daemon_json_mirrors_the_hub_alone() {
    let (_dir, all) = registries(&[(
        "daemon.json",
        r#"{"registry-mirrors":["http://m.x:5000/","https://n.x"],"insecure-registries":["i.x","10.0.0.0/8"]}"#,
    )]);
    assert_eq!(
        endpoints(&all, "docker.io/library/a"),
        [
            "Pulls http://m.x:5000/v2/library/a m.x:5000",
            "Pulls https://n.x/v2/library/a n.x",
            "All https://registry-1.docker.io/v2/library/a docker.io",
        ]
    );
    assert_eq!(
        endpoints(&all, "i.x/a"),
        ["All https://i.x/v2/a i.x insecure"]
    );
    assert_eq!(
        endpoints(&all, "10.1.1.1:5/a"),
        ["All https://10.1.1.1:5/v2/a 10.1.1.1:5 insecure"]
    );
    assert_eq!(endpoints(&all, "o.x/a"), ["All https://o.x/v2/a o.x"]);
}

#[test]
fn what_cannot_be_followed_names_its_file() {
    for (file, text, said) in [
        (
            "registries.conf",
            "[registries.search]\nregistries = [\"docker.io\"]\n",
            "version 1",
        ),
        ("registries.conf", "\n[[registry\n", "line 2"),
        ("registries.conf", "[[registry]]\n", "neither"),
        (
            "registries.conf",
            "[[registry]]\nlocation = \"http://x.y\"\n",
            "has a scheme",
        ),
        (
            "registries.conf",
            "[[registry]]\nprefix = \"x.y/a:1\"\nlocation = \"z\"\n",
            "tag or a digest",
        ),
        ("daemon.json", "{", "daemon.json"),
    ] {
        let (_dir, all) = registries(&[(file, text)]);
        let e = all.host("x.y", "a").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        let whole = e.to_string();
        assert!(whole.contains(said) && whole.contains(file), "{whole}");
        // And the same when asked again.
        assert_eq!(all.host("x.y", "a").unwrap_err().to_string(), whole);
    }
}

#[test]
fn certificates_of_a_folder() {
    let (dir, all) = registries(&[
        ("certs.d/localhost:5/ca.crt", ""),
        ("certs.d/bad.x/ca.crt", "no pem"),
        ("certs.d/half.x/client.cert", "no pem"),
        ("certs.d/other.x/client.key", "no pem"),
    ]);
    fs::remove_file(dir.path().join("certs.d/localhost:5/ca.crt")).unwrap();
    assert_eq!(
        endpoints(&all, "localhost:5/a"),
        ["All https://localhost:5/v2/a localhost:5"],
        "who has a folder for it means TLS"
    );
    for (registry, said) in [
        ("bad.x", "ca.crt"),
        ("half.x", "`client.key` is missing"),
        ("other.x", "`client.cert` is missing"),
    ] {
        let e = all.host(registry, "a").unwrap_err().to_string();
        assert!(e.contains(said) && e.contains(registry), "{e}");
    }
    assert!(all.host("..", "a").is_ok(), "never leads out of the folder");
}

#[test]
fn the_usual_places() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join(".config/containers");
    let places = |conf: Option<&str>| {
        Places::usual(&|name| match name {
            "HOME" => Some(home.path().into()),
            "CONTAINERS_REGISTRIES_CONF" => conf.map(Into::into),
            _ => None,
        })
    };
    let system = Path::new("/etc/containers/registries.conf.d");
    let found = places(None);
    assert_eq!(
        found.conf,
        [
            own.join("registries.conf"),
            "/etc/containers/registries.conf".into()
        ]
    );
    assert_eq!(
        found.conf_folders,
        [system.to_owned(), own.join("registries.conf.d")]
    );
    assert_eq!(found.daemon.len(), 2);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("registries.conf"), "").unwrap();
    assert_eq!(
        places(None).conf_folders,
        [own.join("registries.conf.d")],
        "who has a file of their own has done with the system's"
    );
    let found = places(Some("/c/r.conf"));
    assert_eq!(found.conf, [Path::new("/c/r.conf")]);
    assert_eq!(found.conf_folders, [Path::new("/c/r.conf.d")]);
}
