//! What a container asks of its root beside a build step.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use kiln_sandbox::{Io, Mount, Peer, Process, RootSpec, Spec, enter};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{World, shell};

cases![
    a_read_only_root,
    missing_mount_points_are_made,
    none_is_made_unasked,
    nobody_inside_writes_to_this_program,
];

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount::Bind {
        source: source.into(),
        target: target.into(),
        read_only,
    }
}

fn a_read_only_root(world: &World) -> Outcome {
    let volume = world.scratch();
    let directory = world.scratch();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(world.image.join("."))
        .arg(directory.path())
        .status();
    assert!(copied.unwrap().success());
    let layers = world.layers(&[]);
    let directory = RootSpec::Directory(directory.path().into());
    for root in [layers.root.clone(), directory] {
        let script = "touch /file 2>&1; touch /data/file && touch /dev/shm/file && \
            (touch /work/file 2>&1); rm /etc/lower 2>&1; echo end";
        let mut spec = Spec::new(root, shell(script));
        spec.read_only = true;
        spec.mounts.push(bind(volume.path(), "/data", false));
        spec.mounts.push(bind(volume.path(), "/work", true));
        let ran = world.run(&spec).unwrap();
        let text = "touch: /file: Read-only file system\n\
            touch: /work/file: Read-only file system\n\
            rm: can't remove '/etc/lower': Read-only file system\nend\n";
        assert_eq!(ran.stdout, text, "{}", ran.stderr);
        assert!(volume.path().join("file").exists());
    }
    Ok(())
}

fn missing_mount_points_are_made(world: &World) -> Outcome {
    let volume = world.scratch();
    fs::write(volume.path().join("file"), "kept\n").unwrap();
    let layers = world.layers(&[]);
    let script = "cat /srv/deep/er/file /etc/made; stat -c %a /srv/deep /srv";
    let mut spec = Spec::new(layers.root.clone(), shell(script));
    spec.make_targets = true;
    spec.mounts.push(bind(volume.path(), "/srv/deep/er", false));
    let file = volume.path().join("file");
    spec.mounts.push(bind(&file, "/etc/made", false));
    // A link that leads to nothing yet.
    std::os::unix::fs::symlink("../run/later", layers.upper.join("srv-link")).unwrap();
    spec.mounts.push(bind(&file, "/srv-link/file", false));
    // In a file system that was mounted before.
    spec.mounts.push(Mount::Tmpfs {
        target: "/srv/deep/er/own".into(),
        size: None,
        mode: 0o700,
        exec: true,
    });
    let ran = world.run(&spec).unwrap();
    assert_eq!(ran.stdout, "kept\nkept\n755\n755\n", "{}", ran.stderr);
    let made = fs::metadata(layers.upper.join("etc/made")).unwrap();
    assert_eq!((made.len(), made.mode() & 0o777), (0, 0o644));
    assert!(volume.path().join("own").is_dir());
    assert!(layers.upper.join("run/later/file").is_file());
    Ok(())
}

fn none_is_made_unasked(world: &World) -> Outcome {
    let volume = world.scratch();
    let error = world.sh_with("true", |spec| {
        spec.mounts.push(bind(volume.path(), "/srv/none", false));
    });
    let text = "mount on `/srv/none`: it does not exist in the root";
    assert_eq!(error.unwrap_err().to_string(), text);
    Ok(())
}

/// The script by which a process inside executes this very program: what executes it then.
pub(crate) const AGAIN: &str = "/again";

/// What this program does when it is executed by that.
#[allow(clippy::print_stdout)] // It is how the test is answered.
pub(crate) fn again() {
    let found = rustix::fs::statvfs("/proc/self/exe").unwrap();
    let read_only = found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    println!("read-only: {read_only}");
}

/// A script whose interpreter is `/proc/self/exe` has whoever executes it execute itself anew, inside.
/// (The loader of this program has to be there, which who makes the image can see to.)
fn nobody_inside_writes_to_this_program(world: &World) -> Outcome {
    if !world.native {
        return Err("a runtime guards its own file".into());
    }
    let layers = world.layers(&[]);
    let script = layers.upper.join("again");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for init in [false, true] {
        let mut spec = Spec::new(layers.root.clone(), Process::new([AGAIN]));
        spec.init = init;
        spec.make_targets = true;
        for libraries in ["/lib", "/lib64", "/usr/lib"] {
            if Path::new(libraries).exists() {
                spec.mounts
                    .push(bind(Path::new(libraries), libraries, true));
            }
        }
        let ran = world.run(&spec).unwrap();
        assert_eq!(ran.stdout, "read-only: true\n", "{}", ran.stderr);

        spec.process = shell("while :; do sleep 1; done");
        let host = world.runner.start(&spec, Io::null()).unwrap();
        let (mut stdout, out) = std::io::pipe().unwrap();
        let io = Io {
            stdout: out.into(),
            ..Io::null()
        };
        let peer = Peer::new(host.pid());
        let _beside = enter(&peer, &Process::new([AGAIN]), false, io).unwrap();
        let mut said = String::new();
        stdout.read_to_string(&mut said).unwrap();
        assert_eq!(said, "read-only: true\n");
    }
    Ok(())
}
