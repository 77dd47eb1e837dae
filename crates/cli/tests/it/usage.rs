//! Help, mistakes in flags, and exit codes.

use std::process::{Command, Stdio};

/// What a command wrote on standard output and standard error, and its exit code.
fn kiln(args: &[&str]) -> (String, String, i32) {
    let said = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(args)
        // No store can be made here: whoever opens one fails.
        .env(
            "KILN_ROOT",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/store"),
        )
        .env_remove("BUILDKIT_PROGRESS")
        .env_remove("SOURCE_DATE_EPOCH")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(said.stdout), text(said.stderr));
    assert!(!err.contains("panicked"), "{err}");
    (out, err, said.status.code().unwrap())
}

#[test]
fn help_and_version_are_results() {
    for args in [
        &["--help"][..],
        &["build", "--help"],
        &["image", "ls", "--help"],
    ] {
        let (out, err, code) = kiln(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert!(out.contains("Usage: kiln"), "{out}");
    }
    let (out, _, code) = kiln(&["--version"]);
    assert_eq!(code, 0);
    assert_eq!(out, concat!("kiln ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_command_line_is_125_and_says_what_was_meant() {
    for (args, expected) in [
        (&["biuld", "."][..], "'build'"),
        (&["build", "--targe", "x", "."], "'--target'"),
        (&["build", "--progress=fancy", "."], "possible values"),
        (&["image", "lss"], "'ls'"),
        (&["tag", "one"], "TARGET"),
        (&["rmi"], "IMAGE"),
    ] {
        let (out, err, code) = kiln(args);
        assert_eq!((code, out.as_str()), (125, ""), "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn a_build_that_cannot_begin_says_so_before_a_store_is_made() {
    for (args, code, expected) in [
        (&["build"][..], 1, "did you mean `kiln build .`?"),
        (
            &["build", "-f", "Other"],
            1,
            "did you mean `kiln build -f Other .`?",
        ),
        (
            &["build", "README.md"],
            1,
            "did you mean `kiln build -f README.md .`?",
        ),
        (&["build", "nowhere"], 1, "`nowhere`"),
        (&["build", "src"], 1, "open `src/Dockerfile`"),
        (&["build", "-"], 1, "standard input"),
        (&["build", "--secret", "id=x,mode=1", "."], 125, "--secret"),
        (
            &["build", "-f", "README.md", "-t", "A/b c", "."],
            125,
            "--tag",
        ),
    ] {
        let (out, err, got) = kiln(args);
        assert_eq!((got, out.as_str()), (code, ""), "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let (_, err, code) = kiln(&["images"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("Cargo.toml/store"), "{err}");
}

/// A flag that people bring along from docker is told from one that nobody has.
#[test]
fn flags_of_docker_that_are_not_carried_out() {
    for args in [
        &["run", "--privileged", "x"][..],
        &["run", "--memory=1g", "x"],
        &["create", "--privileged", "x"],
    ] {
        let (_, err, code) = kiln(args);
        assert_eq!(code, 125, "{err}");
        let flag = args[1].split('=').next().unwrap();
        let says = format!("error: kiln does not carry out `{flag}` here yet\n");
        assert_eq!(err, says);
    }
    let (_, err, _) = kiln(&["run", "--nonsense", "x"]);
    assert!(err.contains("unexpected argument '--nonsense'"), "{err}");
    assert!(!err.contains("tip:"), "{err}");
}
