//! Several kilns on one store at once.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use kiln_tests::{base::busybox, kiln::Kiln};

const MANY: usize = 4;

fn start(kiln: &Kiln, args: &[&str]) -> Child {
    let mut command = kiln.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("SOURCE_DATE_EPOCH", "1600000000");
    command.spawn().unwrap()
}

/// What it wrote to standard output; it must have succeeded.
fn end(child: Child) -> String {
    let done = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{err}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn context(kiln: &Kiln, n: usize) -> PathBuf {
    let text = format!(
        "FROM busybox\nCOPY . /src\nRUN sleep 0.1 && echo shared > /shared\nRUN echo {n} > /own \
         && sleep 0.1\nCOPY own /own2\nRUN cat /own /own2 > /both\n"
    );
    let files = [
        ("Dockerfile", text.as_str()),
        (".dockerignore", "Dockerfile\n"),
        ("own", &format!("own {n}\n")),
    ];
    kiln.context(&format!("context{n}"), &files)
}

fn whole(kiln: &Kiln) {
    kiln.ok(["system", "check"]);
    for folder in ["tmp", "leases", "unsynced"] {
        let left = std::fs::read_dir(kiln.root().join(folder)).unwrap();
        assert_eq!(left.count(), 0, "in `{folder}`");
    }
}

#[test]
fn builds_of_one_dockerfile_at_once_give_one_image() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = context(&kiln, 0);
    let args = ["build", "-q", "-t", "same", context.to_str().unwrap()];
    let builds: Vec<Child> = (0..MANY).map(|_| start(&kiln, &args)).collect();
    let ids: Vec<String> = builds.into_iter().map(end).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    whole(&kiln);
    assert_eq!(
        kiln.ok(["run", "--rm", "same", "cat", "/both"]),
        "0\nown 0\n"
    );
}

#[test]
fn builds_of_different_dockerfiles_at_once_do_not_mix() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let builds: Vec<Child> = (0..MANY)
        .map(|n| {
            let context = context(&kiln, n);
            let tag = format!("app{n}");
            start(
                &kiln,
                &["build", "-q", "-t", &tag, context.to_str().unwrap()],
            )
        })
        .collect();
    for build in builds {
        end(build);
    }
    whole(&kiln);
    for n in 0..MANY {
        let both = kiln.ok(["run", "--rm", &format!("app{n}"), "cat", "/both"]);
        assert_eq!(both, format!("{n}\nown {n}\n"));
    }
}

/// All builds at once, each under its own name; their image ids.
fn all(kiln: &Kiln, between: impl FnOnce()) -> Vec<String> {
    let one = |n| {
        let context = context(kiln, n);
        let tag = format!("app{n}");
        start(
            kiln,
            &["build", "-q", "-t", &tag, context.to_str().unwrap()],
        )
    };
    let builds: Vec<Child> = (0..MANY).map(one).collect();
    between();
    builds.into_iter().map(end).collect()
}

#[test]
fn a_prune_in_between_takes_nothing_that_a_build_stands_on() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let base = kiln.scratch().join("base.tar");
    kiln.ok(["save", "-o", base.to_str().unwrap(), "busybox"]);
    let ids = all(&kiln, || ());
    for round in 0..5 {
        end(start(&kiln, &["system", "prune", "-af"]));
        whole(&kiln);
        assert_eq!(kiln.ok(["images", "-q"]), "");
        kiln.ok(["load", "-i", base.to_str().unwrap()]);
        let under_way = || {
            // A build that has not found its base yet would not find it any more.
            let (mut seen, started) = (BTreeSet::new(), Instant::now());
            while seen.len() < MANY {
                seen.extend(working(&kiln));
                assert!(started.elapsed().as_secs() < 60, "{seen:?}");
            }
            std::thread::sleep(Duration::from_millis(60 * round));
            end(start(&kiln, &["system", "prune", "-af"]));
        };
        assert_eq!(all(&kiln, under_way), ids);
        kiln.ok(["system", "check"]);
    }
}

/// Who prepares or runs a RUN.
fn working(kiln: &Kiln) -> Vec<PathBuf> {
    let names = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect::<Vec<_>>()
    };
    let mut owners = names(kiln.root().join("tmp"));
    owners.retain(|owner| {
        names(owner.clone())
            .iter()
            .any(|p| p.join("layer").is_dir())
    });
    owners
}
