//! Mirrors of Docker Hub, from the files in which users have them, while the Hub itself is out of
//! reach.

use std::{fs, path::Path, process::Command};

use kiln_tests::{
    base,
    kiln::{Kiln, Said, said, write},
    peers::installed,
    registry::{Debian, docker_registry},
};

/// A mirror that has `library/busybox`; `None` where docker-registry is not installed.
fn mirror(folder: &Path) -> Option<Debian> {
    if !installed(&["docker-registry"]) {
        return None;
    }
    let registry = docker_registry(folder)?;
    let kiln = Kiln::new();
    let name = format!("{}/library/busybox", registry.address());
    base::busybox(&kiln);
    kiln.ok(["tag", "busybox", &name]);
    kiln.ok(["push", "-q", &name]);
    Some(registry)
}

/// Runs kiln where everything but loopback leads to a proxy that is not there.
fn alone(kiln: &Kiln, args: &[&str]) -> Said {
    said(cut_off(&mut kiln.command(args)))
}

fn cut_off(command: &mut Command) -> &mut Command {
    command.env("HTTPS_PROXY", "http://127.0.0.1:1")
}

/// Pulls busybox and builds from it.
fn is_used(kiln: &Kiln) {
    let build = kiln.context("app", &[("Dockerfile", "FROM busybox\nCOPY . /app\n")]);
    let built = alone(kiln, &["build", "-t", "app", build.to_str().unwrap()]);
    assert_eq!(built.code, 0, "{}", built.err);
    let pulled = alone(kiln, &["pull", "busybox"]);
    assert_eq!(pulled.code, 0, "{}", pulled.err);
    assert!(
        pulled.out.ends_with("docker.io/library/busybox:latest\n"),
        "{}",
        pulled.out
    );
}

#[test]
fn registries_conf_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mirror) = mirror(folder.path()) else {
        return;
    };
    let text = format!(
        "unqualified-search-registries = [\"quay.io\"]\n[[registry]]\nprefix = \"docker.io\"\n\
         location = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        mirror.address()
    );
    for place in [
        ".config/containers/registries.conf",
        ".config/containers/registries.conf.d/hub.conf",
    ] {
        let kiln = Kiln::new();
        write(&kiln.scratch().join(place), &text);
        is_used(&kiln);
    }
    let kiln = Kiln::new();
    let chosen = folder.path().join("chosen.conf");
    fs::write(&chosen, &text).unwrap();
    let mut pull = kiln.command(["pull", "-q", "busybox"]);
    let pulled = said(cut_off(&mut pull).env("CONTAINERS_REGISTRIES_CONF", &chosen));
    assert_eq!(
        pulled.out, "docker.io/library/busybox:latest\n",
        "{}",
        pulled.err
    );
}

#[test]
fn daemon_json() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mirror) = mirror(folder.path()) else {
        return;
    };
    let kiln = Kiln::new();
    let text = format!(r#"{{"registry-mirrors":["http://{}"]}}"#, mirror.address());
    write(&kiln.scratch().join(".config/docker/daemon.json"), &text);
    is_used(&kiln);
    // It mirrors the Hub, and nobody else; a push goes where the name says.
    let pulled = alone(&kiln, &["pull", "quay.io/library/busybox"]);
    assert_ne!(pulled.code, 0);
    let pushed = alone(&kiln, &["push", "busybox"]);
    assert_ne!(pushed.code, 0);
    assert!(
        pushed.err.contains("registry-1.docker.io"),
        "{}",
        pushed.err
    );
}

#[test]
fn why_a_mirror_was_passed_over_is_told() {
    let kiln = Kiln::new();
    let conf = kiln.scratch().join(".config/containers/registries.conf");
    write(
        &conf,
        "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\n",
    );
    let said = alone(&kiln, &["pull", "busybox"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("registry-1.docker.io")
            && said
                .err
                .contains("registry `127.0.0.1:1`: cannot be reached"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_blocked_or_not_readable_names_the_file() {
    let kiln = Kiln::new();
    let conf = kiln.scratch().join(".config/containers/registries.conf");
    let build = kiln.context("app", &[("Dockerfile", "FROM busybox\n")]);
    for (text, why) in [
        (
            "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n",
            "registry `docker.io` is blocked by",
        ),
        ("[registries.search]\nregistries = ['x.y']\n", "version 1"),
        ("[[registry]]\nlocation = docker.io\n", "line 2"),
    ] {
        write(&conf, text);
        for args in [
            &["pull", "busybox"][..],
            &["build", build.to_str().unwrap()],
        ] {
            let said = alone(&kiln, args);
            assert_eq!(said.code, 1);
            let file = conf.display().to_string();
            assert!(
                said.err.contains(why) && said.err.contains(&file),
                "{args:?}: {}",
                said.err
            );
        }
    }
}
