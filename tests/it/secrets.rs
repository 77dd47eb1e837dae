//! Where the values of secrets and the passwords of addresses must not be, whatever becomes of the build.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use kiln_tests::{
    kiln::Kiln,
    web::Web,
    who::{Who, everybody},
};

const SECRET: &str = "9c41-never-to-be-seen-aa17";

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

/// The file or name below `folder` that has `needle` in it.
fn is_below(folder: &Path, needle: &str) -> Option<String> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let kind = entry.file_type().ok()?;
        let inner = match kind.is_dir() {
            true => is_below(&path, needle),
            false => None,
        };
        let in_file = kind.is_file() && has(&fs::read(&path).unwrap_or_default(), needle);
        if inner.is_some() || in_file || has(path.as_os_str().as_encoded_bytes(), needle) {
            return inner.or(Some(path.display().to_string()));
        }
    }
    None
}

fn is_nowhere(kiln: &Kiln, needle: &str, what: &str) {
    assert_eq!(is_below(&kiln.root(), needle), None, "{what}");
}

/// Builds, and looks at all that is said.
fn build(kiln: &Kiln, args: &[&str], needle: &str) -> (bool, String) {
    let mut command = kiln.command(["build"].iter().chain(args));
    let said = command.env("TOKEN", SECRET).output().unwrap();
    for bytes in [&said.stdout, &said.stderr] {
        let text = String::from_utf8_lossy(bytes);
        assert!(!has(bytes, needle), "{args:?}: {text}");
    }
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    (said.status.success(), err)
}

#[test]
fn a_step_that_fails_leaves_no_secret() {
    everybody(|_, kiln| {
        fs::write(kiln.scratch().join("s"), SECRET).unwrap();
        let dockerfile = "FROM busybox
RUN --mount=type=secret,id=file --mount=type=secret,id=TOKEN,env=VAR \\
    cp /run/secrets/file /copy; echo \"$VAR\"; cat /run/secrets/file >&2; false
";
        let context = kiln.context("app", &[("Dockerfile", dockerfile)]);
        let context = context.to_str().unwrap();
        for progress in ["plain", "tty", "auto", "quiet"] {
            let args = ["--progress", progress, "--metadata-file", "told.json"];
            let given = ["--secret", "id=file,src=s", "--secret", "id=TOKEN", context];
            let (well, err) = build(kiln, &[&args[..], &given].concat(), SECRET);
            assert!(!well, "{progress}");
            assert!(err.contains("Dockerfile:2"), "{progress}: {err}");
            is_nowhere(kiln, SECRET, progress);
            let told = fs::read(kiln.scratch().join("told.json")).unwrap_or_default();
            assert!(!has(&told, SECRET));
        }
    });
}

#[test]
fn outputs_and_what_is_told_have_no_secret() {
    let kiln = Who::WithIds.kiln();
    fs::write(kiln.scratch().join("s"), SECRET).unwrap();
    let dockerfile = "FROM busybox
RUN --mount=type=secret,id=file test -s /run/secrets/file && echo fine > /fine
";
    let context = kiln.context("app", &[("Dockerfile", dockerfile)]);
    let context = context.to_str().unwrap();
    let out = kiln.scratch().join("out");
    fs::create_dir(&out).unwrap();
    kiln.ok(["images"]);
    let own = |name: &str| format!("{}/{name}", kiln.root().parent().unwrap().display());
    for output in ["type=oci,dest=oci.tar", "type=tar,dest=root.tar"] {
        let args = ["--secret", "id=file,src=s", "-o", output, context];
        let (well, err) = build(&kiln, &args, SECRET);
        assert!(well, "{err}");
        let name = output.rsplit_once('=').unwrap().1;
        let written = fs::read(own(name)).unwrap();
        assert!(written.len() > 1000 && !has(&written, SECRET), "{output}");
    }
    is_nowhere(&kiln, SECRET, "outputs");
}

#[test]
fn what_was_built_before_a_secret_was_given_is_searched_for_it() {
    everybody(|_, kiln| {
        fs::write(kiln.scratch().join("s"), SECRET).unwrap();
        let text = "FROM busybox\nRUN echo one > /one\nCOPY env /env\nRUN echo two > /two\n";
        let env = format!("TOKEN={SECRET}\n");
        let leaks = kiln.context("leaks", &[("Dockerfile", text), ("env", &env)]);
        let clean = kiln.context("clean", &[("Dockerfile", text), ("env", "TOKEN=?")]);
        for context in [&leaks, &clean] {
            kiln.ok(["build", "-q", context.to_str().unwrap()]);
        }
        let given = ["--progress", "plain", "--secret", "id=file,src=s"];
        let of = |more: &[&str], context: &Path| {
            let args = [&given[..], more, &[context.to_str().unwrap()]].concat();
            build(kiln, &args, SECRET)
        };
        let (well, err) = of(&[], &leaks);
        assert!(!well, "{err}");
        assert!(err.contains("secret `file`, in `/env`"), "{err}");
        assert!(err.contains("--> Dockerfile:3"), "{err}");
        assert!(err.contains("RUN echo one > /one\n#2 CACHED"), "{err}");
        let (well, err) = of(&["--allow-secret-in-layer"], &leaks);
        assert!(well, "{err}");
        assert!(
            !of(&[], &leaks).0,
            "what was allowed once is not allowed to all"
        );
        // What has none is not built again, nor read.
        for _ in 0..2 {
            let (well, err) = of(&[], &clean);
            assert!(well && err.matches("CACHED").count() >= 3, "{err}");
        }
        let searched = |name: &str| {
            let layers = fs::read_dir(kiln.root().join("layers")).unwrap().flatten();
            let facts = layers.filter_map(|layer| fs::read_to_string(layer.path()).ok());
            facts
                .filter(|facts| facts.contains(&format!("\"searched\":[\"{name}\"]")))
                .count()
        };
        assert_eq!(searched("file"), 3);
    });
}

#[test]
fn killed_in_a_step_with_mounts_nothing_is_left() {
    everybody(|who, kiln| {
        fs::write(kiln.scratch().join("s"), SECRET).unwrap();
        let time = format!("7.{:03}", who as u32 * 111 + 3);
        let dockerfile = format!(
            "FROM busybox
RUN --mount=type=secret,id=s,target=/new/place/s --mount=type=cache,target=/kept \\
    echo $(cat /new/place/s) | head -c 3 > /kept/a; touch /made; sleep {time}
RUN test ! -e /new && test ! -e /kept && touch /after
"
        );
        let context = kiln.context("app", &[("Dockerfile", &dockerfile)]);
        let context = context.to_str().unwrap();
        let args = ["build", "--secret", "id=s,src=s", context];
        let mut command = kiln.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = command.spawn().unwrap();
        wait_for(&format!("sleep {time}"), true);
        running.kill().unwrap();
        running.wait().unwrap();
        wait_for(&format!("sleep {time}"), false);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = kiln.root().display().to_string();
        assert!(!mounts.contains(&root), "{mounts}");
        is_nowhere(kiln, SECRET, "killed");
        // The lease of the one that was killed holds nothing back.
        kiln.ok(["builder", "prune", "-af"]);
        let left = kiln.ok(["builder", "du", "--filter", "type=exec.cachemount"]);
        assert!(!left.contains("/kept"), "{left}");
        let (well, err) = build(kiln, &args[1..], SECRET);
        assert!(well, "{err}");
        is_nowhere(kiln, SECRET, "built");
    });
}

/// Waits until a process has these arguments, or none.
fn wait_for(arguments: &str, there: bool) {
    let end = Instant::now() + Duration::from_secs(120);
    let is = |line: Vec<u8>| String::from_utf8_lossy(&line).replace('\0', " ").trim() == arguments;
    let found = || {
        let mut all = fs::read_dir("/proc").unwrap().flatten();
        all.any(|e| fs::read(e.path().join("cmdline")).is_ok_and(is))
    };
    while found() != there {
        assert!(Instant::now() < end, "`{arguments}`: not {there}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn passwords_of_addresses_are_masked() {
    let kiln = Who::Root.kiln();
    let folder = kiln.scratch().join("web");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "served\n").unwrap();
    let web = Web::folder(&folder).unwrap();
    let at = |path: &str| format!("http://user:{SECRET}@{}/{path}", web.address());
    let shown = "http://user:x".to_owned();
    for (dockerfile, well, told) in [
        (format!("ADD {} /x\n", at("file")), true, Some(&shown)),
        (format!("ADD {} /x\n", at("gone")), false, Some(&shown)),
        (format!("ADD {} /x\n", at("gone.git")), false, Some(&shown)),
        (format!("FROM {}\n", at("file")), false, None),
        ("RUN env | grep -c http_proxy\n".to_owned(), true, None),
        (
            "RUN env | grep -c http_proxy; false\n".to_owned(),
            false,
            None,
        ),
    ] {
        let text = format!("FROM busybox\n{dockerfile}");
        let context = kiln.context("app", &[("Dockerfile", &text)]);
        let proxy = format!("http_proxy=http://me:{SECRET}@127.0.0.1:1");
        let args = ["--progress", "plain", "-t", "app", "--build-arg", &proxy];
        let more = ["--metadata-file", "told.json", context.to_str().unwrap()];
        let (done, err) = build(&kiln, &[&args[..], &more].concat(), SECRET);
        assert_eq!(done, well, "{dockerfile}{err}");
        assert!(told.is_none_or(|told| err.contains(told)), "{err}");
        is_nowhere(&kiln, SECRET, &dockerfile);
        let told = fs::read(kiln.scratch().join("told.json")).unwrap_or_default();
        assert!(!has(&told, SECRET));
    }
    for path in ["file", "gone", "gone.git", "gone.git#a:b"] {
        let (well, err) = build(&kiln, &[&at(path)], SECRET);
        assert!(!well, "{err}");
        let named = format!("a={}", at(path));
        let (_, err) = build(&kiln, &["--build-context", &named, "app"], SECRET);
        assert!(!err.is_empty());
    }
    is_nowhere(&kiln, SECRET, "contexts");
}
