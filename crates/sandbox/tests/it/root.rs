//! What a container asks of its root beside a build step.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kiln_sandbox::{Mount, RootSpec, Spec};

use crate::cases;
use crate::harness::Outcome;
use crate::world::{World, shell};

cases![
    a_read_only_root,
    missing_mount_points_are_made,
    none_is_made_unasked,
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
    // In a file system that was mounted before.
    spec.mounts.push(Mount::Tmpfs {
        target: "/srv/deep/er/own".into(),
        size: None,
        mode: 0o700,
    });
    let ran = world.run(&spec).unwrap();
    assert_eq!(ran.stdout, "kept\nkept\n755\n755\n", "{}", ran.stderr);
    let made = fs::metadata(layers.upper.join("etc/made")).unwrap();
    assert_eq!((made.len(), made.mode() & 0o777), (0, 0o644));
    assert!(volume.path().join("own").is_dir());
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
