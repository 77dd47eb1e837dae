//! What differs for a user who is not root: owners, users that cannot be, hosts that forbid it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use kiln_sandbox::{
    Door, ErrorKind, IdMap, IdRange, Incoming, Io, Mount, Native, Process, RootSpec, Runner, Spec,
    UserNamespace, host, open_in,
};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, shell};

cases![
    owners_inside_and_outside,
    users_that_are_not_mapped,
    groups,
    a_child_is_root_inside,
    children_share_one_namespace,
    nothing_leaks,
    ids_that_were_not_granted,
    a_host_that_forbids_it,
    a_host_whose_proc_is_covered,
    the_hosts_mounts_are_bound_as_they_are,
    runtimes_are_for_root,
];

/// The children of these tests, by what they do.
pub(crate) const DOOR: Door = Door {
    name: "rootless",
    run: child,
};

fn child(mut incoming: Incoming) -> i32 {
    let what = incoming.args[0].to_str().unwrap();
    let said = match what {
        "status" => fs::read_to_string("/proc/self/status").unwrap(),
        "namespace" => link("/proc/self/ns/user"),
        "forbid" => {
            // It counts for this namespace alone.
            fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
            nested()
        }
        "cover" => {
            cover_proc();
            nested()
        }
        "probe-forbid" => {
            fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
            probed()
        }
        "probe-cover" => {
            cover_proc();
            probed()
        }
        _ => panic!("{what}"),
    };
    incoming.socket.write_all(said.as_bytes()).unwrap();
    7
}

fn link(path: &str) -> String {
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

/// What a child in one more namespace says.
fn nested() -> String {
    let namespace = UserNamespace::new(IdMap::single());
    let spec = Spec::new(RootSpec::Directory("/".into()), Process::new(["true"]));
    let error = Native::new(Some(namespace.into())).run(&spec, Io::null());
    let error = error.unwrap_err();
    format!("{:?} {error}", error.kind())
}

/// What is said of the host by a user in it.
fn probed() -> String {
    let scratch = tempfile::tempdir().unwrap();
    let namespace = UserNamespace::new(IdMap::single());
    let findings = host::probe(scratch.path(), Some(&namespace));
    serde_json::to_string(&findings).unwrap()
}

fn cover_proc() {
    use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: the table of descriptors stays.
    #[allow(unsafe_code)]
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let whole = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", whole).unwrap();
    mount_bind("/dev/null", "/proc/version").unwrap();
}

/// What the child of [`DOOR`] says.
pub(crate) fn ask(namespace: &UserNamespace, what: &str) -> String {
    let mut child = open_in(Some(namespace), DOOR.name, [what]).unwrap();
    let mut said = String::new();
    child.socket.read_to_string(&mut said).unwrap();
    assert_eq!(child.child.wait().unwrap().code(), Some(7), "{said}");
    said
}

fn namespace() -> std::sync::Arc<UserNamespace> {
    UserNamespace::usual().unwrap().unwrap()
}

/// The user who runs the tests.
fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn owners_inside_and_outside(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let script = "stat -c %u:%g /etc/lower; touch /data/a /data/b; chown 33:44 /data/b && \
                  chmod 4755 /data/b && stat -c %u:%g:%a /data/b";
    let spec = Spec::new(layers.root.clone(), shell(script));
    let ran = world.run(&spec).unwrap();
    let outside = |name: &str| {
        let found = fs::metadata(layers.upper.join("data").join(name)).unwrap();
        (found.uid(), found.mode() & 0o7777)
    };
    assert_eq!(outside("a"), (own(), 0o644));
    if world.single() {
        assert_eq!(ran.stdout, "0:0\n");
        assert!(ran.stderr.contains("Invalid argument"), "{ran:?}");
        return Ok(());
    }
    assert_eq!(ran.stdout, "0:0\n33:44:4755\n", "{ran:?}");
    let first = namespace().map().uids[1].outside;
    assert_eq!(outside("b"), (first + 32, 0o4755));
    Ok(())
}

fn users_that_are_not_mapped(world: &World) -> Outcome {
    let last = namespace().map().last_uid();
    let refused = |uid, gid, groups: &[u32]| {
        let error = world.sh_with("true", |spec| {
            spec.process.user.uid = uid;
            spec.process.user.gid = gid;
            spec.process.user.groups = groups.to_vec();
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Process);
        error.to_string()
    };
    let why = if world.single() {
        "this user has no subordinate ids\nsee `kiln doctor`".to_owned()
    } else {
        format!("beyond the subordinate ids of this user, which end at {last}\nsee `kiln doctor`")
    };
    let none = last + 1;
    assert_eq!(refused(none, 0, &[]), format!("user {none}: {why}"));
    assert_eq!(refused(0, none, &[]), format!("group {none}: {why}"));
    if !world.single() {
        assert_eq!(refused(0, 0, &[none]), format!("group {none}: {why}"));
    }
    Ok(())
}

fn groups(world: &World) -> Outcome {
    let ran = world.sh_with("grep Groups /proc/self/status", |spec| {
        spec.process.user.groups = vec![0, 1, 6];
    });
    // With one id root has its rights without them, and the groups in which the user is outside.
    let own = rustix::process::getegid();
    let outside = rustix::process::getgroups().unwrap();
    let outside = outside
        .iter()
        .map(|g| if *g == own { "0" } else { "65534" });
    let groups = match world.single() {
        true => outside.collect::<Vec<_>>().join(" "),
        false => "0 1 6".to_owned(),
    };
    assert_eq!(ran.unwrap().stdout, format!("Groups:\t{groups} \n"));
    Ok(())
}

fn a_child_is_root_inside(_: &World) -> Outcome {
    let status = ask(&namespace(), "status");
    for line in [
        "Uid:\t0\t0\t0\t0",
        "Gid:\t0\t0\t0\t0",
        "CapEff:\t000001ffffffffff",
        "Threads:\t1",
    ] {
        assert!(status.lines().any(|one| one == line), "{line}: {status}");
    }
    Ok(())
}

fn children_share_one_namespace(_: &World) -> Outcome {
    let one = namespace();
    let first = ask(&one, "namespace");
    assert_ne!(first, link("/proc/self/ns/user"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let one = one.clone();
            std::thread::spawn(move || ask(&one, "namespace"))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), first);
    }
    assert_ne!(ask(&namespace(), "namespace"), first, "another value");
    Ok(())
}

fn nothing_leaks(world: &World) -> Outcome {
    let entries = |path: &str| fs::read_dir(path).unwrap().count();
    let children = || {
        let own = std::process::id();
        fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap()
    };
    let mounts = || {
        let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.lines().count()
    };
    let layers = world.layers(&[]);
    let spec = Spec::new(layers.root.clone(), shell("true"));
    assert!(world.run(&spec).unwrap().exit.success());
    let before = (entries("/proc/self/fd"), mounts());
    // Others may mount something meanwhile, but not once for each.
    for _ in 0..200 {
        assert!(world.runner.run(&spec, Io::null()).unwrap().success());
    }
    assert_eq!(entries("/proc/self/fd"), before.0);
    assert!(mounts() < before.1 + 100, "mounts stay");
    assert_eq!(children(), "");
    Ok(())
}

fn ids_that_were_not_granted(_: &World) -> Outcome {
    let mut map = IdMap::single();
    map.uids.push(IdRange {
        inside: 1,
        outside: 4_000_000_000,
        count: 10,
    });
    let error = open_in(Some(&UserNamespace::new(map)), DOOR.name, ["status"]);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("map the subordinate ids of this user: newuidmap: "),
        "{text}"
    );
    assert!(text.ends_with("\nsee `kiln doctor`"), "{text}");
    Ok(())
}

fn a_host_that_forbids_it(_: &World) -> Outcome {
    let said = ask(&namespace(), "forbid");
    let expected = "Unsupported make a user namespace: no space left on device\n\
                    `user.max_user_namespaces` is 0 on this host: \
                    `sysctl -w user.max_user_namespaces=15000` allows it\nsee `kiln doctor`";
    assert_eq!(said, expected);
    Ok(())
}

fn a_host_whose_proc_is_covered(_: &World) -> Outcome {
    let said = ask(&namespace(), "cover");
    let expected = "Unsupported mount on `/proc`: operation not permitted\n\
                    parts of this host's own `/proc` are covered";
    assert!(said.starts_with(expected), "{said}");
    Ok(())
}

fn the_hosts_mounts_are_bound_as_they_are(world: &World) -> Outcome {
    // Their flags cannot be taken away here, and neither can what is mounted below them.
    for (source, read_only) in [
        ("/proc", true),
        ("/sys", false),
        ("/dev", true),
        ("/", true),
    ] {
        let ran = world.sh_with(
            "ls /data | grep -v '^[0-9]*$'; echo x > /data/kiln-test",
            |spec| {
                spec.mounts.push(Mount::Bind {
                    source: source.into(),
                    target: "/data".into(),
                    read_only,
                });
            },
        );
        let ran = ran.unwrap();
        let seen = ran.stdout.lines().count();
        assert_eq!(
            seen,
            fs::read_dir(source).unwrap().filter(shown).count(),
            "{source}"
        );
        assert!(!ran.stderr.is_empty(), "{source} was written to");
    }
    Ok(())
}

/// What is there for longer than a process, and is listed without being asked for.
fn shown(entry: &std::io::Result<fs::DirEntry>) -> bool {
    let name = entry.as_ref().unwrap().file_name();
    let name = name.to_str().unwrap();
    !name.starts_with('.') && name.parse::<u32>().is_err()
}

fn runtimes_are_for_root(world: &World) -> Outcome {
    let spec = Spec::new(world.layers(&[]).root.clone(), shell("true"));
    let error = kiln_sandbox::Runtime::new("/usr/sbin/runc").run(&spec, Io::null());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    Ok(())
}
