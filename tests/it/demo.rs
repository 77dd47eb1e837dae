//! The tutorial, as `cargo xtask demo` plays it: the full way where there is a network, and always
//! the way without one.

use std::{env, fs, path::Path, process::Command};

use kiln_tests::{kiln, users::User};

fn demo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = command
        .current_dir(root)
        .args(["xtask", "demo"])
        .args(arguments)
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    out
}

/// Needs no root: a user plays it in a folder of their own, with a kiln that is installed.
fn played_by(user: &User) {
    let checkout = user.home().join("checkout");
    let app = checkout.join("examples/flask");
    fs::create_dir_all(&app).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flask");
    for entry in fs::read_dir(examples).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), app.join(entry.file_name())).unwrap();
    }
    let kiln = user.copy_of(kiln::binary());
    let xtask = user.copy_of(&kiln::binary().with_file_name("xtask"));
    let mut command = user.command(xtask);
    command
        .args(["demo", "--offline", "--kiln"])
        .arg(kiln)
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .env("CARGO_TARGET_DIR", user.home().join("target"));
    let said = kiln::said(&mut command);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(
        said.out.contains("<h1>Hello from kiln again!</h1>"),
        "{}",
        said.out
    );
}

/// Both ways use the same folder, so they play one after the other.
#[test]
fn the_tutorial_plays_with_and_without_a_network_and_root() {
    for arguments in [&["--offline"][..], &[]] {
        let out = demo(arguments);
        assert!(out.contains("<h1>Hello from kiln again!</h1>"), "{out}");
        assert!(out.contains("$ kiln build -t my-flask-app"), "{out}");
        assert!(out.contains("== How long it took"), "{out}");
        let way = out.lines().filter(|l| l.starts_with("With")).count();
        assert_eq!(way, 2, "which way was taken is said first and last: {out}");
        println!(
            "{}",
            out.lines().rev().find(|l| l.starts_with("With")).unwrap()
        );
    }
    played_by(&User::with_ids());
    played_by(&User::without_ids());
}
