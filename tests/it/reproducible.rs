//! The same inputs give the same bytes: under an epoch on any store, at any number of threads, from
//! any copy of the context.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, said, write},
};

const EPOCH: u64 = 1_600_000_000;

const DOCKERFILE: &str = "FROM busybox AS tools
COPY tree/ /opt/tree/
RUN mkdir -p /opt/made/deep && echo tool > /opt/made/deep/tool && ln /opt/made/deep/tool /opt/made/hard
RUN rm -r /opt/tree/sub0 && ln -s tree /opt/link
FROM busybox AS docs
WORKDIR /docs
COPY tree/sub1 .
RUN for i in 1 2 3 4 5 6 7 8; do echo $i > page$i; done
FROM busybox
WORKDIR /app
COPY . .
RUN stat -c '%Y %n' run.sh tree/sub1/file4 tree > /context-times
COPY --from=tools /opt /opt
COPY --from=docs --chown=1000:50 /docs /srv/docs
RUN chmod 700 /etc/passwd && rm /etc/group && mkdir /var/lib && echo a > /var/lib/a && mkfifo /var/lib/pipe
RUN stat -c '%Y %n' /var/lib /var/lib/a /var /etc /etc/passwd /app /opt/made/deep/tool /srv/docs/page1 > /times
RUN rm /var/lib/a && touch /var/lib/b
CMD [\"cat\", \"/times\"]
";

/// How the files of a context are made: their contents are the same.
#[derive(Clone, Copy)]
struct Checkout {
    backwards: bool,
    /// Seconds from the epoch of the first file, and from one to the next.
    times: (i64, i64),
    umask: u32,
}

const PLAIN: Checkout = Checkout {
    backwards: false,
    times: (-100_000, 1),
    umask: 0o022,
};

fn context(at: &Path, how: Checkout) {
    let mut files: Vec<(String, String)> = vec![
        ("Dockerfile".to_owned(), DOCKERFILE.to_owned()),
        ("run.sh".to_owned(), "#!/bin/sh\necho hello\n".to_owned()),
    ];
    for n in 0..60 {
        files.push((format!("tree/sub{}/file{n}", n % 3), "x".repeat(n * 97)));
    }
    if how.backwards {
        files.reverse();
    }
    let mut time = EPOCH as i64 + how.times.0;
    for (path, text) in &files {
        let path = at.join(path);
        write(&path, text);
        let mode = if path.ends_with("run.sh") {
            0o777
        } else {
            0o666
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & !how.umask)).unwrap();
        set_time(&path, time);
        time += how.times.1;
    }
    for folder in ["tree/sub0", "tree/sub1", "tree/sub2", "tree", ""] {
        let folder = at.join(folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777 & !how.umask)).unwrap();
        set_time(&folder, time);
        time += how.times.1;
    }
}

fn set_time(path: &Path, seconds: i64) {
    let time = UNIX_EPOCH + Duration::new(seconds as u64, 123_456_789);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// A base to be loaded into every store: an import says when it was made.
fn base(kiln: &Kiln) -> PathBuf {
    busybox(kiln);
    let tar = kiln.scratch().join("base.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "busybox"]);
    tar
}

fn stocked(parent: &Path, base: &Path) -> Kiln {
    let kiln = Kiln::within(parent);
    kiln.ok(["load", "-i", base.to_str().unwrap()]);
    kiln
}

fn build_command(kiln: &Kiln, context: &Path, more: &[&str]) -> Command {
    let mut args = vec!["build", "-q", "-t", "app"];
    args.extend(more);
    args.push(context.to_str().unwrap());
    kiln.command(args)
}

fn build(kiln: &Kiln, context: &Path, more: &[&str]) -> String {
    let mut command = build_command(kiln, context, more);
    let done = said(command.env("SOURCE_DATE_EPOCH", EPOCH.to_string()));
    assert_eq!(done.code, 0, "{}", done.err);
    done.out.trim().to_owned()
}

/// Which file systems there are beside that of temporary files.
fn elsewhere() -> Vec<PathBuf> {
    ["/dev/shm", "/var/tmp"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|p| p.is_dir())
        .collect()
}

#[test]
fn under_an_epoch_every_store_and_every_copy_of_the_context_gives_one_image() {
    let first = Kiln::new();
    let base = base(&first);
    let plain = first.scratch().join("plain");
    context(&plain, PLAIN);
    let id = build(&first, &plain, &[]);
    assert!(id.starts_with("sha256:"), "{id}");
    let archive = first.scratch().join("app.tar");
    first.ok(["save", "-o", archive.to_str().unwrap(), "app"]);

    // Later than the epoch, earlier, and both; made in another order.
    let copies = [
        Checkout {
            backwards: true,
            times: (50_000, 3),
            ..PLAIN
        },
        Checkout {
            times: (-30, 1),
            ..PLAIN
        },
    ];
    for (n, (how, parent)) in copies.into_iter().zip(elsewhere()).enumerate() {
        let other = stocked(&parent, &base);
        let copy = other.scratch().join(format!("copy{n}"));
        context(&copy, how);
        assert_eq!(build(&other, &copy, &[]), id, "in {}", parent.display());
        let again = other.scratch().join("app.tar");
        other.ok(["save", "-o", again.to_str().unwrap(), "app"]);
        let same = fs::read(&archive).unwrap() == fs::read(&again).unwrap();
        assert!(same, "the archives differ");
        // The same once more, with everything carried out anew.
        assert_eq!(build(&other, &copy, &["--no-cache"]), id);
    }
}

#[test]
fn one_thread_or_many_give_one_image() {
    let many = Kiln::new();
    let base = base(&many);
    let plain = many.scratch().join("plain");
    context(&plain, PLAIN);
    let id = build(&many, &plain, &[]);
    let one = stocked(&std::env::temp_dir(), &base);
    let inner = build_command(&one, &plain, &[]);
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(inner.get_program());
    command.args(inner.get_args()).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    let done = said(command.env("SOURCE_DATE_EPOCH", EPOCH.to_string()));
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out.trim(), id);
}

#[test]
fn a_store_that_is_warm_from_a_build_without_an_epoch_gives_the_same_image() {
    let cold = Kiln::new();
    let base = base(&cold);
    let plain = cold.scratch().join("plain");
    context(&plain, PLAIN);
    let id = build(&cold, &plain, &[]);
    let warm = stocked(&std::env::temp_dir(), &base);
    let done = said(&mut build_command(&warm, &plain, &[]));
    assert_eq!(done.code, 0, "{}", done.err);
    assert_ne!(done.out.trim(), id);
    assert_eq!(build(&warm, &plain, &[]), id);
    // Another epoch is another image, and neither is taken for the other.
    let mut command = build_command(&warm, &plain, &[]);
    let other = said(command.env("SOURCE_DATE_EPOCH", "1500000000"));
    assert_ne!(other.out.trim(), id);
    assert_eq!(build(&warm, &plain, &[]), id);
}

#[test]
fn a_step_sees_the_times_that_the_layers_below_it_have() {
    let kiln = Kiln::new();
    let _ = base(&kiln);
    let copy = kiln.scratch().join("copy");
    let how = Checkout {
        times: (-30, 1),
        ..PLAIN
    };
    context(&copy, how);
    build(&kiln, &copy, &[]);
    let times = kiln.ok(["run", "--rm", "app", "cat", "/context-times"]);
    assert_eq!(times.lines().count(), 3, "{times}");
    for line in times.lines() {
        assert!(line.starts_with(&format!("{EPOCH} ")), "{times}");
    }
    let times = kiln.ok(["run", "--rm", "app"]);
    assert_eq!(times.lines().count(), 8, "{times}");
    for line in times.lines() {
        let seconds = line.split(' ').next().unwrap().parse::<u64>().unwrap();
        assert!(seconds <= EPOCH, "{times}");
    }
    let now = kiln.ok(["run", "--rm", "app", "stat", "-c", "%Y", "/var/lib/b"]);
    assert_eq!(now.trim(), EPOCH.to_string());
}

#[test]
fn checkouts_with_different_umasks_give_one_image_where_that_is_asked_for() {
    let first = Kiln::new();
    let base = base(&first);
    let mut ids = Vec::new();
    for umask in [0o022, 0o002, 0o077, 0o027] {
        let kiln = stocked(&std::env::temp_dir(), &base);
        let copy = kiln.scratch().join("copy");
        context(&copy, Checkout { umask, ..PLAIN });
        ids.push(build(&kiln, &copy, &["--reproducible"]));
        if umask == 0o077 {
            // Without being asked, kiln keeps the modes that it finds.
            assert_ne!(build(&kiln, &copy, &[]), ids[0]);
        }
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // It needs no epoch.
    let mut without = Vec::new();
    for umask in [0o022, 0o077] {
        let kiln = stocked(&std::env::temp_dir(), &base);
        let copy = kiln.scratch().join("copy");
        context(&copy, Checkout { umask, ..PLAIN });
        let done = said(&mut build_command(&kiln, &copy, &["--reproducible"]));
        assert_eq!(done.code, 0, "{}", done.err);
        without.push(done.out);
    }
    assert_eq!(without[0], without[1]);
}

#[test]
fn without_an_epoch_the_content_is_the_same() {
    let kiln = Kiln::new();
    let _ = base(&kiln);
    let plain = kiln.scratch().join("plain");
    context(&plain, PLAIN);
    let text = DOCKERFILE.replace("RUN stat", "RUN echo");
    fs::write(plain.join("Dockerfile"), text).unwrap();
    let list = "cd / && for f in app docs etc home opt srv var times context-times; do find $f; done \
                2>/dev/null | grep -v etc/host | sort | while read f; do stat -c '%n %a %u %g %F' $f; \
                [ -f $f ] && sha256sum $f; done";
    let run = |more: &[&str]| {
        let done = said(&mut build_command(&kiln, &plain, more));
        assert_eq!(done.code, 0, "{}", done.err);
        kiln.run(["run", "--rm", "app", "sh", "-c", list]).out
    };
    let first = run(&[]);
    assert!(first.lines().count() > 200, "{first}");
    // In another second, and yet the same.
    std::thread::sleep(Duration::from_millis(1100));
    let again = run(&["--no-cache"]);
    let differ = first.lines().zip(again.lines()).find(|(a, b)| a != b);
    assert_eq!(differ, None);
    assert_eq!(again.len(), first.len());
    // Times of the context are kept.
    let seen = kiln.ok([
        "run",
        "--rm",
        "app",
        "stat",
        "-c",
        "%Y",
        "/app/tree/sub0/file0",
    ]);
    let kept = fs::metadata(plain.join("tree/sub0/file0")).unwrap();
    let kept = kept.modified().unwrap().duration_since(UNIX_EPOCH);
    assert_eq!(seen.trim(), kept.unwrap().as_secs().to_string());
}

#[test]
fn saving_twice_writes_the_same_bytes() {
    let kiln = Kiln::new();
    let _ = base(&kiln);
    let plain = kiln.scratch().join("plain");
    context(&plain, PLAIN);
    build(&kiln, &plain, &[]);
    let files = ["one.tar", "two.tar"].map(|n| kiln.scratch().join(n));
    for file in &files {
        kiln.ok(["save", "-o", file.to_str().unwrap(), "app"]);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let same = fs::read(&files[0]).unwrap() == fs::read(&files[1]).unwrap();
    assert!(same, "the archives differ");
}
