//! Bounds on what a process may use, and devices that it is given.

use std::fs;
use std::path::Path;

use kiln_sandbox::{Cpu, Device, ErrorKind, Limits, Memory};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::World;

cases![
    ulimits_are_what_the_process_has,
    shared_memory_is_as_large_as_asked,
    too_much_memory_is_told,
    processors_are_bounded,
    a_group_is_gone_afterwards,
    groups_of_the_killed_are_swept,
    a_group_in_a_parent,
    devices_are_given,
    what_is_no_device_is_refused,
];

fn limits(memory: u64) -> Limits {
    Limits {
        memory: Some(Memory {
            bytes: memory,
            swap: Some(0),
        }),
        ..Limits::default()
    }
}

/// Whether control groups can be made here; why not, where a user may not.
fn groups(world: &World) -> Result<(), String> {
    let tried = world.sh_with("true", |spec| spec.limits = limits(64 << 20));
    match tried {
        Ok(_) => Ok(()),
        Err(error) if world.ids.is_some() => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("limit a step: "), "{error}");
            Err("control groups are root's on this machine".into())
        }
        Err(error) => panic!("{error}"),
    }
}

fn ulimits_are_what_the_process_has(world: &World) -> Outcome {
    let ran = world.sh_with("ulimit -n; ulimit -Hn; ulimit -c", |spec| {
        spec.limits.ulimits = vec!["nofile=64:128".parse().unwrap(), "core=0".parse().unwrap()];
    });
    assert_eq!(ran.unwrap().stdout, "64\n128\n0\n");
    if world.ids.is_some() {
        let raised = world.sh_with("true", |spec| {
            spec.limits.ulimits = vec!["nofile=9999999:99999999".parse().unwrap()];
        });
        let error = raised.unwrap_err().to_string();
        assert!(error.contains("set the ulimit `nofile`"), "{error}");
    }
    Ok(())
}

fn shared_memory_is_as_large_as_asked(world: &World) -> Outcome {
    let size = "stat -f -c '%S %b' /dev/shm";
    for (shm, pages) in [(None, 16384), (Some(1 << 20), 256)] {
        let ran = world.sh_with(size, |spec| spec.limits.shm = shm);
        assert_eq!(ran.unwrap().stdout, format!("4096 {pages}\n"));
    }
    Ok(())
}

fn too_much_memory_is_told(world: &World) -> Outcome {
    groups(world)?;
    // tr keeps nothing; the shell keeps all of it.
    let eats = "echo ready; x=$(yes | head -c 60000000); echo ${#x}";
    for (memory, dies) in [(20 << 20, true), (512 << 20, false)] {
        let mut started = world.start(eats, |spec| {
            spec.limits = limits(memory);
            spec.init = true;
        });
        started.line();
        let exit = started.running.wait().unwrap();
        assert_eq!(started.running.out_of_memory(), dies, "{exit:?}");
        assert_eq!(!exit.success(), dies);
    }
    Ok(())
}

fn processors_are_bounded(world: &World) -> Outcome {
    groups(world)?;
    let ran = world.sh_with("grep Cpus_allowed_list /proc/self/status", |spec| {
        spec.limits.cpu = Cpu {
            cpus: Some("0".into()),
            quota: Some(50_000),
            shares: Some(512),
            ..Cpu::default()
        };
    });
    let ran = ran.unwrap();
    assert_eq!(ran.stdout, "Cpus_allowed_list:\t0\n", "{}", ran.stderr);
    let wrong = world.sh_with("true", |spec| spec.limits.cpu.cpus = Some("999".into()));
    let error = wrong.unwrap_err().to_string();
    assert!(error.contains("set `cpuset.cpus` to `999`"), "{error}");
    Ok(())
}

/// Groups of this crate's below `/sys/fs/cgroup` that are for this process's children.
fn left(within: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(within).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(left(&entry.path()));
            if entry.file_name().to_string_lossy().starts_with("kiln-") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

fn a_group_is_gone_afterwards(world: &World) -> Outcome {
    groups(world)?;
    let mut started = world.start("echo ready; sleep 60 & sleep 60", |spec| {
        spec.limits = limits(64 << 20);
    });
    started.line();
    let own = format!("{}", started.running.pid());
    let of = |path: &String| {
        let text = fs::read_to_string(Path::new(path).join("cgroup.procs")).unwrap_or_default();
        text.lines().any(|pid| pid == own)
    };
    let groups = left(Path::new("/sys/fs/cgroup"));
    let group = groups.into_iter().find(of).expect("it is in a group");
    started.running.signal(9).unwrap();
    started.running.wait().unwrap();
    assert!(!Path::new(&group).exists(), "{group}");
    Ok(())
}

fn groups_of_the_killed_are_swept(world: &World) -> Outcome {
    groups(world)?;
    let mut started = world.start("echo ready; sleep 60", |spec| {
        spec.limits = limits(64 << 20);
    });
    started.line();
    let own = format!("{}", started.running.pid());
    let groups = left(Path::new("/sys/fs/cgroup"));
    let group = groups.into_iter().find(|path| {
        let text = fs::read_to_string(Path::new(path).join("cgroup.procs")).unwrap_or_default();
        text.lines().any(|pid| pid == own)
    });
    let group = group.expect("it is in a group");
    let watcher: i32 = group.rsplit('-').next().unwrap().parse().unwrap();
    let watcher = rustix::process::Pid::from_raw(watcher).unwrap();
    rustix::process::kill_process(watcher, rustix::process::Signal::KILL).unwrap();
    started.running.wait().unwrap_err();
    drop(started);
    assert!(Path::new(&group).exists(), "nobody was there to remove it");
    world
        .sh_with("true", |spec| spec.limits = limits(64 << 20))
        .unwrap();
    assert!(!Path::new(&group).exists(), "{group}");
    Ok(())
}

fn a_group_in_a_parent(world: &World) -> Outcome {
    groups(world)?;
    // A user makes them in the group that is theirs.
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let theirs = own.and_then(|own| Path::new(own).parent());
    let above = theirs
        .filter(|_| world.ids.is_some())
        .unwrap_or(Path::new(""));
    let parent = above.join(format!("kiln-tests-{}", std::process::id()));
    let ran = world.sh_with("true", |spec| {
        spec.limits.cgroup_parent = Some(parent.join("inner"));
    });
    assert!(ran.unwrap().exit.success());
    let mut made = 0;
    for entry in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let inner = entry.path().join(&parent).join("inner");
        made += usize::from(fs::remove_dir(inner).is_ok());
        let _ = fs::remove_dir(entry.path().join(&parent));
    }
    let whole = Path::new("/sys/fs/cgroup").join(&parent);
    made += usize::from(fs::remove_dir(whole.join("inner")).is_ok());
    let _ = fs::remove_dir(whole);
    assert!(made > 0, "no group was made below `{}`", parent.display());
    Ok(())
}

fn devices_are_given(world: &World) -> Outcome {
    let script = "test -c /dev/mine/zero && head -c 3 /dev/mine/zero | wc -c";
    let ran = world.sh_with(script, |spec| {
        spec.devices = vec![Device {
            source: "/dev/zero".into(),
            target: "/dev/mine/zero".into(),
        }];
    });
    let ran = ran.unwrap();
    assert_eq!(ran.stdout.trim(), "3", "{}", ran.stderr);
    Ok(())
}

fn what_is_no_device_is_refused(world: &World) -> Outcome {
    for (source, target) in [
        ("/etc/passwd", "/dev/passwd"),
        ("/dev/none-such", "/dev/x"),
        ("/dev/zero", "/etc/zero"),
        ("/dev/zero", "/dev/../etc/zero"),
    ] {
        let ran = world.sh_with("true", |spec| {
            spec.devices = vec![Device {
                source: source.into(),
                target: target.into(),
            }];
        });
        let error = ran.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mount, "{source} {error}");
    }
    Ok(())
}
