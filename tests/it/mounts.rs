//! `RUN --mount`: what must be nowhere afterwards, and what stays.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use kiln_tests::{
    kiln::Kiln,
    who::{Who, everybody},
};

const IN_A_FILE: &str = "bc07-in-a-file-5f1d";
const IN_A_VARIABLE: &str = "77aa-in-a-variable-90e2";

/// Whether `needle` is in any file below `folder`.
fn is_below(folder: &Path, needle: &str) -> Option<String> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            if let Some(found) = is_below(&path, needle) {
                return Some(found);
            }
        } else if kind.is_file() && has(&fs::read(&path).unwrap_or_default(), needle) {
            return Some(path.display().to_string());
        }
    }
    None
}

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

/// The processes in whose arguments or environment `needle` is, by their arguments.
fn processes(needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let line = read("cmdline");
        if has(&line, needle) || has(&read("environ"), needle) {
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

fn start(kiln: &Kiln, args: &[&str]) -> Child {
    let mut command = kiln.command(args);
    command.env("TOKEN", "");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until a process has these arguments.
fn wait_for(arguments: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let mut all = fs::read_dir("/proc").unwrap().flatten();
        let is =
            |line: Vec<u8>| String::from_utf8_lossy(&line).replace('\0', " ").trim() == arguments;
        if all.any(|e| fs::read(e.path().join("cmdline")).is_ok_and(is)) {
            return;
        }
        assert!(Instant::now() < end, "`{arguments}` never ran");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn secrets_are_nowhere_but_in_the_step_that_asks() {
    everybody(|who, kiln| {
        let time = format!("3.{:03}", who as u32 * 111 + 1);
        let dockerfile = format!(
            "FROM busybox
RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=VAR \\
    cat /run/secrets/file; echo $VAR; rm /home/user/x; sleep {time}
RUN --mount=type=secret,id=var,env=VAR test -n \"$VAR\" && echo $VAR | head -c 10 > /part
"
        );
        let files = [("Dockerfile", dockerfile.as_str()), ("x", "x")];
        let context = kiln.context("app", &files);
        let (file, var) = (kiln.scratch().join("file"), kiln.scratch().join("var"));
        fs::write(&file, IN_A_FILE).unwrap();
        fs::write(&var, format!("{IN_A_VARIABLE}\n")).unwrap();
        let (file_flag, var_flag) = (
            format!("id=file,src={}", file.display()),
            format!("id=var,src={}", var.display()),
        );
        let context = context.to_str().unwrap();
        let args = [
            "build",
            "--progress",
            "plain",
            "-t",
            "app",
            "--secret",
            &file_flag,
            "--secret",
            &var_flag,
            context,
        ];
        let build = start(kiln, &args);
        wait_for(&format!("sleep {time}"));
        assert_eq!(processes(IN_A_FILE), [""; 0]);
        let seen = processes(IN_A_VARIABLE);
        let of_step = |line: &String| line.contains(&format!("sleep {time}"));
        assert!(!seen.is_empty() && seen.iter().all(of_step), "{seen:?}");
        let said = build.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{err}");
        assert!(err.contains("****"), "{err}");

        let tar = kiln.scratch().join("saved.tar");
        kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
        for secret in [IN_A_FILE, IN_A_VARIABLE] {
            assert!(!has(&said.stdout, secret) && !has(&said.stderr, secret));
            assert_eq!(is_below(&kiln.root(), secret), None);
            assert!(!has(&fs::read(&tar).unwrap(), secret));
            assert!(!kiln.ok(["history", "--no-trunc", "app"]).contains(secret));
        }
    });
}

#[test]
fn a_layer_with_a_secret_fails_the_build() {
    everybody(|_, kiln| {
        fs::write(kiln.scratch().join("s"), format!("{IN_A_FILE}\n")).unwrap();
        for (line, named) in [
            (
                "RUN --mount=type=secret,id=s mkdir /d && cp /run/secrets/s /d/leak",
                "`/d/leak`",
            ),
            (
                "RUN --mount=type=secret,id=s touch /$(cat /run/secrets/s)",
                IN_A_FILE,
            ),
            ("COPY s /etc/token", "`/etc/token`"),
        ] {
            let dockerfile = format!("FROM busybox\n{line}\n");
            let context = kiln.context("app", &[("Dockerfile", &dockerfile), ("s", IN_A_FILE)]);
            let args = ["build", "--secret", "id=s,src=s", context.to_str().unwrap()];
            let said = kiln.fails(args);
            assert!(said.err.contains("secret `s`"), "{}", said.err);
            assert!(said.err.contains(named), "{}", said.err);
            assert!(said.err.contains("--> Dockerfile:2"), "{}", said.err);
            assert_eq!(is_below(&kiln.root(), IN_A_FILE), None, "{line}");
        }
        let args = [
            "build",
            "--allow-secret-in-layer",
            "--secret",
            "id=s,src=s",
            "app",
        ];
        kiln.ok(args);
    });
}

#[test]
fn cache_mounts_are_listed_and_not_removed_while_somebody_has_them() {
    let kiln = Who::Root.kiln();
    let dockerfile =
        "FROM busybox\nRUN --mount=type=cache,target=/kept echo a > /kept/a; sleep 2.468\n";
    let context = kiln.context("app", &[("Dockerfile", dockerfile)]);
    let build = start(&kiln, &["build", context.to_str().unwrap()]);
    wait_for("sleep 2.468");
    let filter = "type=exec.cachemount";
    let listed = || kiln.ok(["builder", "du", "--filter", filter]);
    assert!(listed().contains("cached mount /kept"), "{}", listed());
    assert!(listed().contains("false"), "{}", listed());
    kiln.ok(["builder", "prune", "-af"]);
    assert!(listed().contains("cached mount /kept"), "{}", listed());
    let said = build.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(listed().contains("true"), "{}", listed());
    kiln.ok(["builder", "prune", "-f", "--filter", "until=24h"]);
    assert!(listed().contains("cached mount /kept"), "{}", listed());
    let said = kiln.ok(["builder", "prune", "-f", "--filter", filter]);
    assert!(said.contains("Deleted build cache objects"), "{said}");
    assert!(!listed().contains("/kept"), "{}", listed());
}

#[test]
fn flags_that_say_nothing_that_can_be_are_refused() {
    let kiln = Who::Root.kiln();
    let context = kiln.context("app", &[("Dockerfile", "FROM busybox\n")]);
    let context = context.to_str().unwrap();
    for (flag, value, words) in [
        ("--secret", "src=x", "has no id"),
        ("--secret", "x", "has no value"),
        ("--secret", "id=x,src=nowhere", "read `nowhere`"),
        ("--secret", "id=x,type=tape", "no type `tape`"),
        ("--ssh", "default", "SSH_AUTH_SOCK"),
        ("--ssh", "k=app/Dockerfile", "`app/Dockerfile` is no key"),
    ] {
        let said = kiln.fails(["build", flag, value, context]);
        assert!(said.err.contains(words), "{flag} {value}: {}", said.err);
    }
}
