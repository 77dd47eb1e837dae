//! Mounts of the sandbox's own kinds: what they show, what they cannot be made to cover, and that nobody
//! inside changes what is shown once.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use kiln_sandbox::{ErrorKind, Hidden, Mount, Owned, RootSpec};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::World;

cases![
    a_file_is_as_it_is_for_all_inside,
    a_socket_is_a_socket,
    what_the_kernel_shows_is_covered_by_nobody,
    where_a_process_starts_is_no_link_of_the_kernels,
];

fn owned(mode: u32) -> Owned {
    Owned {
        uid: 0,
        gid: 0,
        mode,
    }
}

fn a_file_is_as_it_is_for_all_inside(world: &World) -> Outcome {
    let script = "stat -c '%a %u %g' /data/s; cat /data/s; echo; (echo new > /data/s); \
                  rm -f /data/s; mv /data/s /data/t; chmod 777 /data/s; cat /data/s";
    let ran = world.sh_with(script, |spec| {
        spec.mounts.push(Mount::File {
            content: Hidden::new(b"hidden"),
            target: "/data/s".into(),
            owned: owned(0o640),
        });
        // Its place has to be there.
        spec.mounts.insert(
            0,
            Mount::Tmpfs {
                target: "/data".into(),
                size: None,
                mode: 0o755,
                exec: false,
            },
        );
    });
    let ran = ran.unwrap();
    assert_eq!(ran.stdout, "640 0 0\nhidden\nhidden", "{}", ran.stderr);
    let refusals = ran.stderr.matches("Read-only file system").count();
    assert_eq!(refusals, 2, "{}", ran.stderr);
    Ok(())
}

fn a_socket_is_a_socket(world: &World) -> Outcome {
    let scratch = world.scratch();
    let (socket, file) = (scratch.path().join("socket"), scratch.path().join("file"));
    let link = scratch.path().join("link");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::write(&file, "host").unwrap();
    symlink(&socket, &link).unwrap();
    for (source, well) in [(&socket, true), (&file, false), (&link, false)] {
        let ran = world.sh_with("stat -c '%a %F' /data/s", |spec| {
            spec.mounts = vec![
                Mount::Tmpfs {
                    target: "/data".into(),
                    size: None,
                    mode: 0o755,
                    exec: false,
                },
                Mount::Socket {
                    source: source.clone(),
                    target: "/data/s".into(),
                    owned: owned(0o600),
                },
            ];
        });
        match ran {
            Ok(ran) => assert_eq!((well, &*ran.stdout), (true, "600 socket\n"), "{source:?}"),
            Err(error) => {
                assert!(
                    !well && error.to_string().contains("not a socket"),
                    "{error}"
                );
            }
        }
    }
    Ok(())
}

fn what_the_kernel_shows_is_covered_by_nobody(world: &World) -> Outcome {
    let scratch = world.scratch();
    let folder = scratch.path().join("folder");
    fs::create_dir(&folder).unwrap();
    // As somebody inside may have left it.
    for (name, to) in [("p", "/proc"), ("s", "/sys"), ("self", "/proc/self")] {
        symlink(to, folder.join(name)).unwrap();
    }
    let part = |target: &str| Mount::Part {
        root: RootSpec::Directory(folder.clone()),
        path: "/".into(),
        target: target.into(),
        read_only: false,
    };
    for target in ["/data/p", "/data/p/sys", "/data/s/kernel", "/data/self/fd"] {
        let tmpfs = Mount::Tmpfs {
            target: target.into(),
            size: None,
            mode: 0o755,
            exec: false,
        };
        for mount in [tmpfs, part(target)] {
            let ran = world.sh_with("true", |spec| spec.mounts = vec![part("/data"), mount]);
            let error = ran.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mount, "{target}: {error}");
            let why = "what the kernel shows of itself";
            assert!(error.to_string().contains(why), "{target}: {error}");
        }
    }
    Ok(())
}

fn where_a_process_starts_is_no_link_of_the_kernels(world: &World) -> Outcome {
    for cwd in [
        "/proc/self/fd/3",
        "/proc/self/root",
        "/proc/1/cwd",
        "/proc/self/fd/0/..",
    ] {
        let ran = world.sh_with("ls", |spec| spec.process.cwd = cwd.into());
        let error = ran.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WorkingDirectory, "{cwd}: {error}");
    }
    Ok(())
}
