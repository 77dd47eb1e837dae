//! Layers as roots of real processes, and back.

use std::io::Read as _;

use kiln_image::Digest;
use kiln_image::media::Compression;
use kiln_layer::Times;
use kiln_rootfs::{ErrorKind, MAX_LAYERS, owner};

use crate::shell::bash;
use crate::world::World;

/// The image has neither `/proc` nor `/etc`: a process that changes nothing leaves no layer, and
/// nothing of the sandbox is in one.
pub(crate) fn nothing_of_the_sandbox_is_in_a_layer() {
    let world = World::new("nothing");
    let (output, made) = world.run(
        &[world.base],
        "cat /etc/hosts /proc/self/comm; ls /dev/null /sys",
    );
    assert!(
        output.contains("localhost") && output.contains("/dev/null"),
        "{output}"
    );
    assert_eq!(made, None);
    let (_, made) = world.run(&[world.base], "echo x > /etc/conf; echo y > /new");
    assert_eq!(
        world.tree_of(&made.unwrap().diff_id),
        ["etc", "etc/conf", "new"]
    );
    let (_, made) = world.run(&[world.base], "chmod 755 /etc; chmod 755 /");
    assert_eq!(
        made, None,
        "what was put there for the mounts is not the image's"
    );
}

/// A layer that a RUN made is mounted below the next; its tar is the same from each of its bodies.
pub(crate) fn layer_upon_layer() {
    let world = World::new("layers");
    let script = "echo one > /tmp/one; ln /tmp/one /tmp/two; rm /bin/false; mkdir -p /a/b; rm -r /tmp/x || true";
    let first = world.run(&[world.base], script).1.unwrap();
    assert_eq!(
        world.tree_of(&first.diff_id),
        ["a", "a/b", "bin", "bin/false", "tmp", "tmp/one", "tmp/two"]
    );
    let layers = [world.base, first.diff_id];
    let (output, second) = world.run(
        &layers,
        "cat /tmp/two; ls /bin/false || true; echo 2 >> /tmp/one; rm -r /a",
    );
    assert!(
        output.starts_with("one\n") && output.contains("No such file"),
        "{output}"
    );
    let second = second.unwrap();
    assert_eq!(world.tree_of(&second.diff_id), ["a", "tmp", "tmp/one"]);

    let mut tar = Vec::new();
    world
        .roots
        .packed(&first.diff_id)
        .unwrap()
        .read_to_end(&mut tar)
        .unwrap();
    assert_eq!(
        (Digest::sha256(&tar), tar.len() as u64),
        (first.diff_id, first.size)
    );
    assert!(
        !world.roots.store().blobs().has(&first.diff_id),
        "no packed copy was written"
    );

    let gzip = world
        .roots
        .compressed(&first.diff_id, Compression::Gzip)
        .unwrap();
    let blob = world.roots.store().blobs().path(&gzip.descriptor.digest);
    let unzipped = bash(
        &world.scratch.0,
        &format!("gzip -dc {} | sha256sum", blob.display()),
    );
    assert_eq!(unzipped[..64], first.diff_id.hex());
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(
        world
            .roots
            .compressed(&first.diff_id, Compression::Gzip)
            .unwrap(),
        gzip
    );
    assert!(blob.exists(), "made again");

    // From the blob a body comes that shows the same.
    let shown = |world: &World| world.run(&layers, "cd /; ls -lnR bin tmp a").0;
    let before = shown(&world);
    assert!(world.roots.store().layers().evict(&first.diff_id).unwrap());
    assert_eq!(shown(&world), before);
}

/// The same changes give the same layer; its body is there already and ours goes.
pub(crate) fn the_same_changes_twice() {
    let world = World::new("twice");
    let script = "echo x > /tmp/x; touch -d @1700000000 /tmp/x /tmp";
    let one = world.run(&[world.base], script).1.unwrap();
    let two = world.run(&[world.base], script).1.unwrap();
    assert_eq!(one, two);
}

/// A layer that names no parents does not change what they look like; a link to a file of a lower
/// layer is that file.
pub(crate) fn foreign_layers() {
    let world = World::new("foreign");
    bash(
        &world.scratch.0,
        "mkdir x; cd x; mkdir -p usr/lib/deep bin; echo x > usr/lib/deep/file; ln ../base/bin/busybox bin/busybox; ln bin/busybox bin/printf
         tar -cf ../bare.tar --numeric-owner usr/lib/deep/file; tar -cf - bin/busybox bin/printf | tar --delete -f - bin/busybox > ../link.tar",
    );
    let bare = world.foreign("bare.tar");
    let (output, made) = world.run(
        &[world.base, bare],
        "stat -c '%a %u:%g %Y' /usr; cat /usr/lib/deep/file",
    );
    assert_eq!(output, "750 0:7 1600000000\nx\n");
    assert_eq!(made, None);
    let link = world.foreign("link.tar");
    world.roots.store().layers().files(&link).unwrap();
    let (output, _) = world.run(&[world.base, link], "/bin/printf linked");
    assert_eq!(output, "linked");
}

/// Mount points that a layer has removed, or that are links to nowhere, are there all the same.
pub(crate) fn mount_points_that_were_removed() {
    let world = World::new("removed");
    let script =
        "mkdir -p /run; echo image > /etc/x; ln -s ../run/stub/resolv.conf /etc/conf; ls -ld /etc";
    let first = world.run(&[world.base], script).1.unwrap();
    bash(
        &world.scratch.0,
        "mkdir r; cd r; mkdir etc; ln -s ../run/stub/resolv.conf etc/resolv.conf; touch etc/.wh.hosts etc/.wh.hostname; tar -cf ../removed.tar etc",
    );
    let removed = world.foreign("removed.tar");
    let layers = [world.base, first.diff_id, removed];
    let (output, made) = world.run(&layers, "cat /etc/x /etc/hosts /etc/hostname; ls /run/stub");
    assert!(output.starts_with("image\n127.0.0.1"), "{output}");
    assert!(output.ends_with("host\nresolv.conf\n"), "{output}");
    assert_eq!(made, None);
}

/// Bodies that are missing are made at the same time, each as its layer says; of several that cannot be
/// made, the lowest is told.
pub(crate) fn several_at_once() {
    let world = World::new("several");
    let mut layers = vec![world.base];
    for n in 0..8 {
        let script = format!(
            "mkdir l; head -c {n}00000 /dev/zero > l/file; echo {n} > l/{n}; tar -cf l{n}.tar l; gzip -k l{n}.tar; rm -r l"
        );
        bash(&world.scratch.0, &script);
        let diff_id = world.foreign(&format!("l{n}.tar"));
        if n % 2 == 0 {
            // Only as a compressed blob.
            let gzip = world.roots.compressed(&diff_id, Compression::Gzip).unwrap();
            std::fs::remove_file(world.roots.store().blobs().path(&diff_id)).unwrap();
            assert!(world.roots.store().blobs().has(&gzip.descriptor.digest));
        }
        layers.push(diff_id);
    }
    let (output, _) = world.run(&layers, "cat /l/[0-9]; stat -c %s /l/file");
    assert_eq!(output, "0\n1\n2\n3\n4\n5\n6\n7\n700000\n");
    for diff_id in &layers {
        assert!(world.roots.store().layers().evict(diff_id).unwrap());
    }
    let unknown = |n: u8| Digest::sha256(&[n]);
    (layers[3], layers[6]) = (unknown(3), unknown(6));
    let at = world.build.tmp().unwrap().join("x");
    std::fs::create_dir(&at).unwrap();
    for _ in 0..5 {
        let error = world.roots.prepare(&layers, &at).unwrap_err();
        assert!(
            error.to_string().contains(&unknown(3).to_string()),
            "{error}"
        );
    }
}

/// Several who want the same body get one.
pub(crate) fn unpacked_once() {
    let world = World::new("once");
    let paths: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.roots.unpacked(&world.base, &[]).unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(paths.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(paths[0].join("bin/busybox").exists());
}

pub(crate) fn what_cannot_be_mounted() {
    let world = World::new("cannot");
    let at = world.build.tmp().unwrap().join("x");
    std::fs::create_dir(&at).unwrap();
    let many = vec![world.base; MAX_LAYERS + 1];
    let error = world.roots.prepare(&many, &at).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyLayers);
    let unknown = Digest::sha256(b"unknown");
    let error = world.roots.prepare(&[unknown], &at).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // A blob that is not what it is kept as.
    let blob = world.roots.store().blobs().path(&world.base);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes.extend_from_slice(&[0; 512]);
    std::fs::write(&blob, bytes).unwrap();
    let error = world.roots.prepare(&[world.base], &at).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    assert!(
        world
            .roots
            .store()
            .layers()
            .unpacked(&world.base)
            .unwrap()
            .is_none()
    );
}

/// An epoch holds for what the next step sees.
pub(crate) fn an_epoch() {
    let world = World::new("epoch");
    let prepared = world.prepare(&[world.base], "e");
    std::fs::write(prepared.upper().join("file"), "x").unwrap();
    let layers = [world.base];
    let made = world
        .roots
        .commit(prepared, &layers, &Times::Clamp(1000).into())
        .unwrap()
        .unwrap();
    let (output, _) = world.run(&[world.base, made.diff_id], "stat -c %Y /file");
    assert_eq!(output, "1000\n");
}

pub(crate) fn users_of_a_root() {
    let world = World::new("users");
    let script = "echo 'app:x:5:6::/home/app:/bin/sh' > /passwd; echo 'app:x:6:' > /group; echo 'video:x:44:app' >> /group; mv /passwd /group /etc/; ln -s /etc/passwd /etc/p";
    let made = world.run(&[world.base], script).1.unwrap();
    let root = world.roots.root(&[world.base, made.diff_id]).unwrap();
    let ids = owner::resolve("app", &root).unwrap();
    assert_eq!((ids.uid, ids.gid, ids.groups), (5, 6, vec![6, 44]));
    assert_eq!(owner::chown("app:video", &root).unwrap(), (5, 44));
    let bare = world.roots.root(&[world.base]).unwrap();
    assert!(owner::resolve("app", &bare).is_err());
    assert_eq!(owner::resolve("", &bare).unwrap().uid, 0);
}

/// A tree that no `rm -rf` of a user could remove, and deeper than there are descriptors.
pub(crate) fn removal() {
    let world = World::new("removal");
    let at = world.scratch.join("deep");
    bash(
        &world.scratch.0,
        "echo kept > kept; mkdir deep; cd deep; ln -s ../kept l; mkdir -m 0 closed; mkfifo f; for i in $(seq 1500); do mkdir d; cd d; done; echo x > x",
    );
    world.roots.remove(&at).unwrap();
    assert!(!at.exists());
    world.roots.remove(&at).unwrap();
    std::os::unix::fs::symlink(world.scratch.join("kept"), &at).unwrap();
    world.roots.remove(&at).unwrap();
    assert!(
        world.scratch.join("kept").exists(),
        "a link is removed, not what it leads to"
    );
}

/// A root that lives on: what it has changed so far is told and kept without touching it, and it can
/// be mounted again.
pub(crate) fn a_root_that_lives_on() {
    let world = World::new("lives");
    let layers = [world.base];
    let at = world.build.tmp().unwrap().join("container");
    std::fs::create_dir(&at).unwrap();
    let prepared = world.roots.prepare(&layers, &at).unwrap();
    let paths = |tree: &kiln_layer::Tree| -> Vec<String> {
        tree.iter().map(|entry| entry.path.to_string()).collect()
    };
    let (none, tree) = world
        .roots
        .changes(&prepared, &layers, Times::Keep, true)
        .unwrap();
    assert_eq!((none, paths(&tree)), (None, Vec::new()));
    world.start(&prepared, &at, "echo one > /tmp/one; rm /bin/false");
    let (none, tree) = world
        .roots
        .changes(&prepared, &layers, Times::Keep, false)
        .unwrap();
    assert_eq!(none, None);
    let expected = ["bin", "bin/false", "tmp", "tmp/one"];
    assert_eq!(paths(&tree), expected);

    let again = world.roots.reopen(&layers, &at).unwrap();
    let said = world.start(
        &again,
        &at,
        "cat /tmp/one; ls /bin/false || true; echo 2 > /two",
    );
    assert!(
        said.starts_with("one\n") && said.contains("No such file"),
        "{said}"
    );
    let (made, tree) = world
        .roots
        .changes(&again, &layers, Times::Keep, true)
        .unwrap();
    assert_eq!(paths(&tree), [&expected[..], &["two"]].concat());
    let made = made.unwrap();
    let mut tar = world.roots.packed(&made.diff_id).unwrap();
    std::io::copy(&mut tar, &mut std::io::sink()).unwrap();
    let (said, _) = world.run(&[world.base, made.diff_id], "cat /tmp/one /two");
    assert_eq!(said, "one\n2\n");
    let said = world.start(&again, &at, "cat /two");
    assert_eq!(said, "2\n", "the root is as it was");

    let measured = world.roots.bodies().measure(prepared.upper()).unwrap();
    assert_eq!(measured.entries, 5, "{measured:?}");
    let du = bash(prepared.upper(), "du -s -B1 . | cut -f1");
    assert_eq!(measured.bytes, du.trim().parse::<u64>().unwrap());
    bash(
        prepared.upper(),
        "mkdir x; head -c 9000 /dev/zero > x/a; ln x/a x/b; ln -s /etc x/l",
    );
    let measured = world.roots.bodies().measure(prepared.upper()).unwrap();
    assert_eq!(measured.entries, 9);
    let du = bash(prepared.upper(), "du -s -B1 . | cut -f1");
    assert_eq!(measured.bytes, du.trim().parse::<u64>().unwrap());
    world.roots.remove(&at).unwrap();
}

/// While files come, go, grow and shrink, each tar is whole: what was stated is what was written.
pub(crate) fn changes_while_they_are_read() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let world = World::new("churn");
    let layers = [world.base];
    let at = world.build.tmp().unwrap().join("container");
    std::fs::create_dir(&at).unwrap();
    let prepared = world.roots.prepare(&layers, &at).unwrap();
    let (stop, upper) = (AtomicBool::new(false), prepared.upper());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = |name: &str| upper.join(name);
            for round in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let n = round % 7;
                std::fs::write(file("grows"), vec![b'x'; (round as usize * 7919) % 300_000])
                    .unwrap();
                let _ = std::fs::create_dir(file(&format!("d{n}")));
                let _ = std::fs::write(file(&format!("d{n}/f")), "x");
                let _ = std::fs::hard_link(file(&format!("d{n}/f")), file(&format!("a{n}")));
                let _ = std::fs::remove_dir_all(file(&format!("d{}", (n + 3) % 7)));
                let _ = std::fs::remove_file(file(&format!("a{}", (n + 5) % 7)));
            }
        });
        for _ in 0..50 {
            let (made, tree) = world
                .roots
                .changes(&prepared, &layers, Times::Keep, true)
                .unwrap();
            let Some(made) = made else { continue };
            let tar = world.roots.packed(&made.diff_id).unwrap();
            let read = kiln_layer::apply(tar, &mut kiln_layer::Nothing).unwrap();
            assert_eq!((read.diff_id, read.tree), (made.diff_id, tree));
        }
        stop.store(true, Ordering::Relaxed);
    });
    world.roots.remove(&at).unwrap();
}
