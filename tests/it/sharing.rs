//! Two kilns at once that mount one cache: they have it together, one each, or one after the other; and
//! whoever waits says so and can be told to stop.

use std::process::{Child, Output, Stdio};

use kiln_tests::{kiln::Kiln, until::so, who::everybody};
use rustix::process::{Pid, Signal, kill_process};

/// Starts a build of one RUN. Its first word names it.
fn start(kiln: &Kiln, name: &str, run: &str) -> Child {
    let text = format!("FROM busybox\nRUN {run}\n");
    let context = kiln.context(name, &[("Dockerfile", &text)]);
    let args = ["build", "--no-cache", "--progress", "plain"];
    let mut command = kiln.command(args.iter().copied().chain([context.to_str().unwrap()]));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let err = text(&output);
    assert!(output.status.success(), "{err}");
    err
}

/// Says in the shared folder `/r` that it is there, and waits for the other.
const MEET: &str = "until test -e /r/a && test -e /r/b; do sleep 0.05; done";

#[test]
fn a_shared_cache_is_had_by_both() {
    everybody(|_, kiln| {
        let run = |own: &str| {
            format!("--mount=type=cache,target=/r timeout 60 sh -c 'touch /r/{own}; {MEET}'")
        };
        let (one, two) = (start(kiln, "one", &run("a")), start(kiln, "two", &run("b")));
        for err in [done(one), done(two)] {
            assert!(!err.contains("waiting for"), "{err}");
        }
    });
}

#[test]
fn a_private_cache_is_another_one_for_each() {
    everybody(|_, kiln| {
        let run = |own: &str, other: &str| {
            format!(
                "--mount=type=cache,target=/r --mount=type=cache,target=/c,sharing=private \
                 touch /c/{own} && timeout 60 sh -c 'touch /r/{own}; {MEET}' && test ! -e /c/{other}"
            )
        };
        let one = start(kiln, "one", &run("a", "b"));
        let two = start(kiln, "two", &run("b", "a"));
        for err in [done(one), done(two)] {
            assert!(!err.contains("waiting for"), "{err}");
        }
    });
}

/// A step that has the cache `/c` to itself until there is a `/r/go`.
fn holding(kiln: &Kiln) -> Child {
    let run = "--mount=type=cache,target=/r --mount=type=cache,target=/c,sharing=locked \
               touch /c/busy /r/here; until test -e /r/go; do sleep 0.05; done; rm /c/busy";
    start(kiln, "one", run)
}

/// The files in the cache `id`.
fn within(kiln: &Kiln, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for mount in std::fs::read_dir(kiln.root().join("mounts"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let about = std::fs::read_to_string(mount.path().join("about")).unwrap_or_default();
        if about.contains(&format!("\"{id}\"")) {
            let names = std::fs::read_dir(mount.path().join("data"));
            let names = names.into_iter().flatten().flatten();
            found.extend(names.map(|e| e.file_name().to_string_lossy().into_owned()));
        }
    }
    found
}

fn wait_for_line(child: &mut Child, words: &str) -> String {
    use std::io::Read as _;
    let mut err = child.stderr.take().unwrap();
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    while !said.contains(words) {
        let n = err.read(&mut buffer).unwrap();
        assert!(n > 0, "`{words}` was never said: {said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    child.stderr = Some(err);
    said
}

#[test]
fn a_locked_cache_is_waited_for() {
    everybody(|_, kiln| {
        let one = holding(kiln);
        so("the first has it", || {
            within(kiln, "/r").contains(&"here".into())
        });
        let locked = "--mount=type=cache,target=/c,sharing=locked test ! -e /c/busy";
        let mut two = start(kiln, "two", locked);
        wait_for_line(
            &mut two,
            "waiting for the cache mount `/c`: another step has it",
        );
        // Who shares waits for it as well.
        let mut three = start(
            kiln,
            "three",
            "--mount=type=cache,target=/c test ! -e /c/busy",
        );
        wait_for_line(&mut three, "waiting for the cache mount `/c`");
        // Control-C ends it, and nothing else.
        let mut stopped = start(kiln, "four", locked);
        wait_for_line(&mut stopped, "waiting for the cache mount `/c`");
        let pid = Pid::from_child(&stopped);
        kill_process(pid, Signal::INT).unwrap();
        let ended = stopped.wait().unwrap();
        assert_eq!(ended.code(), Some(130), "{ended:?}");
        assert!(within(kiln, "/c").contains(&"busy".into()));
        let go = "--mount=type=cache,target=/r touch /r/go";
        done(start(kiln, "go", go));
        done(one);
        done(two);
        done(three);
        // Whoever was killed while it had it holds nobody up.
        let holds = "--mount=type=cache,target=/k,sharing=locked touch /k/mine; sleep 100";
        let mut killed = start(kiln, "five", holds);
        so("it has it", || within(kiln, "/k").contains(&"mine".into()));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let locked = "--mount=type=cache,target=/k,sharing=locked test -e /k/mine";
        done(start(kiln, "six", locked));
    });
}
