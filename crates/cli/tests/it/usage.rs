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
        &["help"],
        &["help", "image", "ls"],
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
        (&["info"], "no command `info`\n  hint: `kiln doctor`"),
        (&["version"], "`kiln --version`"),
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

/// Each flag of docker's `build`, as `docker build --help` lists them and the engine's first builder had
/// them: with a value that it may have, and whether kiln carries it out or says why not.
#[test]
fn every_flag_of_dockers_build() {
    let carried_out = [
        "--add-host=a:1.2.3.4",
        "--allow=network.host",
        "--annotation=a=b",
        "--build-arg=a=b",
        "--build-context=a=src",
        "--builder=default",
        "--call=check",
        "--cgroup-parent=a",
        "--check",
        "--compress",
        "--cpu-period=100000",
        "--cpu-quota=50000",
        "--cpu-shares=512",
        "--cpuset-cpus=0",
        "--cpuset-mems=0",
        "--debug",
        "-D",
        "--file=README.md",
        "--force-rm",
        "--iidfile=a",
        "--isolation=default",
        "--label=a=b",
        "--load",
        "--memory=64m",
        "--memory-swap=64m",
        "--metadata-file=a",
        "--network=none",
        "--no-cache",
        "--no-cache-filter=a",
        "--output=out",
        "--platform=linux/amd64",
        "--progress=plain",
        "--provenance=false",
        "--pull",
        "--push",
        "--quiet",
        "--rm",
        "--sbom=false",
        "--secret=id=a,src=README.md",
        "--shm-size=64m",
        "--squash",
        "--tag=a:b",
        "--target=a",
        "--ulimit=nofile=10",
    ];
    let refused = [
        "--attest=type=sbom",
        "--cache-from=a",
        "--cache-to=a",
        "--isolation=hyperv",
        "--policy=filename=a",
        "--provenance=mode=max",
        "--sbom=true",
        "--security-opt=a=b",
        // A key; an agent is taken.
        "--ssh=default=README.md",
    ];
    let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
    for flag in carried_out {
        let (_, err, _) = kiln(&["build", flag, "nowhere"]);
        let taken = !err.contains(&format!("error: {}", name(flag)));
        assert!(taken && !err.contains("unexpected"), "{flag}: {err}");
    }
    for flag in refused {
        let (_, err, code) = kiln(&["build", flag, "nowhere"]);
        assert_ne!(code, 0, "{flag}: {err}");
        assert!(err.contains(&format!("error: {}", name(flag))), "{err}");
        assert!(err.contains("hint: "), "{flag}: {err}");
    }
}

#[test]
fn shells_complete() {
    for (shell, expected) in [
        ("bash", "--build-arg"),
        ("zsh", "#compdef kiln"),
        ("fish", "complete -c kiln"),
        ("powershell", "--build-arg"),
    ] {
        let (out, err, code) = kiln(&["completion", shell]);
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        assert!(out.contains(expected), "{shell}: {out}");
    }
    let (_, err, code) = kiln(&["completion", "csh"]);
    assert_eq!(code, 125);
    assert!(err.contains("possible values"), "{err}");
}
