//! Work on the files of a root.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use kiln_sandbox::{Door, ErrorKind, Incoming, Mount, Peer, Place, RootSpec, open_inside};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::world::{Layers, World};

cases![
    a_root_that_nobody_stands_on,
    a_root_that_is_in_use,
    no_link_leads_out,
    mounts_are_in_it,
    owners_are_those_of_the_inside,
    what_fails_is_told,
];

/// What the tests have done inside.
pub(crate) const DOOR: Door = Door {
    name: "files",
    run: files,
};

fn files(incoming: Incoming) -> i32 {
    let Incoming { mut socket, args } = incoming;
    let args: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
    let said = match args[..] {
        ["read", path] => fs::read_to_string(path),
        ["write", path, text] => fs::write(path, text).map(|()| String::new()),
        ["list", path] => fs::read_dir(path).map(|entries| {
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.join(" ")
        }),
        ["owner", path] => fs::metadata(path).map(|found| format!("{}", found.uid())),
        ["own", path, uid] => {
            let uid = uid.parse().unwrap();
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).map(|()| String::new())
        }
        ["where"] => std::env::current_dir().map(|path| path.to_string_lossy().into_owned()),
        _ => panic!("{args:?}"),
    };
    let said = said.unwrap_or_else(|error| format!("error: {:?}", error.kind()));
    socket.write_all(said.as_bytes()).unwrap();
    0
}

/// What the child says.
fn inside(place: Place<'_>, args: &[&str]) -> String {
    let mut outgoing = open_inside(place, DOOR.name, args).unwrap();
    let mut said = String::new();
    outgoing.socket.read_to_string(&mut said).unwrap();
    assert!(outgoing.child.wait().unwrap().success());
    said
}

fn root<'a>(world: &'a World, layers: &'a Layers, mounts: &'a [Mount]) -> Place<'a> {
    Place::Root {
        root: &layers.root,
        mounts,
        namespace: world.namespace.as_deref(),
    }
}

fn a_root_that_nobody_stands_on(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let place = root(world, &layers, &[]);
    assert_eq!(inside(place, &["where"]), "/");
    assert_eq!(inside(place, &["read", "/etc/lower"]), "lower\n");
    assert_eq!(inside(place, &["list", "/proc"]), "");
    inside(place, &["write", "new", "text"]);
    assert_eq!(
        fs::read_to_string(layers.upper.join("new")).unwrap(),
        "text"
    );
    assert_eq!(inside(place, &["read", "/new"]), "text");
    let directory = RootSpec::Directory(world.image.clone());
    let place = Place::Root {
        root: &directory,
        mounts: &[],
        namespace: world.namespace.as_deref(),
    };
    assert_eq!(inside(place, &["read", "etc/lower"]), "lower\n");
    Ok(())
}

fn a_root_that_is_in_use(world: &World) -> Outcome {
    for init in [false, true] {
        let script = "echo x >/data/file; echo up; while ! test -e /tmp/go; do sleep 0.01; done; cat /tmp/go";
        let mut started = world.start(script, |spec| {
            spec.init = init;
            spec.mounts.push(Mount::Tmpfs {
                target: "/data".into(),
                size: None,
                mode: 0o755,
                exec: false,
            });
            spec.make_targets = true;
            spec.mounts.push(whole_host());
        });
        started.line();
        let peer = Peer::new(started.running.pid());
        let place = Place::Running(&peer);
        assert_eq!(inside(place, &["where"]), "/");
        assert_eq!(inside(place, &["read", "/data/file"]), "x\n");
        assert_eq!(inside(place, &["list", "/proc"]), "");
        assert_eq!(inside(place, &["list", "/sys"]), "");
        assert_eq!(inside(place, &["read", "/proc/1/exe"]), "error: NotFound");
        let link = format!("/mnt/host/proc/{}/root/etc", std::process::id());
        assert_eq!(inside(place, &["list", &link]), "error: NotFound");
        assert_ne!(inside(place, &["list", "/mnt/host/usr"]), "");
        inside(place, &["write", "/tmp/go", "went\n"]);
        assert_eq!(started.line(), "went");
        assert!(started.running.wait().unwrap().success());
    }
    Ok(())
}

/// With the host's `/proc`, by whose links everything of the host could be reached.
fn whole_host() -> Mount {
    Mount::Bind {
        source: "/".into(),
        target: "/mnt/host".into(),
        read_only: true,
    }
}

fn no_link_leads_out(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    fs::create_dir(layers.upper.join("etc")).unwrap();
    symlink("/etc/passwd", layers.upper.join("absolute")).unwrap();
    symlink("../../../../../etc/passwd", layers.upper.join("upwards")).unwrap();
    symlink("/proc/self/root/etc/passwd", layers.upper.join("magic")).unwrap();
    let place = root(world, &layers, &[]);
    let images = "root:x:0:0::/root:/bin/sh\n";
    assert_eq!(inside(place, &["read", "/absolute"]), images);
    assert_eq!(inside(place, &["read", "/upwards"]), images);
    assert_eq!(inside(place, &["read", "/magic"]), "error: NotFound");
    let bound = [whole_host()];
    let with_host = root(world, &layers, &bound);
    assert_ne!(inside(with_host, &["list", "/mnt/host/usr"]), "");
    assert_eq!(inside(with_host, &["list", "/mnt/host/proc"]), "");
    inside(place, &["write", "/absolute", "changed"]);
    assert_ne!(fs::read_to_string("/etc/passwd").unwrap(), "changed");
    let changed = fs::read_to_string(layers.upper.join("etc/passwd")).unwrap();
    assert_eq!(changed, "changed");
    Ok(())
}

fn mounts_are_in_it(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let volume = world.scratch();
    fs::write(volume.path().join("kept"), "kept").unwrap();
    let file = volume.path().join("kept");
    let bind = |source: &Path, target: &str, read_only| Mount::Bind {
        source: source.into(),
        target: target.into(),
        read_only,
    };
    let mounts = [
        bind(volume.path(), "/srv/deep/volume", false),
        bind(&file, "/etc/only", true),
    ];
    let place = root(world, &layers, &mounts);
    assert_eq!(inside(place, &["read", "/srv/deep/volume/kept"]), "kept");
    inside(place, &["write", "/srv/deep/volume/new", "new"]);
    assert_eq!(
        fs::read_to_string(volume.path().join("new")).unwrap(),
        "new"
    );
    let refused = inside(place, &["write", "/etc/only", "x"]);
    assert_eq!(refused, "error: ReadOnlyFilesystem");
    let made = fs::metadata(layers.upper.join("srv/deep")).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o755);
    Ok(())
}

fn owners_are_those_of_the_inside(world: &World) -> Outcome {
    let layers = world.layers(&[]);
    let place = root(world, &layers, &[]);
    inside(place, &["write", "/file", ""]);
    assert_eq!(inside(place, &["owner", "/file"]), "0");
    let own = inside(place, &["own", "/file", "33"]);
    if world.single() {
        assert_eq!(own, "error: InvalidInput");
    } else {
        assert_eq!(own, "");
        assert_eq!(inside(place, &["owner", "/file"]), "33");
    }
    Ok(())
}

fn what_fails_is_told(world: &World) -> Outcome {
    let nowhere = RootSpec::Directory("/nowhere/at/all".into());
    let place = Place::Root {
        root: &nowhere,
        mounts: &[],
        namespace: world.namespace.as_deref(),
    };
    let error = open_inside(place, DOOR.name, [""; 0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Root);
    let mut started = world.start("true", |_| {});
    let peer = Peer::new(started.running.pid());
    started.running.wait().unwrap();
    let error = open_inside(Place::Running(&peer), DOOR.name, [""; 0]).unwrap_err();
    assert!(
        error.to_string().contains("does not run any more"),
        "{error}"
    );
    Ok(())
}
