//! Files in and out of a container, what it changed, and images made of that.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use kiln_container::mounts::Wish;
use kiln_container::{Attach, Change, Commit, Container, CopyOptions, ErrorKind, State};
use kiln_image::{Config, Platform, Raw, Reference, RootFs};
use kiln_store::Store;

use crate::world::{World, taken, until};

const KEEP: CopyOptions = CopyOptions {
    follow: false,
    keep_owner: true,
};
const FOLLOW: CopyOptions = CopyOptions {
    follow: true,
    keep_owner: false,
};

fn plain() -> CopyOptions {
    CopyOptions::default()
}

/// A container whose script has run; it goes on until it is stopped.
fn running(world: &World, script: &str) -> Container {
    let create = world.create(&format!("{script}; touch /ready; sleep 1000"));
    start(world, &create)
}

fn start(world: &World, create: &kiln_container::Create) -> Container {
    let container = world.containers.create(create).unwrap();
    container.start(None).unwrap();
    until("its script has run", || {
        let ran = container.stat("/ready", false).is_ok();
        ran || !matches!(container.state().unwrap(), State::Running { .. })
    });
    assert!(matches!(container.state().unwrap(), State::Running { .. }));
    container
}

/// Who runs the test.
fn own() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw())
}

fn stop(container: &Container) {
    container.stop(Some(0), None).unwrap();
}

fn here(world: &World, name: &str) -> String {
    world.folder.join(name).to_str().unwrap().to_owned()
}

/// What a tar has, as `tar` lists it, without times.
fn listed(world: &World, tar: &[u8]) -> Vec<String> {
    let at = world.folder.join("listed.tar");
    fs::write(&at, tar).unwrap();
    let mut command = Command::new("tar");
    let out = command.arg("-tvf").arg(&at).arg("--numeric-owner").output();
    let out = out.unwrap();
    assert!(out.status.success(), "{out:?}");
    let words = |line: &str| {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next().unwrap(), words.next().unwrap());
        let name: Vec<&str> = words.skip(3).collect();
        format!("{mode} {owner} {}", name.join(" "))
    };
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(words).collect()
}

fn tar_of(container: &Container, path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let bytes = container.copy_out(path, false, &mut out).unwrap();
    assert_eq!(bytes, out.len() as u64);
    out
}

pub(crate) fn out_of_it() {
    let world = World::new("copy-out");
    let script = "mkdir -p /d/sub; echo a > /d/a; ln /d/a /d/sub/hard; ln -s a /d/soft; \
                  chown 5:6 /d/a; chmod 4750 /d/a; mkfifo /d/pipe; mkdir -m 700 /d/empty; \
                  ln -s /etc/passwd /d/out; ln -s d /link";
    let container = running(&world, script);
    let expected = [
        "drwxr-xr-x 0/0 d/",
        "-rwsr-x--- 5/6 d/a",
        "drwx------ 0/0 d/empty/",
        "lrwxrwxrwx 0/0 d/out -> /etc/passwd",
        "prw-r--r-- 0/0 d/pipe",
        "lrwxrwxrwx 0/0 d/soft -> a",
        "drwxr-xr-x 0/0 d/sub/",
        "hrwsr-x--- 5/6 d/sub/hard link to d/a",
    ];
    for stopped in [false, true] {
        assert_eq!(
            listed(&world, &tar_of(&container, "/d")),
            expected,
            "{stopped}"
        );
        let content = listed(&world, &tar_of(&container, "d/."));
        assert_eq!(content[..2], ["drwxr-xr-x 0/0 ./", "-rwsr-x--- 5/6 a"]);
        let link = listed(&world, &tar_of(&container, "/link"));
        assert_eq!(link, ["lrwxrwxrwx 0/0 link -> d"]);
        let link = listed(&world, &tar_of(&container, "/link/"));
        assert_eq!((link.len(), link[0].as_str()), (8, "drwxr-xr-x 0/0 link/"));
        let missing = container.copy_out("/no/such", false, &mut Vec::new());
        let missing = missing.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let words = format!(
            "Could not find the file /no/such in container {}",
            container.name()
        );
        assert_eq!(missing.to_string(), words);
        // A link to a file leads to the container's file, not to the machine's.
        let to = here(&world, &format!("passwd-{stopped}"));
        container.copy_from("/d/out", &to, FOLLOW).unwrap();
        let text = fs::read_to_string(&to).unwrap();
        assert!(
            text.starts_with("root:x:0:0::/root:/bin/sh\napp:"),
            "{text}"
        );
        stop(&container);
    }
    let stat = container.stat("/d/soft", false).unwrap();
    assert_eq!(
        (stat.name.as_str(), stat.link.as_deref()),
        ("soft", Some("a"))
    );
    assert!(container.stat("/link", true).unwrap().is_dir);
    // What was left is started again with all of it.
    container.start(None).unwrap();
    assert_eq!(listed(&world, &tar_of(&container, "/d/empty")).len(), 1);
    stop(&container);
}

pub(crate) fn by_dockers_names() {
    let world = World::new("copy-names");
    let container = running(
        &world,
        "mkdir /d /new; echo a > /d/a; chown 5:6 /d/a; echo b > /b; ln -s b /soft; ln -s new/target /dangling",
    );
    let at = |name: &str| here(&world, name);
    let has = |name: &str| fs::read_to_string(world.folder.join(name)).unwrap();
    // Out of it.
    fs::create_dir(at("folder")).unwrap();
    container.copy_from("/b", &at("new"), plain()).unwrap();
    assert_eq!(has("new"), "b\n");
    container.copy_from("/b", &at("folder"), plain()).unwrap();
    assert_eq!(has("folder/b"), "b\n");
    container.copy_from("/d/a", &at("new"), plain()).unwrap();
    assert_eq!(has("new"), "a\n");
    container.copy_from("/d", &at("folder"), plain()).unwrap();
    container.copy_from("/d", &at("made"), plain()).unwrap();
    container
        .copy_from("/d/.", &at("folder/"), plain())
        .unwrap();
    for copied in ["folder/d/a", "made/a", "folder/a"] {
        assert_eq!(has(copied), "a\n");
        let stat = fs::metadata(at(copied)).unwrap();
        assert_eq!((stat.uid(), stat.gid()), own(), "it is the caller's");
    }
    let kept = container.copy_from("/d/a", &at("owned"), KEEP);
    let stat = fs::metadata(at("owned")).unwrap();
    if own() == (0, 0) {
        kept.unwrap();
        assert_eq!((stat.uid(), stat.gid()), (5, 6));
    } else {
        assert_eq!(kept.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    for (from, to, why) in [
        ("/d", "new", "cannot copy directory".to_owned()),
        ("/b", "missing/", "no such directory".to_owned()),
        (
            "/b/",
            "folder",
            format!(
                "Could not find the file /b/ in container {}",
                container.name()
            ),
        ),
        (
            "/b",
            "no/where",
            format!(
                "invalid output path: directory \"{}\" does not exist",
                at("no")
            ),
        ),
    ] {
        let error = container.copy_from(from, &at(to), plain()).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    // Into it.
    fs::set_permissions(at("owned"), fs::Permissions::from_mode(0o640)).unwrap();
    container.copy_to(&at("owned"), "/in", plain()).unwrap();
    container.copy_to(&at("owned"), "/kept", KEEP).unwrap();
    container.copy_to(&at("folder"), "/", plain()).unwrap();
    container.copy_to(&at("folder"), "/made", plain()).unwrap();
    container.copy_to(&at("folder/."), "/d", plain()).unwrap();
    for (path, expected) in [
        ("/in", "-rw-r----- 0/0 in"),
        (
            "/kept",
            &format!("-rw-r----- {}/{} kept", stat.uid(), stat.gid()),
        ),
        ("/folder/d/a", "-rw-r--r-- 0/0 a"),
        ("/made/d/a", "-rw-r--r-- 0/0 a"),
        ("/d/d/a", "-rw-r--r-- 0/0 a"),
        ("/d/b", "-rw-r--r-- 0/0 b"),
    ] {
        assert_eq!(
            listed(&world, &tar_of(&container, path)),
            [expected],
            "{path}"
        );
    }
    let error = container
        .copy_to(&at("folder"), "/in", plain())
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot copy directory");
    let error = container.copy_to(&at("in"), "/", plain()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = container
        .copy_to(&at("new"), "/no/such/x", plain())
        .unwrap_err();
    let words = format!(
        "Could not find the file /no/such in container {}",
        container.name()
    );
    assert_eq!(error.to_string(), words);
    // A link at the destination stays, and what it leads to is replaced.
    symlink("new", at("link")).unwrap();
    container.copy_from("/b", &at("link"), plain()).unwrap();
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert_eq!(has("new"), "b\n");
    container
        .copy_to(&at("folder/a"), "/soft", plain())
        .unwrap();
    assert_eq!(
        container.stat("/soft", false).unwrap().link.as_deref(),
        Some("b")
    );
    container
        .copy_to(&at("folder/a"), "/dangling", plain())
        .unwrap();
    for (path, expected) in [("/b", "a\n"), ("/new/target", "a\n")] {
        container.copy_from(path, &at("out"), plain()).unwrap();
        assert_eq!(has("out"), expected, "{path}");
    }
    // A folder over a file deeper down.
    fs::create_dir_all(at("clash/b")).unwrap();
    let error = container.copy_to(&at("clash/."), "/", plain()).unwrap_err();
    let words = "cannot overwrite non-directory \"/b\" with directory \"b\"";
    assert!(error.to_string().contains(words), "{error}");
    stop(&container);
}

pub(crate) fn nothing_leads_out() {
    let world = World::new("copy-links");
    let outside = world.folder.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let path = outside.to_str().unwrap();
    let script =
        format!("ln -s {path} /away; ln -s {path}/secret /file; mkdir /in; ln -s /in /there");
    let container = running(&world, &script);
    fs::write(world.folder.join("new"), "new").unwrap();
    for stopped in [false, true] {
        for link in ["/away/", "/away/secret", "/file"] {
            let error = container.stat(link, true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{link} {stopped}");
        }
        assert!(
            container
                .copy_to(&here(&world, "new"), "/away/x", plain())
                .is_err()
        );
        // Through a link that leads to a folder of its own.
        let name = format!("/there/new-{stopped}");
        container
            .copy_to(&here(&world, "new"), &name, plain())
            .unwrap();
        assert!(container.stat(&name.replace("there", "in"), false).is_ok());
        stop(&container);
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // A tar that means to write through a link of its own, on the way in and out.
    let tar = world.folder.join("evil.tar");
    let evil = world.folder.join("evil");
    fs::create_dir(&evil).unwrap();
    symlink(path, evil.join("x")).unwrap();
    let make = format!(
        "cd {0}/evil && tar -cf ../evil.tar x && rm x && mkdir x && echo y > x/y && tar -rf ../evil.tar x/y",
        world.folder.display()
    );
    assert!(
        Command::new("sh")
            .args(["-c", &make])
            .status()
            .unwrap()
            .success()
    );
    let _ = container.copy_in("/in", &mut fs::File::open(&tar).unwrap());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    // One that names a folder only on the way to a file: the links that are there hold.
    let make = format!(
        "cd {0} && mkdir -p part/there && echo p > part/there/part && cd part && \
         tar --owner=0 --group=0 -czf ../part.tar.gz there/part",
        world.folder.display()
    );
    assert!(
        Command::new("sh")
            .args(["-c", &make])
            .status()
            .unwrap()
            .success()
    );
    let tar = world.folder.join("part.tar.gz");
    container
        .copy_in("/", &mut fs::File::open(&tar).unwrap())
        .unwrap();
    assert_eq!(container.stat("/in/part", false).unwrap().size, 2);
    assert!(container.stat("/there", false).unwrap().link.is_some());
    // Bad input.
    let error = container
        .copy_in("/in", &mut &b"this is no tar at all"[..])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let error = container.copy_in("/file", &mut &b""[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = container.copy_in("/ready", &mut &b""[..]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("extraction point is not a directory"),
        "{error}"
    );
    fs::write(evil.join(".wh.a"), "").unwrap();
    let error = container
        .copy_to(&here(&world, "evil"), "/in", plain())
        .unwrap_err();
    assert!(error.to_string().contains(".wh."), "{error}");
}

pub(crate) fn through_mounts() {
    let world = World::new("copy-mounts");
    let bound = world.folder.join("bound");
    let fixed = world.folder.join("fixed");
    fs::create_dir(&bound).unwrap();
    fs::create_dir(&fixed).unwrap();
    fs::write(fixed.join("f"), "fixed").unwrap();
    let mut create = world.create("touch /vol/ready; sleep 1000");
    create.host.read_only = true;
    create.host.mounts = [
        format!("{}:/bound", bound.display()),
        format!("{}:/fixed:ro", fixed.display()),
        "data:/vol".to_owned(),
    ]
    .iter()
    .map(|text| Wish::parse_volume(text).unwrap())
    .collect();
    let container = world.containers.create(&create).unwrap();
    // Before it was ever started, while it runs, and after.
    fs::write(world.folder.join("x"), "x").unwrap();
    let x = here(&world, "x");
    for when in ["created", "running", "stopped"] {
        container
            .copy_to(&x, &format!("/bound/{when}"), plain())
            .unwrap();
        container
            .copy_to(&x, &format!("/vol/{when}"), plain())
            .unwrap();
        assert_eq!(fs::read_to_string(bound.join(when)).unwrap(), "x");
        let volume = world.containers.volumes().get("data").unwrap();
        assert_eq!(
            fs::read_to_string(volume.mountpoint.join(when)).unwrap(),
            "x"
        );
        assert_eq!(container.stat("/fixed/f", false).unwrap().size, 5);
        for (to, why) in [
            ("/fixed/x", "mounted volume is marked read-only"),
            ("/srv/x", "container rootfs is marked read-only"),
        ] {
            let error = container.copy_to(&x, to, plain()).unwrap_err();
            assert_eq!(error.to_string(), why, "{when}");
        }
        match when {
            "created" => {
                container.start(None).unwrap();
                until("it runs", || container.stat("/vol/ready", false).is_ok());
            }
            "running" => stop(&container),
            _ => {}
        }
    }
}

pub(crate) fn volumes() {
    let mut world = World::new("volumes");
    let image = &mut world.image.config;
    image.volumes.insert("/srv".into(), kiln_image::Empty {});
    image.volumes.insert("/etc".into(), kiln_image::Empty {});
    let list = || {
        let mut all = world.containers.volumes().list().unwrap();
        all.retain(|volume| volume.anonymous);
        all.len()
    };
    let mut create = world.create("cat /srv/index.html; rm /srv/index.html; ls -a /empty");
    let wish = |text: &str| Wish::parse_volume(text).unwrap();
    create.host.mounts = vec![wish("mine:/srv"), wish("/empty")];
    let first = world.containers.create(&create).unwrap();
    assert_eq!(list(), 2, "one for /etc, one for /empty");
    let error = world.containers.volumes().remove("mine").unwrap_err();
    let words = format!("remove mine: volume is in use - [{}]", first.id());
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Conflict, words)
    );
    let (kinds, rest): (Vec<_>, Vec<_>) = first
        .details()
        .mounts
        .iter()
        .map(|m| (m.kind.name(), m.destination.as_str()))
        .unzip();
    assert_eq!(
        (kinds, rest),
        (vec!["volume"; 3], vec!["/srv", "/empty", "/etc"])
    );
    let attached = first.start(Some(Attach::outputs())).unwrap().unwrap();
    assert_eq!(taken(attached, None).0, "hello from inside\n.\n..\n");
    world.containers.remove(&first, false, false).unwrap();
    assert_eq!(list(), 2, "they stay");
    // The second has what the first left.
    let (text, _) = world.run(&create);
    assert!(text.contains("can't open '/srv/index.html'"), "{text}");
    assert_eq!(list(), 2, "its own went with it");
    create.remove = true;
    let third = world.containers.create(&create).unwrap();
    assert_eq!(list(), 4);
    third.start(None).unwrap();
    until("it is gone", || world.containers.get(third.id()).is_err());
    until("so are its volumes", || list() == 2);
    let volumes = world.containers.volumes();
    assert_eq!(volumes.prune(false, &|_| true).unwrap().len(), 2);
    assert!(volumes.size(&volumes.get("mine").unwrap()).unwrap() > 0);
    volumes.remove("mine").unwrap();
    assert!(volumes.list().unwrap().is_empty());
}

pub(crate) fn changes() {
    let world = World::new("diff");
    let script =
        "echo more >> /etc/passwd; rm /srv/data; mkdir /new; echo x > /new/x; touch /tmp/t";
    let container = world.containers.create(&world.create("true")).unwrap();
    assert!(container.diff().unwrap().is_empty(), "it never ran");
    let container = running(&world, script);
    let expected = [
        (Change::Changed, "/etc"),
        (Change::Changed, "/etc/passwd"),
        (Change::Added, "/new"),
        (Change::Added, "/new/x"),
        (Change::Added, "/ready"),
        (Change::Changed, "/srv"),
        (Change::Deleted, "/srv/data"),
        (Change::Changed, "/tmp"),
        (Change::Added, "/tmp/t"),
    ]
    .map(|(change, path)| (change, path.to_owned()));
    assert_eq!(container.diff().unwrap(), expected);
    stop(&container);
    assert_eq!(container.diff().unwrap(), expected);
    // All of it as one tar.
    let mut tar = Vec::new();
    container.export(&mut tar).unwrap();
    let all = listed(&world, &tar);
    let has = |name: &str| all.iter().any(|line| line.ends_with(&format!(" {name}")));
    for (name, there) in [
        ("bin/busybox", true),
        ("new/x", true),
        ("srv/index.html", true),
        ("srv/data", false),
        ("etc/passwd", true),
    ] {
        assert_eq!(has(name), there, "{name} in {all:?}");
    }
    let text = Command::new("tar")
        .args(["-xOf", &here(&world, "listed.tar"), "etc/passwd"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&text.stdout).ends_with("more\n"));
}

/// The image's config, as a store has it.
fn put_config(world: &mut World) -> Store {
    let store = Store::open(&world.folder.join("store")).unwrap();
    let config = Config {
        config: world.image.config.clone(),
        rootfs: RootFs {
            diff_ids: world.image.layers.clone(),
            ..RootFs::default()
        },
        ..Config::scratch(&Platform::host())
    };
    world.image.id = store.blobs().put(Raw::new(config).bytes()).unwrap();
    store
}

pub(crate) fn committed() {
    let mut world = World::new("commit");
    let store = put_config(&mut world);
    let container = running(&world, "echo added > /file; rm /srv/data");
    let mut config = container.details().config.clone();
    config.cmd = Some(vec!["cat".into(), "/file".into()]);
    config.labels.insert("a".into(), "b".into());
    let commit = Commit {
        author: Some("my name".into()),
        message: Some("added file".into()),
        config,
    };
    let name: Reference = "simple:app1".parse().unwrap();
    // Running, and again when it has ended: the same layer.
    let id = container.commit(&commit, Some(&name)).unwrap();
    let image = store.images().get(&name).unwrap().unwrap();
    assert_eq!(image.id, id);
    stop(&container);
    let again = container.commit(&commit, None).unwrap();
    let again = store.images().by_id(&again).unwrap().unwrap();
    assert_eq!(again.layers, image.layers);
    assert_eq!(
        image.layers[..1],
        world.image.layers,
        "the image's own are shared"
    );
    assert_eq!(image.layers.len(), 2);
    let config = store.images().config(&image).unwrap().value().clone();
    assert_eq!(config.author.as_deref(), Some("my name"));
    assert_eq!(config.rootfs.diff_ids, image.layers);
    let step = config.history.last().unwrap();
    // What ran in it made it, not what the image runs from now on.
    let ran = step.created_by.as_deref().unwrap();
    assert!(ran.starts_with("sh -c echo added > /file"), "{ran}");
    assert_eq!(step.comment.as_deref(), Some("added file"));
    assert_eq!(step.author.as_deref(), Some("my name"));
    assert!(!step.empty_layer && step.created.is_some() && config.created == step.created);
    let tree = store.layers().tree(&image.layers[1]).unwrap().unwrap();
    let paths: Vec<String> = tree.iter().map(|e| e.path.to_string()).collect();
    assert!(
        !paths.iter().any(|path| path.contains("busybox")),
        "{paths:?}"
    );
    // It is an image as any other.
    world.image = kiln_container::Base {
        id,
        name: "simple:app1".into(),
        layers: image.layers,
        config: config.config,
    };
    let create = kiln_container::Create::new(world.image.clone());
    assert_eq!(world.run(&create), ("added\n".to_owned(), 0));
    assert_eq!(world.run(&world.create("ls /srv")).0, "index.html\n");
    // Without changes there is no layer.
    let idle = world.containers.create(&world.create("true")).unwrap();
    let same = idle.commit(&Commit::default(), None).unwrap();
    let same = store.images().by_id(&same).unwrap().unwrap();
    assert_eq!(same.layers.len(), 2);
    let config = store.images().config(&same).unwrap().value().clone();
    assert!(config.history.last().unwrap().empty_layer);
}

pub(crate) fn while_it_writes() {
    let world = World::new("copy-busy");
    let script = "mkdir /b; (while :; do for i in 1 2 3 4 5 6 7 8; do echo $i$i$i$i >> /b/$i; \
                  rm -f /b/$((9 - i)); done; done) & true";
    let container = running(&world, script);
    for _ in 0..20 {
        listed(&world, &tar_of(&container, "/b"));
        container.diff().unwrap();
    }
    container.stop(Some(0), None).unwrap();
}
