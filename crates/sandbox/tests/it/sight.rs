//! What a process sees, and what it cannot reach.

use std::fs;
use std::os::unix::fs::symlink;

use kiln_sandbox::{Capability, ErrorKind, Exit, Mount, Spec};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, shell};

cases![
    capabilities_are_dockers,
    no_descriptor_leaks,
    no_process_of_the_host,
    proc_is_masked,
    sys_is_read_only,
    host_name,
    devices,
    terminals_are_of_their_group,
    nodes_do_not_open_disks,
    links_do_not_lead_outside,
    links_in_targets_stay_inside,
    the_old_root_is_gone,
    namespaces_are_refused,
    calls_are_refused,
    no_new_privileges,
    the_init_shows_nothing,
    privileged,
];

fn capabilities_are_dockers(world: &World) -> Outcome {
    let ran = world
        .sh("grep Cap /proc/self/status | tr -d '\\t'")
        .unwrap();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "CapInh:0000000000000000",
            "CapPrm:00000000a80425fb",
            "CapEff:00000000a80425fb",
            "CapBnd:00000000a80425fb",
            "CapAmb:0000000000000000",
        ]
    );
    let ran = world.sh_with("grep CapEff /proc/self/status", |spec| {
        spec.process.capabilities = vec![Capability::Chown];
    });
    assert!(ran.unwrap().stdout.ends_with("0000000000000001\n"));
    Ok(())
}

fn no_descriptor_leaks(world: &World) -> Outcome {
    let file = fs::File::open("/etc/passwd").unwrap();
    // One that this program failed to mark.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    for init in [false, world.native] {
        // The shell has no other; 3 is the directory that `ls` reads.
        let ran = world
            .sh_with("ls /proc/$$/fd; ls /proc/self/fd", |spec| spec.init = init)
            .unwrap();
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(lines, ["0", "1", "2", "0", "1", "2", "3"]);
    }
    Ok(())
}

fn no_process_of_the_host(world: &World) -> Outcome {
    let ran = world
        .sh("for p in /proc/[0-9]*; do cat $p/comm; done")
        .unwrap();
    for line in ran.stdout.lines() {
        assert!(
            line == "sh" || line == "cat" || line == "busybox",
            "{}",
            ran.stdout
        );
    }
    Ok(())
}

fn proc_is_masked(world: &World) -> Outcome {
    // Not every kernel has everything; what this one has must be hidden.
    let mut hidden = 0;
    for name in [
        "kcore",
        "keys",
        "timer_list",
        "interrupts",
        "acpi",
        "scsi",
        "asound",
    ] {
        let path = format!("/proc/{name}");
        let Ok(found) = fs::metadata(&path) else {
            continue;
        };
        let script = if found.is_dir() { "ls" } else { "cat" };
        let ran = world.sh(&format!("{script} {path}")).unwrap();
        // A runtime of before docker 27 leaves the interrupts in sight.
        if world.native || name != "interrupts" {
            assert_eq!(
                (ran.exit, ran.stdout.as_str()),
                (Exit::Code(0), ""),
                "{path}: {ran:?}"
            );
            hidden += 1;
        }
    }
    assert!(hidden > 0);
    let script = "echo 1 > /proc/sys/kernel/domainname; ls -d /proc/sys /proc/irq/. | wc -l";
    let ran = world.sh(script).unwrap();
    assert!(ran.stderr.contains("Read-only file system"), "{ran:?}");
    Ok(())
}

fn sys_is_read_only(world: &World) -> Outcome {
    let ran = world
        .sh("ls /sys/firmware; mkdir /sys/fs/x; ls -d /sys/class/net")
        .unwrap();
    assert_eq!(ran.stdout, "/sys/class/net\n", "{ran:?}");
    assert!(ran.stderr.contains("Read-only"), "{ran:?}");
    Ok(())
}

fn host_name(world: &World) -> Outcome {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let ran = world
        .sh_with("hostname", |spec| spec.hostname = Some("box".into()))
        .unwrap();
    assert_eq!(ran.stdout, "box\n");
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        own
    );
    if world.native {
        assert_eq!(world.sh("hostname").unwrap().stdout, own);
    }
    Ok(())
}

fn devices(world: &World) -> Outcome {
    let ran = world.sh("ls /dev").unwrap();
    // There is one where the kernel shows its memory.
    let names: Vec<&str> = ran.stdout.lines().filter(|name| *name != "core").collect();
    assert_eq!(
        ran.stdout.starts_with("core\n"),
        fs::exists("/proc/kcore").unwrap()
    );
    let usual = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ];
    assert_eq!(names, usual);
    let script =
        "echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c;
        echo x > /dev/full; ls /dev/pts; touch /dev/shm/x && stat -c %a /dev/shm /dev/null";
    for uid in world.users([0, 1000]) {
        let ran = world
            .sh_with(script, |spec| spec.process.user.uid = uid)
            .unwrap();
        let words: Vec<&str> = ran.stdout.split_whitespace().collect();
        assert_eq!(words, ["4", "4", "ptmx", "1777", "666"], "{ran:?}");
        assert!(ran.stderr.contains("No space left"), "{ran:?}");
    }
    Ok(())
}

fn terminals_are_of_their_group(world: &World) -> Outcome {
    let ran = world.sh("grep ' /dev/pts ' /proc/mounts").unwrap();
    assert_eq!(ran.stdout.contains("gid="), !world.single(), "{ran:?}");
    Ok(())
}

fn nodes_do_not_open_disks(world: &World) -> Outcome {
    // Some disk or other: what matters is that opening is not permitted, present or not.
    for directory in ["/tmp", "/dev", "/dev/shm"] {
        let script = format!("mknod {directory}/disk b 1 0 && cat {directory}/disk");
        let ran = world.sh(&script).unwrap();
        let refused = ["Permission denied", "Operation not permitted"];
        assert!(
            refused.iter().any(|text| ran.stderr.contains(text)),
            "{directory}: {ran:?}"
        );
        assert_eq!(ran.stdout, "");
    }
    Ok(())
}

fn links_do_not_lead_outside(world: &World) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        let scratch = world.scratch();
        let (layer, outside) = (scratch.path().join("layer"), scratch.path().join("outside"));
        fs::create_dir(&layer).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, layer.join(name)).unwrap();
        let layers = world.layers(&[&layer]);
        let result = world.run(&Spec::new(layers.root.clone(), shell("ls /proc/self")));
        if world.native {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mount);
            let text = format!("mount on `/{name}`: it must be an ordinary directory in the image");
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
    }
    Ok(())
}

fn links_in_targets_stay_inside(world: &World) -> Outcome {
    let scratch = world.scratch();
    let (layer, outside) = (scratch.path().join("layer"), scratch.path().join("outside"));
    fs::create_dir_all(layer.join("inner")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "host").unwrap();
    // As seen from the host it leads out, as seen from inside it leads to `/inner`.
    symlink("../../../../../../inner", layer.join("link")).unwrap();
    let layers = world.layers(&[&layer]);
    let mut spec = Spec::new(layers.root.clone(), shell("ls /inner /link/"));
    spec.mounts.push(Mount::Bind {
        source: outside,
        target: "/link".into(),
        read_only: true,
    });
    let ran = world.run(&spec).unwrap();
    assert_eq!(ran.stdout.matches("file").count(), 2, "{ran:?}");
    Ok(())
}

fn the_old_root_is_gone(world: &World) -> Outcome {
    let script =
        "ls -d /../etc/lower; ls /.. | grep -c busybox; cat /proc/self/mountinfo; ls /proc/1/root/";
    let ran = world.sh(script).unwrap();
    let temporary = world.image.to_str().unwrap();
    assert!(
        !ran.stdout.contains(temporary) || !world.native,
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains(" /mnt/"), "{}", ran.stdout);
    // chroot is allowed, as in docker, and leads nowhere.
    let escape = "mkdir /data/c; chroot /data/c /../bin/true; cd /..; cd ../../..; ls etc/lower";
    assert_eq!(world.sh(escape).unwrap().stdout, "etc/lower\n");
    Ok(())
}

fn namespaces_are_refused(world: &World) -> Outcome {
    for how in ["-U", "-m", "-n", "-p"] {
        for uid in world.users([0, 1000]) {
            let ran = world.sh_with(&format!("unshare {how} true"), |spec| {
                spec.process.user.uid = uid;
            });
            let ran = ran.unwrap();
            assert_ne!(ran.exit, Exit::Code(0), "unshare {how} as {uid}");
            assert!(ran.stderr.contains("Operation not permitted"), "{ran:?}");
        }
    }
    Ok(())
}

fn calls_are_refused(world: &World) -> Outcome {
    let ran = world.sh("mount -t tmpfs none /data; umount /proc; hostname other; grep Seccomp: /proc/self/status").unwrap();
    assert_eq!(ran.stdout, "Seccomp:\t2\n", "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 3, "{ran:?}");
    Ok(())
}

fn no_new_privileges(world: &World) -> Outcome {
    let user = world.users([1000, 0]).next().unwrap();
    for (asked, told) in [(false, "0"), (true, "1")] {
        let ran = world.sh_with("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status", |spec| {
            spec.process.no_new_privileges = asked;
            spec.process.user.uid = user;
        });
        assert_eq!(
            ran.unwrap().stdout,
            format!("NoNewPrivs:\t{told}\nSeccomp:\t2\n")
        );
    }
    Ok(())
}

fn the_init_shows_nothing(world: &World) -> Outcome {
    if !world.native {
        return Err("an OCI runtime has no init".into());
    }
    let script = "readlink /proc/1/exe /proc/1/fd/*; cat /proc/1/environ /proc/1/maps; ls /proc/1/root/; cat /proc/1/comm; grep CapEff /proc/1/status";
    let ran = world.sh_with(script, |spec| spec.init = true).unwrap();
    assert_eq!(ran.stdout, "init\nCapEff:\t0000000000000020\n", "{ran:?}");
    Ok(())
}

fn privileged(world: &World) -> Outcome {
    let script = "mount -t tmpfs none /data && umount /data && grep Seccomp: /proc/self/status";
    let ran = world
        .sh_with(script, |spec| {
            spec.privileged = true;
            let beyond = |one: &Capability| *one != Capability::SysResource;
            spec.process.capabilities = Capability::ALL.iter().copied().filter(beyond).collect();
        })
        .unwrap();
    assert_eq!(ran.stdout, "Seccomp:\t0\n", "{ran:?}");
    Ok(())
}
