use super::hierarchy::found;
use super::*;

fn limits() -> Limits {
    Limits {
        memory: Some(Memory {
            bytes: 1 << 20,
            swap: Some(1 << 20),
        }),
        cpu: Cpu {
            shares: Some(1024),
            quota: Some(50_000),
            cpus: Some("0-1".into()),
            ..Cpu::default()
        },
        ..Limits::default()
    }
}

fn written(files: &[File]) -> Vec<String> {
    let line = |(_, name, value): &File| format!("{name}={value}");
    files.iter().map(line).collect()
}

#[test]
fn both_versions_are_told_the_same() {
    assert_eq!(
        written(&first_files(&limits())),
        [
            "memory.limit_in_bytes=1048576",
            "memory.memsw.limit_in_bytes=2097152",
            "cpu.shares=1024",
            "cpu.cfs_quota_us=50000",
            "cpuset.cpus=0-1",
        ]
    );
    assert_eq!(
        written(&second_files(&limits())),
        [
            "memory.max=1048576",
            "memory.swap.max=1048576",
            "cpu.weight=39",
            "cpu.max=50000 100000",
            "cpuset.cpus=0-1",
        ]
    );
}

#[test]
fn hierarchies_are_found_where_they_are_mounted() {
    let groups = "4:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice/u\n";
    let mounts = "1 0 0:1 / / rw - ext4 /dev/x rw\n\
                  2 1 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                  3 1 0:3 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  4 1 0:4 / /sys/fs/cgroup/cpu rw,nosuid shared:3 - cgroup cgroup rw,cpu,cpuacct\n";
    let found = found(groups, mounts);
    let shown: Vec<_> = found
        .iter()
        .map(|h| {
            let names = h.controllers.join(",");
            format!("{names} {} {}", h.mount.display(), h.own.display())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "memory /sys/fs/cgroup/memory b",
            "cpu,cpuacct /sys/fs/cgroup/cpu ",
            " /sys/fs/cgroup/unified user.slice/u",
        ]
    );
}

#[test]
fn slices_lie_in_slices() {
    let path = |text: &str| path_of(Path::new(text)).ok();
    for (text, expected) in [
        ("/a/b", Some("a/b")),
        ("builds", Some("builds")),
        ("a-b-c.slice", Some("a.slice/a-b.slice/a-b-c.slice")),
        ("a.slice", Some("a.slice")),
        ("/", None),
        ("", None),
        ("../a", None),
        ("a/../..", None),
    ] {
        assert_eq!(path(text), expected.map(PathBuf::from), "{text}");
    }
}
