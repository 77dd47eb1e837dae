//! Registries with a password: logging in and out, and files that are shared with other tools.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use kiln_tests::{
    base,
    kiln::{Kiln, Said, said},
    peers::installed,
    pty::Pty,
    registry::{Debian, docker_registry_with},
    until::until,
};

/// docker-registry that knows `me` by `secret`; `None` where it is not installed.
fn locked(folder: &Path) -> Option<Debian> {
    if !installed(&["docker-registry"]) {
        return None;
    }
    let passwords = folder.join("htpasswd");
    let line = "me:$2b$05$wQn7Ofz14Y7O69WKJnNVeeGh6IC2N71rhyXWZx4GK2QOAqNqNJ.k6\n";
    fs::write(&passwords, line).unwrap();
    let auth = format!(
        "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
        passwords.display()
    );
    docker_registry_with(folder, "", &auth)
}

/// Runs a command with this on its standard input.
fn fed(command: &mut Command, text: &str) -> Said {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = streams.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who refuses before it reads has closed it.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Said {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

fn config(kiln: &Kiln) -> std::path::PathBuf {
    kiln.scratch().join(".docker/config.json")
}

#[test]
fn in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = locked(folder.path()) else {
        return;
    };
    let (kiln, server) = (Kiln::new(), registry.address());
    let name = format!("{server}/team/box:1");
    base::busybox(&kiln);
    kiln.ok(["tag", "busybox", &name]);
    let hint = format!("log in with `kiln login {server}`");
    let refused = kiln.fails(["push", &name]);
    assert!(refused.err.contains(&hint), "{}", refused.err);

    let wrong = kiln.fails(["login", server, "-u", "me", "-p", "hunter2"]);
    let said = format!("login attempt to http://{server}/v2/ failed with status: 401 Unauthorized");
    assert!(wrong.err.contains(&said), "{}", wrong.err);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("Use --password-stdin."), "{}", wrong.err);
    assert!(!wrong.err.contains("hunter2") && wrong.out.is_empty());
    assert!(!config(&kiln).exists(), "nothing is stored");

    let login = ["login", server, "--username", "me", "--password-stdin"];
    let right = fed(&mut kiln.command(login), "secret\n");
    assert_eq!((&*right.out, right.code), ("Login Succeeded\n", 0));
    let at = config(&kiln).display().to_string();
    assert!(
        right.err.contains("unencrypted") && right.err.contains(&at),
        "{}",
        right.err
    );
    assert!(!right.err.contains("secret"));
    kiln.ok(["push", "-q", &name]);
    let again = kiln.run(["login", server]);
    assert_eq!(again.out, "Login Succeeded\n", "{}", again.err);

    let out = kiln.ok(["logout", server]);
    assert_eq!(out, format!("Removing login credentials for {server}\n"));
    let out = kiln.ok(["logout", server]);
    assert_eq!(out, format!("Not logged in to {server}\n"));
    kiln.ok(["rmi", &name]);
    let refused = kiln.fails(["pull", &name]);
    assert!(refused.err.contains(&hint), "{}", refused.err);
    let build = kiln.context("from", &[("Dockerfile", &format!("FROM {name}\n"))]);
    let refused = kiln.fails(["build", build.to_str().unwrap()]);
    assert!(refused.err.contains(&hint), "{}", refused.err);
}

#[test]
fn who_does_not_say_enough_is_told() {
    let kiln = Kiln::new();
    for (args, text) in [
        (&["login", "x.y"][..], "cannot perform an interactive login"),
        (
            &["login", "x.y", "--password-stdin"],
            "must provide --username with --password-stdin",
        ),
        (
            &["login", "x.y", "-u", "", "-p", "b"],
            "a user name is required",
        ),
        (
            &["login", "x.y", "-u", "me", "--password-stdin"],
            "a password is required",
        ),
        (
            &["login", "x.y/team", "-u", "a", "-p", "b"],
            "not a registry",
        ),
        (
            &["login", "127.0.0.1:1", "-u", "a", "-p", "b"],
            "connection refused",
        ),
    ] {
        let said = kiln.fails(args);
        assert!(said.err.contains(text), "{args:?}: {}", said.err);
        assert_eq!(said.code, 1);
    }
    assert!(!config(&kiln).exists());
    let out = kiln.ok(["logout"]);
    assert_eq!(out, "Not logged in to https://index.docker.io/v1/\n");
}

#[test]
fn a_password_is_typed_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = locked(folder.path()) else {
        return;
    };
    let kiln = Kiln::new();
    let login = kiln.command(["login", registry.address()]);
    let mut terminal = Pty::start(&login);
    terminal.expect("Username: ");
    terminal.send("me\n");
    terminal.expect("Password: ");
    terminal.send("secret\n");
    terminal.expect("Login Succeeded");
    let (code, shown) = terminal.wait();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    // The name that is known is offered, and the terminal is left as it was.
    fs::write(
        config(&kiln),
        format!(
            r#"{{"auths":{{"{}":{{"auth":"bWU6b2xk"}}}}}}"#,
            registry.address()
        ),
    )
    .unwrap();
    let mut terminal = Pty::start(&login);
    let before = terminal.original().to_owned();
    terminal.expect("Login did not succeed");
    terminal.expect("Username (me): ");
    terminal.send("\n");
    terminal.expect("Password: ");
    terminal.send("\u{3}");
    let (code, shown) = terminal.wait();
    assert_eq!(code, 130, "{shown}");
    assert_eq!(terminal.settings(), before);
}

#[test]
fn however_it_ends_the_terminal_shows_what_is_typed() {
    let kiln = Kiln::new();
    let login = kiln.command(["login", "127.0.0.1:1", "-u", "me"]);
    // As every new terminal is: this one may have changed before it could be asked.
    let before = Pty::start(&Command::new("true")).settings();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("QUIT", 131), ("KILL", -1)] {
        let mut terminal = Pty::start(&login);
        terminal.expect("Password: ");
        assert_ne!(terminal.settings(), before);
        terminal.send("typed");
        let pid = terminal.id().to_string();
        let flag = format!("-{signal}");
        Command::new("kill").args([&flag, &pid]).status().unwrap();
        let (ended, shown) = terminal.wait();
        assert_eq!(ended, code, "{signal}: {shown}");
        assert!(!shown.contains("typed"), "{shown}");
        if signal == "KILL" {
            // Somebody else undoes it.
            let undone = || (terminal.settings() == before).then_some(());
            until("the terminal is as it was", undone);
        }
        assert_eq!(terminal.settings(), before, "{signal}");
    }
    // The end of input is an empty password; what was typed can be corrected.
    for (keys, says) in [
        ("\u{4}", "a password is required"),
        ("\n", "a password is required"),
        ("ab\u{15}\n", "a password is required"),
        ("ab\u{7f}c\n", "connection refused"),
    ] {
        let mut terminal = Pty::start(&login);
        terminal.expect("Password: ");
        terminal.send(keys);
        terminal.expect("\r\n");
        terminal.expect(says);
        let (code, shown) = terminal.wait();
        assert_eq!(code, 1, "{shown}");
        assert_eq!(terminal.settings(), before);
    }
}

#[test]
fn credentials_are_shared_with_skopeo() {
    if !installed(&["skopeo"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = locked(folder.path()) else {
        return;
    };
    let (kiln, server) = (Kiln::new(), registry.address());
    let name = format!("{server}/team/box:1");
    base::busybox(&kiln);
    kiln.ok(["tag", "busybox", &name]);
    let skopeo = |args: &[&str]| {
        let mut command = Command::new("skopeo");
        command.args(args).env_clear().env("HOME", kiln.scratch());
        said(command.env("PATH", std::env::var_os("PATH").unwrap()))
    };
    let there = format!("docker://{name}");
    let inspect = ["inspect", "--tls-verify=false", &there];
    // What kiln writes, skopeo reads: docker's file, and one of its own kind.
    let chosen = folder.path().join("auth.json");
    let chosen = chosen.to_str().unwrap();
    let login = ["login", server, "-u", "me", "-p", "secret"];
    kiln.ok(login);
    kiln.ok(["push", "-q", &name]);
    assert_eq!(skopeo(&inspect).code, 0);
    kiln.ok(["logout", server]);
    assert_ne!(skopeo(&inspect).code, 0);
    let with_file = |args: &[&str]| said(kiln.command(args).env("REGISTRY_AUTH_FILE", chosen));
    assert_eq!(with_file(&login).code, 0);
    let inspect_chosen = [&inspect[..], &["--authfile", chosen]].concat();
    assert_eq!(skopeo(&inspect_chosen).code, 0);
    // What skopeo takes away, kiln misses; what skopeo writes, kiln reads and takes away.
    assert_eq!(skopeo(&["logout", "--authfile", chosen, server]).code, 0);
    assert_ne!(with_file(&["pull", &name]).code, 0);
    let user = ["-u", "me", "-p", "secret", "--tls-verify=false", server];
    let login = [&["login", "--authfile", chosen][..], &user].concat();
    assert_eq!(skopeo(&login).code, 0);
    assert_eq!(with_file(&["pull", &name]).code, 0);
    let out = with_file(&["logout", server]).out;
    assert!(out.starts_with("Removing"), "{out}");
    assert_ne!(skopeo(&inspect_chosen).code, 0);
}
