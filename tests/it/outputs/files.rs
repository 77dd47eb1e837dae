//! Files as they are: in a folder of the one who builds, and in a tar.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    process::Command,
};

use kiln_tests::{
    kiln::{Kiln, said, write},
    who::{Who, everybody},
};

use super::{app, build, kiln_owns, with_busybox};

const TREE: &str = "FROM busybox AS made
RUN mkdir -p /t/sub /t/closed && echo a > /t/a && ln /t/a /t/hard && ln -s /etc/passwd /t/link \\
 && chmod 500 /t/closed && mkfifo /t/pipe && touch -d @1000000000 /t/a
FROM scratch
COPY --from=made /t /
COPY --chown=1000:50 --chmod=6755 run /sub/run
";

/// The folder that [`TREE`] is built from.
fn tree(kiln: &Kiln) {
    app(kiln, TREE);
    write(&kiln.scratch().join("app/run"), "run\n");
}

#[test]
fn a_folder_has_the_files_and_they_belong_to_who_builds() {
    everybody(|who, kiln| {
        tree(kiln);
        kiln_owns(kiln);
        let told = build(kiln, &["-o", "out/tree"]);
        assert_eq!(told, "", "there is no image to tell of");
        let at = kiln.scratch().join("out/tree");
        let meta = |path: &str| fs::symlink_metadata(at.join(path)).unwrap();
        let (uid, gid) = (meta("").uid(), meta("").gid());
        assert_eq!(who == Who::Root, uid == 0);
        for path in ["a", "sub", "sub/run", "closed", "link", "pipe"] {
            let meta = meta(path);
            assert_eq!((meta.uid(), meta.gid()), (uid, gid), "{path}");
        }
        assert_eq!(
            meta("sub/run").mode() & 0o7777,
            0o755,
            "to run as 1000 is no right of ours"
        );
        assert_eq!(meta("closed").mode() & 0o7777, 0o500);
        assert_eq!(meta("a").mtime(), 1_000_000_000);
        assert_eq!(meta("a").ino(), meta("hard").ino());
        assert_eq!(
            fs::read_link(at.join("link")).unwrap().to_str(),
            Some("/etc/passwd")
        );
        assert_eq!(fs::read_to_string(at.join("sub/run")).unwrap(), "run\n");
        // Once more into the same, in the other way that folders are written.
        build(kiln, &["-o", "type=local,dest=out/tree"]);
        assert_eq!(fs::read_to_string(at.join("hard")).unwrap(), "a\n");
        assert_eq!(
            kiln.ok(["images", "-aq"]).lines().count(),
            1,
            "only the base is an image"
        );
    });
}

#[test]
fn a_folder_keeps_what_is_in_it_unless_it_is_to_go() {
    let kiln = with_busybox();
    app(&kiln, "FROM scratch\nCOPY new /d/new\nCOPY new /file\n");
    write(&kiln.scratch().join("app/new"), "new");
    let out = kiln.scratch().join("out");
    write(&out.join("d/old"), "old");
    write(&out.join("file/was/a/folder"), "old");
    write(&out.join("other"), "old");
    build(&kiln, &["-o", "out"]);
    assert_eq!(fs::read_to_string(out.join("d/old")).unwrap(), "old");
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "new");
    build(&kiln, &["-o", "type=local,dest=out,mode=delete"]);
    let left: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!out.join("d/old").exists() && out.join("d/new").exists());

    let elsewhere = tempfile::tempdir().unwrap();
    write(&elsewhere.path().join("precious"), "");
    let to = format!("type=local,dest={},mode=delete", elsewhere.path().display());
    let refused = kiln.fails(["build", "-o", &to, "app"]);
    assert!(
        refused.err.contains("--allow buildx.local.delete"),
        "{}",
        refused.err
    );
    let up = kiln.fails(["build", "-o", "type=local,dest=app/..,mode=delete", "app"]);
    assert_eq!(up.code, 125, "{}", up.err);
    assert!(elsewhere.path().join("precious").exists());
    kiln.ok(["build", "-o", &to, "--allow", "buildx.local.delete", "app"]);
    assert!(!elsewhere.path().join("precious").exists());
}

#[test]
fn no_link_is_followed_out_of_the_folder() {
    everybody(|_, kiln| {
        app(
            kiln,
            "FROM scratch\nCOPY new /lib/x\nCOPY new /file\nCOPY new /up/x\n",
        );
        write(&kiln.scratch().join("app/new"), "new");
        kiln_owns(kiln);
        let canary = kiln.scratch().join("out/canary");
        write(&canary.join("x"), "old");
        let to = kiln.scratch().join("out/to");
        fs::create_dir(&to).unwrap();
        symlink(&canary, to.join("lib")).unwrap();
        symlink(canary.join("x"), to.join("file")).unwrap();
        symlink("../canary", to.join("up")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        for folder in [&canary, &to] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        build(kiln, &["-o", "out/to"]);
        assert_eq!(fs::read_to_string(canary.join("x")).unwrap(), "old");
        for path in ["lib/x", "file", "up/x"] {
            assert_eq!(fs::read_to_string(to.join(path)).unwrap(), "new");
            assert!(!to.join(path).is_symlink());
        }
    });
}

#[test]
fn a_tar_has_the_files_with_their_owners() {
    everybody(|_, kiln| {
        tree(kiln);
        let mut piped = kiln.command(["build", "-o", "-", "app"]);
        let out = piped.output().unwrap();
        assert!(out.status.success());
        let tar = kiln.scratch().join("t.tar");
        fs::write(&tar, &out.stdout).unwrap();
        let list = said(
            Command::new("tar")
                .args(["--numeric-owner", "--utc", "-tvf"])
                .arg(&tar),
        );
        let lines: Vec<String> = list
            .out
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .map(|words| format!("{} {} {}", words[0], words[1], words[5..].join(" ")))
            .collect();
        assert_eq!(
            lines,
            [
                "-rw-r--r-- 0/0 a",
                "dr-x------ 0/0 closed/",
                "hrw-r--r-- 0/0 hard link to a",
                "lrwxrwxrwx 0/0 link -> /etc/passwd",
                "prw-r--r-- 0/0 pipe",
                "drwxr-xr-x 0/0 sub/",
                "-rwsr-sr-x 1000/50 sub/run",
            ]
        );
        kiln.ok(["build", "-q", "-o", "type=tar,dest=u.tar", "app"]);
        assert_eq!(fs::read(kiln.scratch().join("u.tar")).unwrap(), out.stdout);
    });
}

#[test]
fn folders_of_platforms_are_named_as_docker_names_them() {
    let kiln = with_busybox();
    app(&kiln, "FROM scratch\nCOPY a /\n");
    write(&kiln.scratch().join("app/a"), "a");
    build(&kiln, &["-o", "type=local,dest=out,platform-split=true"]);
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    assert!(kiln.scratch().join(format!("out/linux_{arch}/a")).is_file());
    build(&kiln, &["-o", "type=tar,dest=t.tar,platform-split=true"]);
    let list = said(
        Command::new("tar")
            .arg("-tf")
            .arg(kiln.scratch().join("t.tar")),
    );
    assert_eq!(list.out, format!("linux_{arch}/\nlinux_{arch}/a\n"));
}

#[test]
fn what_a_user_cannot_make_is_told() {
    let kiln = Who::WithoutIds.kiln();
    let make = "import tarfile\nt=tarfile.open('dev.tar','w')\ni=tarfile.TarInfo('dev/thing')\n\
                i.type=tarfile.CHRTYPE\ni.devmajor=1\ni.devminor=3\nt.addfile(i)\n";
    let python = Command::new("python3")
        .args(["-c", make])
        .current_dir(kiln.scratch())
        .status();
    assert!(python.unwrap().success());
    kiln.ok(["import", "dev.tar", "dev"]);
    app(&kiln, "FROM dev\nCOPY a /a\n");
    write(&kiln.scratch().join("app/a"), "a");
    kiln_owns(&kiln);
    let told = kiln.run(["build", "-o", "out", "app"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let what = "not everything could be written: character device of `/dev/thing`";
    assert!(told.err.contains(what), "{}", told.err);
    assert!(kiln.scratch().join("out/a").is_file());
}

#[test]
fn an_epoch_is_the_latest_time_and_the_same_bytes_come_twice() {
    let mut all = Vec::new();
    let first = with_busybox();
    // The same base: one that is made anew is another, made at another time.
    first.ok(["save", "-o", "base.tar", "busybox"]);
    for _ in 0..2 {
        let kiln = Kiln::new();
        let base = first.scratch().join("base.tar");
        kiln.ok(["load", "-i", base.to_str().unwrap()]);
        app(
            &kiln,
            "FROM busybox\nRUN echo x > /x\nCOPY Dockerfile /copied\n",
        );
        let outputs = [
            "-o",
            "out",
            "-o",
            "type=tar,dest=t.tar",
            "-o",
            "type=oci,dest=o.tar",
            "-o",
            "type=docker,dest=d.tar",
            "--squash",
            "--label",
            "a=b",
        ];
        let args = [&["build", "-q", "-t", "app"], &outputs[..], &["app"]].concat();
        let built = said(kiln.command(args).env("SOURCE_DATE_EPOCH", "1000000000"));
        assert_eq!(built.code, 0, "{}", built.err);
        for path in ["x", "copied", "bin/busybox", "etc"] {
            let meta = fs::metadata(kiln.scratch().join("out").join(path)).unwrap();
            assert!(meta.mtime() <= 1_000_000_000, "{path}: {}", meta.mtime());
        }
        let list = ["--utc", "--full-time", "-tvf", "t.tar"];
        let list = said(Command::new("tar").args(list).current_dir(kiln.scratch()));
        for line in list.out.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let time = format!("{} {}", words[3], words[4]);
            assert!(&time[..] <= "2001-09-09 01:46:40", "{line}");
        }
        let read = |name: &str| fs::read(kiln.scratch().join(name)).unwrap();
        all.push(["t.tar", "o.tar", "d.tar"].map(read));
    }
    assert!(all[0] == all[1]);
}

#[test]
fn what_is_the_same_stays_and_what_is_not_is_written_again() {
    everybody(|_, kiln| {
        app(
            kiln,
            "FROM busybox AS made\n\
             RUN mkdir -p /t/closed && cd /t && for f in same changed longer mode time two closed/in; do \
             echo $f > $f; done && touch -d @1000000000 same mode && chmod 444 closed/in && chmod 555 closed\n\
             FROM scratch\nCOPY --from=made /t /\n",
        );
        kiln_owns(kiln);
        let at = kiln.scratch().join("out/t");
        build(kiln, &["-o", "out/t"]);
        let meta = |path: &str| fs::symlink_metadata(at.join(path)).unwrap();
        let names = [
            "same",
            "changed",
            "longer",
            "mode",
            "time",
            "two",
            "closed/in",
        ];
        let before = names.map(|name| meta(name).ino());
        let time = meta("time").mtime();
        // The same size and time, and other content: who looks at those alone misses it.
        let change = |path: &str, text: &str, time: Option<i64>| {
            fs::write(at.join(path), text).unwrap();
            if let Some(time) = time {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time as u64);
                let file = fs::File::options()
                    .append(true)
                    .open(at.join(path))
                    .unwrap();
                file.set_modified(time).unwrap();
            }
        };
        change("changed", "CHANGED\n", Some(meta("changed").mtime()));
        change("longer", "longer\nand more\n", None);
        change("time", "time\n", Some(1));
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(at.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        // Two names are one file: that of the output is another one afterwards.
        fs::hard_link(at.join("two"), kiln.scratch().join("out/other")).unwrap();
        build(kiln, &["-o", "out/t"]);
        let after = names.map(|name| meta(name).ino());
        let stays = |name: &str| {
            let place = names.iter().position(|n| *n == name).unwrap();
            before[place] == after[place]
        };
        for (name, expected) in [
            ("same", true),
            ("mode", true),
            ("time", true),
            ("closed/in", true),
        ] {
            assert_eq!(stays(name), expected, "{name}");
        }
        for name in names {
            let text = fs::read_to_string(at.join(name)).unwrap();
            assert_eq!(text, format!("{name}\n"));
            assert_eq!(meta(name).nlink(), 1, "{name}");
        }
        assert_eq!(meta("mode").mode() & 0o7777, 0o644);
        assert_eq!(meta("mode").mtime(), 1_000_000_000);
        assert_eq!(meta("time").mtime(), time);
        assert_eq!(meta("closed").mode() & 0o7777, 0o555);
        // What has to be written into a closed folder is written all the same.
        app(
            kiln,
            "FROM busybox AS made\n\
             RUN mkdir -p /t/closed && echo new > /t/closed/in && echo x > /t/closed/more && chmod 555 /t/closed\n\
             FROM scratch\nCOPY --from=made /t /\n",
        );
        build(kiln, &["-o", "type=local,dest=out/t,mode=delete"]);
        assert_eq!(fs::read_to_string(at.join("closed/in")).unwrap(), "new\n");
        assert!(at.join("closed/more").exists() && !at.join("same").exists());
        assert_eq!(meta("closed").mode() & 0o7777, 0o555);
    });
}

/// A build of one file of 64 MB.
fn big(kiln: &Kiln) {
    app(kiln, "FROM scratch\nCOPY big /\n");
    let file = fs::File::create(kiln.scratch().join("app/big")).unwrap();
    file.set_len(64 << 20).unwrap();
    kiln.ok(["build", "-q", "-t", "big", "app"]);
    // Nothing is left to be done but to write it.
    app(kiln, "FROM big\n");
}

#[test]
fn who_is_killed_leaves_nothing_beside_the_file_and_no_half_of_it() {
    let kiln = Kiln::new();
    big(&kiln);
    let out = kiln.scratch().join("out");
    fs::create_dir(&out).unwrap();
    // A file that grows over 2 MB ends whoever writes it there and then; or, where the signal is
    // ignored, cannot be written.
    for (signal, to) in [
        ("", "type=tar,dest=out/x"),
        ("", "type=oci,compression=uncompressed,dest=out/x"),
        ("trap '' XFSZ; ", "type=tar,dest=out/x"),
        ("trap '' XFSZ; ", "type=docker,dest=out/x"),
    ] {
        let script = format!("{signal}ulimit -f 4096; exec \"$0\" \"$@\"");
        let inner = kiln.command(["build", "-q", "-o", to, "app"]);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(inner.get_program());
        command.args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let ended = said(command.current_dir(kiln.scratch()));
        match signal {
            "" => assert_eq!(ended.code, -1, "{to}: {}", ended.err),
            _ => {
                assert_eq!(ended.code, 1, "{to}: {}", ended.err);
                assert!(ended.err.contains("write `out/x`"), "{to}: {}", ended.err);
                assert!(ended.err.contains("too large"), "{to}: {}", ended.err);
            }
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{to}");
    }
    kiln.ok(["build", "-q", "-o", "type=tar,dest=out/x", "app"]);
    assert!(out.join("x").is_file());
}

#[test]
fn an_output_that_is_canceled_breaks_off() {
    use std::io::Read as _;
    let kiln = Kiln::new();
    big(&kiln);
    for to in [
        "type=tar",
        "type=oci,compression=uncompressed",
        "type=docker,dest=-",
    ] {
        let mut command = kiln.command(["build", "-q", "-o", to, "app"]);
        let pipes = command.stdout(std::process::Stdio::piped());
        let mut child = pipes.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        // It is writing, and waits for somebody who reads.
        out.read_exact(&mut vec![0; 1 << 20]).unwrap();
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        // Slowly: it has time to hear of it before it is done.
        let (mut rest, mut piece) = (0, vec![0; 256 << 10]);
        loop {
            std::thread::sleep(std::time::Duration::from_millis(20));
            match out.read(&mut piece).unwrap() {
                0 => break,
                n => rest += n,
            }
        }
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{to}: {err}");
        assert!(err.contains("canceled"), "{to}: {err}");
        assert!(rest < 60 << 20, "{to}: {rest} bytes came");
    }
}

#[test]
fn files_of_several_platforms_in_one_folder_must_agree() {
    let kiln = Kiln::new();
    let platforms = "--platform=linux/arm64,linux/amd64";
    let one = "type=local,dest=out,platform-split=false";
    app(
        &kiln,
        "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /same\nCOPY Dockerfile /$TARGETARCH\n",
    );
    build(&kiln, &[platforms, "-o", one]);
    let out = kiln.scratch().join("out");
    assert!(
        ["same", "arm64", "amd64"]
            .iter()
            .all(|name| out.join(name).is_file())
    );
    build(&kiln, &[platforms, "-o", "split"]);
    for platform in ["linux_arm64/arm64", "linux_amd64/amd64"] {
        assert!(kiln.scratch().join("split").join(platform).is_file());
    }
    for name in ["arm64", "amd64"] {
        write(&kiln.scratch().join("app").join(name), name);
    }
    app(
        &kiln,
        "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /file\n",
    );
    for to in [one, "type=tar,dest=x.tar,platform-split=false"] {
        let refused = kiln.fails(["build", "-q", platforms, "-o", to, "app"]);
        let why = "`file` is not the same for linux/amd64";
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    assert!(!out.join("file").exists() && !kiln.scratch().join("x.tar").exists());
}

#[test]
fn attributes_come_along_that_any_user_may_set() {
    let kiln = Kiln::new();
    let make = "import os,subprocess\nos.mkdir('r')\nopen('r/f','w').write('x')\n\
                os.setxattr('r/f','user.kt',b'mine')\nos.setxattr('r/f','trusted.kt',b'other')\n\
                subprocess.check_call(['tar','--xattrs','--xattrs-include=*','-C','r','-cf','r.tar','f'])\n";
    let run = |script: &str| {
        let mut python = Command::new("python3");
        said(python.args(["-c", script]).current_dir(kiln.scratch()))
    };
    let made = run(make);
    assert_eq!(made.code, 0, "{}", made.err);
    kiln.ok(["import", "r.tar", "base"]);
    app(&kiln, "FROM base\n");
    for _ in 0..2 {
        build(&kiln, &["-o", "out"]);
        let seen = run("import os\nprint(os.listxattr('out/f'), os.getxattr('out/f','user.kt'))");
        assert_eq!(seen.out, "['user.kt'] b'mine'\n", "{}", seen.err);
    }
}
