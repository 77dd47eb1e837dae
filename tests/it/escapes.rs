//! Builds that want out of what they were given: a canary outside is neither read nor written, by links,
//! pipes, archives, hostile images, or by exchanging a folder for a link while it is worked on.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use kiln_tests::{
    kiln::{Kiln, Said, said},
    who::{Who, everybody},
};

const CANARY: &str = "canary-0f0f-outside";

/// A folder that builds have no business in, where everybody may read and write.
struct Outside(tempfile::TempDir);

impl Outside {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let everybody = |mode| fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path(), everybody(0o777)).unwrap();
        let text = format!("{CANARY}:x:4242:4242::/:/bin/sh\n");
        fs::write(folder.path().join("c"), text).unwrap();
        fs::set_permissions(folder.path().join("c"), everybody(0o666)).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Nobody wrote to it.
    fn is_whole(&self, what: &str) {
        let names = fs::read_dir(self.path()).unwrap();
        let names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["c"], "{what}");
        let text = fs::read_to_string(self.path().join("c")).unwrap();
        assert_eq!(text, format!("{CANARY}:x:4242:4242::/:/bin/sh\n"), "{what}");
    }
}

/// Builds, and finds no canary in what was said.
fn build(kiln: &Kiln, args: &[&str]) -> Said {
    let mut command = kiln.command(["build", "--progress", "plain"].iter().chain(args));
    let said = said(&mut command);
    let all = format!("{}{}", said.out, said.err);
    assert!(!all.contains(CANARY), "{args:?}: {all}");
    assert!(!all.contains("panicked"), "{args:?}: {all}");
    said
}

fn of_dockerfile(kiln: &Kiln, text: &str) -> Said {
    let context = kiln.context("app", &[("Dockerfile", text)]);
    build(kiln, &[context.to_str().unwrap()])
}

#[test]
fn links_of_an_image_lead_nowhere_else() {
    everybody(|_, kiln| {
        let outside = Outside::new();
        let out = outside.path().display().to_string();
        let links = format!(
            "FROM busybox
RUN ln -s {out} /abs && ln -s ../../../..{out} /rel && ln -s /proc/self/root{out} /magic && \\
    ln -s /proc/1/root{out} /one && ln -s /proc /p && ln -s /proc/sys /ps && ln -s /dev /dv && \\
    ln -s /proc/self/fd /fds && mkdir /d && ln -s {out}/c /d/c
"
        );
        let context = kiln.context("links", &[("Dockerfile", &links)]);
        kiln.ok(["build", "-q", "-t", "links", context.to_str().unwrap()]);
        for (line, words) in [
            (
                "RUN --mount=from=links,source=/abs,target=/m cat /m/c",
                "is not there",
            ),
            (
                "RUN --mount=from=links,source=/rel,target=/m cat /m/c",
                "is not there",
            ),
            (
                "RUN --mount=from=links,source=/magic,target=/m cat /m/c",
                "is not there",
            ),
            (
                "RUN --mount=from=links,source=/d/c,target=/m cat /m",
                "is not there",
            ),
            (
                "RUN --mount=type=cache,from=links,source=/one,target=/m cat /m/c",
                "is not there",
            ),
            (
                "RUN --mount=type=cache,target=/p/1 true",
                "the system's own",
            ),
            ("RUN --mount=type=cache,target=/ps true", "the system's own"),
            ("RUN --mount=type=tmpfs,target=/dv true", "the system's own"),
            (
                "RUN --mount=type=cache,target=/magic/x touch /magic/x/w",
                "the system's own",
            ),
            (
                "RUN --mount=type=tmpfs,target=/fds/3 true",
                "the system's own",
            ),
            (
                "RUN --mount=type=tmpfs,target=/x/../proc true",
                "the system's own",
            ),
            (
                "RUN --mount=type=tmpfs,target=/sys/kernel true",
                "the system's own",
            ),
            ("WORKDIR /proc/self/fd/3\nRUN cat c ../c", "chdir"),
            ("WORKDIR /fds/4\nRUN cat c ../c", "chdir"),
            ("COPY --from=links /abs /o/", "is not in the image"),
            ("COPY --from=links /d/c /o", "is not in the image"),
            (
                "COPY --from=links /p/self/root/abs/c /o",
                "is not in the image",
            ),
        ] {
            let said = of_dockerfile(kiln, &format!("FROM links\n{line}\n"));
            assert_ne!(said.code, 0, "{line}");
            assert!(said.err.contains(words), "{line}: {}", said.err);
            assert!(!said.err.contains("letters have a case"), "{}", said.err);
            outside.is_whole(line);
        }
        // These stay inside.
        for line in [
            "RUN --mount=type=cache,target=/abs ls -a /abs && echo w > /abs/w",
            "RUN --mount=type=cache,target=/rel/new echo w > /rel/new/w",
            "WORKDIR /abs\nRUN ls -a && touch w",
            "COPY Dockerfile /abs/w",
            "COPY Dockerfile /magic/w",
            "ADD Dockerfile /rel/c",
        ] {
            let said = of_dockerfile(kiln, &format!("FROM links\n{line}\n"));
            assert_eq!(said.code, 0, "{line}: {}", said.err);
            outside.is_whole(line);
        }
    });
}

#[test]
fn hostile_images_have_no_users_but_their_own() {
    everybody(|_, kiln| {
        let outside = Outside::new();
        let out = outside.path().display().to_string();
        for spoil in [
            "ln -sf /proc/self/environ /etc/passwd".to_owned(),
            format!("ln -sf {out}/c /etc/passwd"),
            format!("ln -sf ../../../../..{out}/c /etc/passwd"),
            "rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group".to_owned(),
            "truncate -s 0 /etc/passwd; truncate -s 10G /etc/passwd".to_owned(),
            "rm /etc/passwd; mkdir /etc/passwd".to_owned(),
        ] {
            for line in [
                format!("USER {CANARY}\nRUN id"),
                format!("COPY --chown={CANARY} Dockerfile /x"),
            ] {
                let text = format!("FROM busybox\nRUN {spoil}\n{line}\n");
                let context = kiln.context("app", &[("Dockerfile", &text)]);
                let said = kiln.fails(["build", context.to_str().unwrap()]);
                assert!(said.err.contains("unable to find user"), "{}", said.err);
            }
        }
        outside.is_whole("users");
    });
}

#[test]
fn pipes_and_endless_files_end_a_build() {
    everybody(|_, kiln| {
        let pipe = |path: PathBuf| {
            let done = std::process::Command::new("mkfifo").arg(path).status();
            assert!(done.unwrap().success());
        };
        let folder = kiln.scratch().join("pipe");
        fs::create_dir(&folder).unwrap();
        pipe(folder.join("Dockerfile"));
        let said = build(kiln, &["pipe"]);
        assert!(said.err.contains("not a regular file"), "{}", said.err);
        kiln.context("ignored", &[("Dockerfile", "FROM busybox\n")]);
        pipe(kiln.scratch().join("ignored/.dockerignore"));
        let said = build(kiln, &["ignored"]);
        assert!(said.err.contains("not a regular file"), "{}", said.err);
        kiln.context("app", &[("Dockerfile", "FROM busybox\n")]);
        for args in [
            ["-f", "/dev/zero", "app"],
            ["--secret", "id=s,src=/dev/zero", "app"],
        ] {
            let said = build(kiln, &args);
            assert_ne!(said.code, 0);
            assert!(said.err.contains("larger than"), "{}", said.err);
        }
    });
}

/// A tar of one entry, whose name and link may be anything.
fn archive(path: &Path, entries: &[(&str, tar::EntryType, &str)]) {
    let mut made = tar::Builder::new(File::create(path).unwrap());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        let content = match kind {
            tar::EntryType::Regular => text.as_bytes(),
            _ => {
                let link = &mut header.as_gnu_mut().unwrap().linkname;
                link[..text.len()].copy_from_slice(text.as_bytes());
                &[]
            }
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        made.append(&header, content).unwrap();
    }
    made.finish().unwrap();
}

#[test]
fn archives_stay_where_they_are_unpacked() {
    use tar::EntryType::{Fifo, Link, Regular, Symlink};
    everybody(|_, kiln| {
        let outside = Outside::new();
        let out = outside.path().display().to_string();
        let (up, inside) = (format!("../../../../../..{out}/w"), format!("{out}/w"));
        let (canary, over) = (format!("{out}/c"), format!("../../../../../..{out}/c"));
        let cases: [&[(&str, tar::EntryType, &str)]; 8] = [
            &[(&up, Regular, "w")],
            &[(&inside, Regular, "w")],
            &[("l", Symlink, &out), ("l/w", Regular, "w")],
            &[("l", Symlink, &canary), ("l", Regular, "w")],
            &[("h", Link, &canary)],
            &[("h", Link, &over)],
            &[("l", Symlink, &canary), ("h", Link, "l")],
            &[("f", Fifo, ""), ("f", Regular, "w"), ("l", Symlink, &out)],
        ];
        for (number, entries) in cases.into_iter().enumerate() {
            let text =
                format!("FROM busybox\nRUN ln -s {out} /abs\nADD a.tar /abs/\nADD a.tar /\n");
            let check = "RUN cat /h /l /l/c /abs/h /abs/l || true\n";
            let context = kiln.context("app", &[("Dockerfile", &(text + check))]);
            archive(&context.join("a.tar"), entries);
            build(kiln, &["app"]);
            outside.is_whole(&format!("ADD, case {number}"));

            let whole = "FROM busybox\nCOPY . /x/\nRUN cat /x/l /x/l/c /x/h || true\n";
            let path = kiln.scratch().join("context.tar");
            archive(
                &path,
                &[&[("Dockerfile", Regular, whole)], entries].concat(),
            );
            let mut command = kiln.command(["build", "--progress", "plain", "-"]);
            let said = said(command.stdin(File::open(&path).unwrap()));
            assert!(!said.err.contains(CANARY), "case {number}: {}", said.err);
            outside.is_whole(&format!("context, case {number}"));
        }
    });
}

/// Has `away` put in the place of `path` and back again, until the work is done.
fn exchanging(path: &Path, away: &Path, work: impl FnOnce()) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, path, CWD, away, RenameFlags::EXCHANGE);
            }
        });
        // Also when the work fails.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        if let Err(e) = worked {
            std::panic::resume_unwind(e);
        }
    });
}

#[test]
fn a_folder_that_is_a_link_at_times_is_never_followed() {
    for who in [Who::Root, Who::WithoutIds] {
        let kiln = who.kiln();
        let outside = Outside::new();
        for (number, line) in [
            "COPY d /x/",
            "COPY d/c /x/",
            "COPY . /x/",
            "ADD d/c /x/",
            "RUN --mount=type=bind,target=/x cat /x/d/c || true",
            "RUN --mount=type=bind,source=d,target=/x cat /x/c || true",
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("app{number}");
            let text = format!("FROM busybox\n{line}\nRUN cat /x/c /x/d/c || true\n");
            let context = kiln.context(&name, &[("Dockerfile", &text), ("d/c", "inside\n")]);
            let away = kiln.scratch().join(format!("away{number}"));
            symlink(outside.path(), &away).unwrap();
            exchanging(&context.join("d"), &away, || {
                for _ in 0..8 {
                    build(&kiln, &["--no-cache", &name]);
                }
            });
            outside.is_whole(line);
        }
    }
}

#[test]
fn a_file_that_is_a_link_at_times_is_never_followed() {
    for who in [Who::Root, Who::WithoutIds] {
        let kiln = who.kiln();
        let outside = Outside::new();
        for (number, line) in [
            "COPY d /x/",
            "COPY d/c /x/",
            "COPY --link d/* /x/",
            "ADD . /x/",
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("app{number}");
            let text = format!("FROM busybox\n{line}\nRUN cat /x/c /x/d/c || true\n");
            let context = kiln.context(&name, &[("Dockerfile", &text), ("d/c", "inside\n")]);
            let away = kiln.scratch().join(format!("away{number}"));
            symlink(outside.path().join("c"), &away).unwrap();
            exchanging(&context.join("d/c"), &away, || {
                for _ in 0..6 {
                    build(&kiln, &["--no-cache", &name]);
                }
            });
            outside.is_whole(line);
        }
    }
}

#[test]
fn a_local_output_stays_in_its_folder() {
    for who in [Who::Root, Who::WithoutIds] {
        let kiln = who.kiln();
        let outside = Outside::new();
        let text = "FROM scratch\nCOPY c /c\nCOPY c /d/c\nCOPY c /d/w\nCOPY c /f/w\n";
        kiln.context("app", &[("Dockerfile", text), ("c", "new\n")]);
        let out = kiln.scratch().join("out");
        let fresh = || {
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).unwrap();
            std::os::unix::fs::chown(&out, Some(owner(&kiln)), None).unwrap();
        };
        fresh();
        symlink(outside.path().join("c"), out.join("c")).unwrap();
        symlink(outside.path(), out.join("d")).unwrap();
        symlink(outside.path(), out.join("f")).unwrap();
        let mut command = kiln.command(["build", "-o", "out", "app"]);
        let said = said(&mut command);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(fs::read_to_string(out.join("d/w")).unwrap(), "new\n");
        outside.is_whole("links");

        fresh();
        fs::create_dir(out.join("d")).unwrap();
        std::os::unix::fs::chown(out.join("d"), Some(owner(&kiln)), None).unwrap();
        let away = kiln.scratch().join("away");
        symlink(outside.path(), &away).unwrap();
        exchanging(&out.join("d"), &away, || {
            for _ in 0..12 {
                build(&kiln, &["-o", "out", "app"]);
            }
        });
        outside.is_whole("races");
    }
}

fn owner(kiln: &Kiln) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(kiln.scratch()).unwrap().uid()
}

/// What a step does to the places that it is given mounts on: it has them away, and links that lead
/// outside in their place. Of those that kiln made nothing is kept; the links are the program's.
#[test]
fn places_of_mounts_become_links_that_lead_nowhere() {
    everybody(|who, kiln| {
        let outside = Outside::new();
        let out = outside.path().display().to_string();
        fs::write(kiln.scratch().join("s"), "a-secret-of-this-test").unwrap();
        let mounts = "--mount=type=secret,id=s,target=/new/deep/s --mount=type=cache,target=/kept/c \
                      --mount=type=tmpfs,target=/etc/t --mount=target=/files/f,source=a";
        // The folders above can be moved by anybody, and what is mounted goes with them.
        let moves = format!(
            "mv /new/deep /new/other; ln -s {out} /new/deep; mv /kept /elsewhere; ln -s {out} /kept; \
             rm -rf /files; ln -s {out}/c /files; echo w > /kept/w; echo w >> /files; true"
        );
        // Who may unmount gets at the places themselves.
        let places = format!(
            "umount /new/deep/s /kept/c /etc/t /files/f && rm /new/deep/s /files/f && \
             rmdir /kept/c /etc/t && ln -s {out}/c /new/deep/s && ln -s {out} /kept/c && \
             ln -s {out} /etc/t && ln -s {out}/c /files/f; ls /kept/c/ /new/deep/s; true"
        );
        for (security, script) in [
            ("sandbox", &moves),
            ("insecure", &moves),
            ("insecure", &places),
        ] {
            let text = format!(
                "FROM busybox
RUN --security={security} {mounts} {script}
RUN {mounts} ls -l /new /new/deep /kept /files /etc/t; touch /kept/c/w /new/deep/w /etc/t/w; true
RUN touch /new/deep/x /kept/x /files/x /etc/t/x; cat /new/deep/s /kept/c/c /files/f /etc/t/c; true
COPY a /kept/
COPY a /new/deep/
COPY a /files/
"
            );
            let files = [("Dockerfile", text.as_str()), ("a", "a")];
            kiln.context("app", &files);
            let args = ["--allow", "security.insecure", "--secret", "id=s,src=s"];
            let said = build(
                kiln,
                &[&args[..], &["--no-cache", "-t", "app", "app"]].concat(),
            );
            outside.is_whole(script);
            let known = said.code == 0 || said.err.contains(" --> Dockerfile:");
            assert!(known, "{who:?} {script}: {}", said.err);
            let tar = kiln.scratch().join("saved.tar");
            if said.code == 0 {
                kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
                let saved = fs::read(&tar).unwrap();
                let has = |what: &str| saved.windows(what.len()).any(|w| w == what.as_bytes());
                assert!(!has(CANARY) && !has("a-secret-of-this-test"), "{script}");
            }
            kiln.ok(["system", "check"]);
        }
    });
}

#[test]
fn places_of_mounts_leave_no_trace_whatever_is_done_to_them() {
    everybody(|_, kiln| {
        // One is taken away, one is replaced, one becomes a folder, one gets a neighbour.
        let text = "FROM busybox
RUN --security=insecure --mount=type=cache,target=/one/c --mount=type=tmpfs,target=/two \
    --mount=source=a,target=/three --mount=type=tmpfs,target=/four/f \
    umount /one/c /two /three && rm -rf /one && rmdir /two && echo mine > /two && \
    rm /three && mkdir /three && touch /four/beside
";
        kiln.context("app", &[("Dockerfile", text), ("a", "a")]);
        let args = [
            "build",
            "-q",
            "--allow",
            "security.insecure",
            "-o",
            "out",
            "app",
        ];
        let out = kiln.scratch().join("out");
        fs::create_dir(&out).unwrap();
        std::os::unix::fs::chown(&out, Some(owner(kiln)), None).unwrap();
        kiln.ok(args);
        assert_eq!(fs::read_to_string(out.join("two")).unwrap(), "mine\n");
        assert!(out.join("three").is_dir() && out.join("four/beside").exists());
        for gone in ["one", "four/f"] {
            assert!(!out.join(gone).exists(), "{gone}");
        }
    });
}
