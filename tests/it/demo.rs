//! The tutorial, as `cargo xtask demo` plays it: the full way where there is a network, and always
//! the way without one.

use std::{env, path::Path, process::Command};

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

/// Both ways use the same folder, so they play one after the other.
#[test]
fn the_tutorial_plays_with_and_without_a_network() {
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
}
