//! What a process does and how it ends.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use kiln_sandbox::{Exit, Io, Mount, Process, RootSpec, Spec};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, shell};

cases![
    exit_codes,
    signals_end_a_process,
    signals_reach_a_process,
    output_streams_as_it_comes,
    input_reaches_the_process,
    environment_is_exactly_the_given,
    ids_are_the_given,
    working_directory,
    session_of_its_own,
    umask_is_022,
    signals_are_as_usual,
    upper_gets_exactly_the_changes,
    a_layer_mounts_twice,
    many_layers,
    directory_root,
    binds,
    read_only_bind,
    all_of_the_host_bound,
    tmpfs,
    zombies_are_reaped,
    two_at_once,
    stdout_opens_again_for_a_user,
];

fn exit_codes(world: &World) -> Outcome {
    for code in [0, 1, 42, 255] {
        let ran = world.sh(&format!("exit {code}")).unwrap();
        assert_eq!(ran.exit, Exit::Code(code));
    }
    Ok(())
}

fn signals_end_a_process(world: &World) -> Outcome {
    let mut started = world.start("echo ready; exec sleep 60", |_| {});
    started.line();
    started.running.signal(9).unwrap();
    let exit = started.running.wait().unwrap();
    assert_eq!(exit, Exit::Signal(9));
    assert_eq!(exit.code(), 137);
    assert_eq!(started.running.wait().unwrap(), exit, "asked again");
    started.running.signal(15).unwrap();
    Ok(())
}

fn signals_reach_a_process(world: &World) -> Outcome {
    for init in [false, true] {
        if init && !world.native {
            break;
        }
        let script = "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let mut started = world.start(script, |spec| spec.init = init);
        assert_eq!(started.line(), "ready");
        let send = started.running.signaller();
        std::thread::spawn(move || send(15)).join().unwrap();
        assert_eq!(started.line(), "got");
        assert_eq!(started.running.wait().unwrap(), Exit::Code(3));
    }
    Ok(())
}

fn output_streams_as_it_comes(world: &World) -> Outcome {
    let (mut tell, ask) = {
        let (read, write) = std::io::pipe().unwrap();
        (write, read)
    };
    let (mut stdout, out) = std::io::pipe().unwrap();
    let (mut stderr, err) = std::io::pipe().unwrap();
    let layers = world.layers(&[]);
    let spec = Spec::new(layers.root.clone(), shell("echo one; read x; echo $x >&2"));
    let io = Io {
        stdin: ask.into(),
        stdout: out.into(),
        stderr: err.into(),
    };
    let mut running = world.runner.start(&spec, io).unwrap();
    let mut four = [0; 4];
    stdout.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"one\n", "before it ends");
    tell.write_all(b"two\n").unwrap();
    stderr.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"two\n", "apart from the other");
    assert_eq!(stdout.read(&mut four).unwrap(), 0, "the end is seen");
    assert!(running.wait().unwrap().success());
    Ok(())
}

fn input_reaches_the_process(world: &World) -> Outcome {
    let ran = world.sh("cat; echo end").unwrap();
    assert_eq!(
        ran.stdout, "end\n",
        "nothing by default, and no waiting for it"
    );
    Ok(())
}

fn environment_is_exactly_the_given(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let mut process = Process::new(["/bin/env"]);
    process.env = vec![("B".into(), "two words".into()), ("A".into(), "x=y".into())];
    let ran = world.run(&Spec::new(layers.root.clone(), process)).unwrap();
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    if !world.native {
        // A runtime adds the user's home from the root's `/etc/passwd`.
        lines.retain(|line| *line != "HOME=/root");
    }
    assert_eq!(lines, ["A=x=y", "B=two words"]);
    Ok(())
}

/// For what needs a second user where there is none.
fn second_user(world: &World) -> Outcome {
    if world.single() {
        return Err("there is no user but root".into());
    }
    Ok(())
}

fn ids_are_the_given(world: &World) -> Outcome {
    second_user(world)?;
    let script = "id -u; id -g; grep Groups /proc/self/status; grep Cap /proc/self/status";
    let ran = world
        .sh_with(script, |spec| {
            spec.process.user.uid = 1234;
            spec.process.user.gid = 2345;
            spec.process.user.groups = vec![7, 8];
        })
        .unwrap();
    let text: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(text[..3], ["1234", "2345", "Groups: 7 8"]);
    assert_eq!(text[3], "CapInh: 0000000000000000");
    assert_eq!(text[4], "CapPrm: 0000000000000000");
    assert_eq!(text[5], "CapEff: 0000000000000000");
    assert_eq!(text[6], "CapBnd: 00000000a80425fb");
    assert_eq!(text[7], "CapAmb: 0000000000000000");
    Ok(())
}

fn working_directory(world: &World) -> Outcome {
    let at = |cwd: &str, uid| {
        let ran = world.sh_with("pwd", |spec| {
            spec.process.cwd = cwd.into();
            spec.process.user.uid = uid;
        });
        ran.unwrap().stdout
    };
    assert_eq!(at("/", 0), "/\n");
    assert_eq!(at("/home/app", 0), "/home/app\n");
    fs::set_permissions(
        world.image.join("root"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    for user in world.users([0, 1000]) {
        assert_eq!(
            at("/root", user),
            "/root\n",
            "a directory that the user may not enter"
        );
    }
    Ok(())
}

fn session_of_its_own(world: &World) -> Outcome {
    // Fields 1, 5 and 6: process, group, session.
    for init in [false, true] {
        if init && !world.native {
            break;
        }
        let ran = world
            .sh_with("cat /proc/$$/stat", |spec| spec.init = init)
            .unwrap();
        let fields: Vec<&str> = ran.stdout.split(' ').collect();
        assert_eq!((fields[4], fields[5]), (fields[0], fields[0]));
        assert_eq!(
            fields[0] == "1",
            !init,
            "process 1 is the init or the process"
        );
    }
    Ok(())
}

fn umask_is_022(world: &World) -> Outcome {
    assert_eq!(world.sh("umask").unwrap().stdout, "0022\n");
    Ok(())
}

fn signals_are_as_usual(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let process = Process::new(["/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    let ran = world.run(&Spec::new(layers.root.clone(), process)).unwrap();
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    // Signal 32 is the C library's; a runtime leaves it ignored where it found it so.
    let libc = if world.native { 0 } else { 1 << 31 };
    for line in ran.stdout.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(mask & !libc, 0, "{line}");
    }
    Ok(())
}

fn upper_gets_exactly_the_changes(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let script =
        "echo new > /etc/new; rm /etc/lower; chmod 700 /data; mkdir /d; echo x > /tmp/t; rm /tmp/t";
    let ran = world
        .run(&Spec::new(layers.root.clone(), shell(script)))
        .unwrap();
    assert!(ran.exit.success(), "{ran:?}");
    let mut found = Vec::new();
    list(&layers.upper, "", &mut found);
    assert_eq!(
        found,
        ["/d", "/data", "/etc", "/etc/lower", "/etc/new", "/tmp"]
    );
    let gone = fs::symlink_metadata(layers.upper.join("etc/lower")).unwrap();
    assert_eq!(
        (gone.mode() & 0o170_000, gone.rdev()),
        (0o020_000, 0),
        "a whiteout"
    );
    let data = fs::metadata(layers.upper.join("data")).unwrap();
    assert_eq!(data.mode() & 0o7777, 0o700);
    Ok(())
}

fn list(directory: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        found.push(path.clone());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &path, found);
        }
    }
}

fn a_layer_mounts_twice(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let mut spec = Spec::new(layers.root.clone(), shell("echo 1 > /data/x"));
    assert!(world.run(&spec).unwrap().exit.success());
    spec.process = shell("cat /data/x");
    assert_eq!(
        world.run(&spec).unwrap().stdout,
        "1\n",
        "a volatile one leaves a mark"
    );
    Ok(())
}

fn many_layers(world: &World) -> Outcome {
    let scratch = world.scratch();
    let make = |number: usize| {
        let layer = scratch.path().join(format!(
            "a layer, with: odd \\ letters and a name of some length {number}"
        ));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("top"), number.to_string()).unwrap();
        layer
    };
    let made: Vec<_> = (0..300).map(make).collect();
    let above: Vec<&std::path::Path> = made.iter().map(AsRef::as_ref).collect();
    let layers = world.layers(&above);
    let ran = world
        .run(&Spec::new(layers.root.clone(), shell("cat /top")))
        .unwrap();
    assert_eq!(ran.stdout, "0", "the first is the topmost");
    Ok(())
}

fn directory_root(world: &World) -> Outcome {
    let scratch = world.scratch();
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let source = scratch.path().join("source");
    fs::write(&source, "bound").unwrap();
    let process = Process::new(["/bin/busybox", "sh", "-c", "echo x > /file; cat /run/a/b"]);
    let mut spec = Spec::new(RootSpec::Directory(root.clone()), process);
    spec.mounts.push(Mount::Bind {
        source,
        target: "/run/a/b".into(),
        read_only: true,
    });
    let ran = world.run(&spec).unwrap();
    assert_eq!(ran.stdout, "bound", "{ran:?}");
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "x\n");
    assert!(root.join("proc").is_dir() && !root.join("proc/self").exists());
    Ok(())
}

fn binds(world: &World) -> Outcome {
    let scratch = world.scratch();
    fs::write(scratch.path().join("in"), "hello").unwrap();
    let file = scratch.path().join("in");
    let ran = world
        .sh_with("cat /data/in /etc/lower; echo out > /data/out", |spec| {
            spec.mounts = vec![
                Mount::Bind {
                    source: scratch.path().into(),
                    target: "/data".into(),
                    read_only: false,
                },
                Mount::Bind {
                    source: file,
                    target: "/etc/lower".into(),
                    read_only: true,
                },
            ];
        })
        .unwrap();
    assert_eq!(ran.stdout, "hellohello", "{ran:?}");
    assert_eq!(
        fs::read_to_string(scratch.path().join("out")).unwrap(),
        "out\n"
    );
    Ok(())
}

fn read_only_bind(world: &World) -> Outcome {
    let scratch = world.scratch();
    let ran = world
        .sh_with("echo x > /data/x", |spec| {
            spec.mounts.push(Mount::Bind {
                source: scratch.path().into(),
                target: "/data".into(),
                read_only: true,
            });
        })
        .unwrap();
    assert_eq!(ran.exit, Exit::Code(1));
    assert!(
        ran.stderr.contains("Read-only file system"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    Ok(())
}

fn all_of_the_host_bound(world: &World) -> Outcome {
    let own = format!("/data{}", world.image.display());
    let script = format!("ls {own}/etc; ls /data/proc | grep -c '^self$'");
    let ran = world.sh_with(&script, |spec| {
        spec.mounts.push(Mount::Bind {
            source: "/".into(),
            target: "/data".into(),
            read_only: true,
        });
    });
    assert_eq!(ran.unwrap().stdout, "lower\npasswd\n1\n");
    Ok(())
}

fn tmpfs(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let mut spec = Spec::new(
        layers.root.clone(),
        shell("echo x > /data/x && grep ' /data ' /proc/mounts; stat -c %a /data"),
    );
    spec.mounts.push(Mount::Tmpfs {
        target: "/data".into(),
        size: Some(1 << 20),
        mode: 0o1700,
        exec: false,
    });
    let ran = world.run(&spec).unwrap();
    assert!(ran.stdout.contains("size=1024k"), "{ran:?}");
    assert!(ran.stdout.contains("noexec"), "{ran:?}");
    assert!(ran.stdout.ends_with("\n1700\n"), "{ran:?}");
    assert_eq!(fs::read_dir(&layers.upper).unwrap().count(), 0);
    Ok(())
}

fn zombies_are_reaped(world: &World) -> Outcome {
    if !world.native {
        return Err("an OCI runtime has no init".into());
    }
    // The inner shell leaves an orphan that ends; the init has to reap it.
    let script =
        "sh -c 'sleep 0.05 & :'; sleep 0.3; grep -l '^State:.Z' /proc/[0-9]*/status; exit 5";
    let ran = world.sh_with(script, |spec| spec.init = true).unwrap();
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Code(5), ""));
    Ok(())
}

fn two_at_once(world: &World) -> Outcome {
    let mut first = world.start("echo a; sleep 0.2; exit 1", |_| {});
    let mut second = world.start("echo b; exit 2", |_| {});
    assert_eq!((first.line(), second.line()), ("a".into(), "b".into()));
    assert_eq!(second.running.wait().unwrap(), Exit::Code(2));
    assert_eq!(first.running.wait().unwrap(), Exit::Code(1));
    Ok(())
}

fn stdout_opens_again_for_a_user(world: &World) -> Outcome {
    second_user(world)?;
    let ran = world
        .sh_with(
            "echo hello > /dev/stdout; echo there > /dev/stderr",
            |spec| {
                spec.process.user.uid = 1000;
            },
        )
        .unwrap();
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("hello\n", "there\n")
    );
    Ok(())
}
