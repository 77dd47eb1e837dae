//! What a user who is not root gets is what root gets: the same layers, byte for byte, of the same
//! image and the same scripts. Root tells the story first, and leaves the image and its own answers
//! in the folder of the user.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_image::Digest;
use kiln_layer::{Entry, Kind, Root, Times, Tree};
use kiln_rootfs::{Bodies, Direct, ErrorKind, Keeper, Roots, bodies};
use kiln_sandbox::{IdMap, Io, Native, Process, Runner as _, Spec, Stream, UserNamespace};
use kiln_store::{Facts, Store};
use kiln_tests::users::User;
use rustix::process::{Pid, Signal, kill_process};

use crate::shell::{Scratch, bash};

/// An image with everything that an ordinary disk of an ordinary user cannot hold.
const IMAGE: &str = r#"
mkdir -m 755 bin usr etc; mkdir -m 1777 tmp
cp $(command -v busybox) bin/busybox
for l in $(ldd bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p .$(dirname $l); cp -L $l .$l; done
for a in sh cat echo ls rm mkdir touch stat chmod chown mv cp ln true mkfifo mknod find head; do ln -s busybox bin/$a; done
mkdir -m 700 owners
for id in 0 33 1000 65534 65536 70000 100000; do
  echo $id > owners/f$id; chmod 640 owners/f$id; chown $id:$id owners/f$id
  mkdir -m 750 owners/d$id; echo in > owners/d$id/in; chmod 600 owners/d$id/in; chown -R $id:4 owners/d$id
  ln -s /owners/f$id owners/l$id; chown -h $id:$id owners/l$id
  mkfifo owners/p$id; chown $id:7 owners/p$id
done
mkdir modes; for m in 0 444 4755 2755 6711 1644; do echo $m > modes/$m; chown 33:70000 modes/$m; chmod $m modes/$m; done
mkdir -m 3777 modes/dir; chown 70000:33 modes/dir; chmod 3777 modes/dir
mkdir devices; mknod devices/null c 1 3; mknod devices/loop b 7 0; chown 70000:6 devices/loop; chmod 660 devices/loop
mkdir links; echo one > links/a; chown 70000:70000 links/a; ln links/a links/b; ln links/a owners/c
mkdir attributes; echo x > attributes/user; setfattr -n user.color -v red attributes/user; chown 70000 attributes/user
cp bin/busybox attributes/ping; setcap cap_net_raw+ep attributes/ping
echo x > attributes/list; chown 33:33 attributes/list
setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff020004007011010004000400ffffffff10000400ffffffff20000400ffffffff attributes/list
find . -exec touch -h -d @1600000000 {} +
"#;

/// What is done on it, one layer a row; whether it needs users beside root.
const STORY: &[(&str, bool)] = &[
    ("true", false),
    (
        "echo more >> /owners/f70000; echo more >> /owners/f33; chmod 600 /owners/f1000",
        false,
    ),
    ("mv /owners/f100000 /moved; cp -r /modes/dir /copied", false),
    (
        "rm /owners/l33; ln -s /owners/f33 /owners/l33; touch -h /owners/l70000 /owners/p70000; mv /owners/p33 /owners/pp33 || true",
        true,
    ),
    ("touch -h /owners/l70000 /owners/p70000", false),
    (
        "ln /links/b /links/c; echo two >> /links/c; rm /owners/f0; echo new > /owners/f0",
        false,
    ),
    (
        "echo x > /new; mv /new /owners/f65536; rm -r /owners/d33; mkdir /owners/d33; echo y > /owners/d33/z",
        false,
    ),
    (
        "mv /devices/null /devices/zero; rm /devices/loop; echo content > /devices/loop",
        false,
    ),
    (
        "touch /devices/zero /attributes/list /attributes/ping /attributes/user; mv /attributes/list /attributes/moved",
        false,
    ),
    (
        "chown 5:6 /owners/f65534 /modes/4755; chown 33:44 /owners/d70000; chown -h 12:13 /owners/l1000 /owners/p1000",
        true,
    ),
    (
        "chown 0:0 /moved /modes/dir; chmod 4711 /moved; chown 65533 /modes/444",
        true,
    ),
    (
        "chown 65534:65534 /modes/2755; mkdir -p /a/b; chown 100 /a; chmod 2770 /a; mkfifo /a/f; chown 9:9 /a/f",
        true,
    ),
    ("rm -rf /owners /modes /devices", false),
];

/// A store of somebody, with the image in it.
struct Place {
    folder: PathBuf,
    roots: Roots,
    runner: Native,
    base: Digest,
}

impl Place {
    fn new(folder: &Path, image: &Path, namespace: Option<Arc<UserNamespace>>) -> Self {
        let store = Store::open(&folder.join("store")).unwrap();
        let roots = Roots::new(store.clone(), bodies(namespace.as_ref(), store.root()));
        let base = store.blobs().put(&std::fs::read(image).unwrap()).unwrap();
        store.layers().put(&base, Facts::default(), None).unwrap();
        Self {
            folder: folder.to_owned(),
            roots,
            runner: Native::new(namespace),
            base,
        }
    }

    fn run(&self, at: &Path, prepared: &kiln_rootfs::Prepared, script: &str) -> String {
        let mut process = Process::new(["/bin/sh", "-uc", script]);
        process.env = vec![("PATH".into(), "/bin".into())];
        let spec = Spec::new(prepared.root_spec(false), process);
        let out = at.join("output");
        let file = std::fs::File::create(&out).unwrap();
        let io = Io {
            stdin: Stream::Null,
            stdout: Stream::from(file.try_clone().unwrap()),
            stderr: Stream::from(file),
        };
        let exit = self.runner.run(&spec, io).unwrap();
        let output = String::from_utf8_lossy(&std::fs::read(&out).unwrap()).into_owned();
        assert!(exit.success(), "{script}: {exit:?}\n{output}");
        output
    }

    /// Every layer of the story as text: its digest, and each entry. Then what a process sees at the
    /// end, once more after all bodies were made again from tars.
    fn story(&self, users: bool) -> String {
        let mut told = String::new();
        let mut layers = vec![self.base];
        let build = self.roots.store().begin().unwrap();
        for (index, (script, _)) in STORY.iter().enumerate().filter(|(_, (_, u))| users || !u) {
            let at = build.tmp().unwrap().join(format!("step{index}"));
            std::fs::create_dir(&at).unwrap();
            let prepared = self.roots.prepare(&layers, &at).unwrap();
            self.run(&at, &prepared, script);
            let times = Times::Exactly(1_700_000_000);
            let (_, shown) = self
                .roots
                .changes(&prepared, &layers, times, false)
                .unwrap();
            let made = self.roots.commit(prepared, &layers, &times.into()).unwrap();
            self.roots.remove(&at).unwrap();
            assert!(!at.exists(), "{script}: all of it is removed");
            let tree = made.map(|m| {
                self.roots
                    .store()
                    .layers()
                    .tree(&m.diff_id)
                    .unwrap()
                    .unwrap()
            });
            assert_eq!(
                shown,
                tree.as_deref().cloned().unwrap_or_default(),
                "{script}"
            );
            writeln!(
                told,
                "\n{script}: {:?}",
                made.map(|m| m.diff_id.to_string())
            )
            .unwrap();
            tree.iter()
                .flat_map(|t| t.iter())
                .for_each(|e| told += &line(e));
            layers.extend(made.map(|m| m.diff_id));
        }
        for diff_id in &layers {
            let tar = self.roots.packed(diff_id).unwrap();
            let read = kiln_layer::apply(tar, &mut kiln_layer::Nothing).unwrap();
            assert_eq!(read.diff_id, *diff_id, "the tar is the same from the body");
        }
        assert_eq!(self.roots.store().check().unwrap(), []);
        told + &self.contents(&layers)
    }

    /// The layer that `script` makes on the image, and what `look` sees on both.
    fn layer_and_look(&self, name: &str, script: &str, look: &str) -> (Digest, String) {
        let build = self.roots.store().begin().unwrap();
        let at = build.tmp().unwrap().join(name);
        let mut layers = vec![self.base];
        std::fs::create_dir(&at).unwrap();
        let prepared = self.roots.prepare(&layers, &at).unwrap();
        self.run(&at, &prepared, script);
        let times = Times::Exactly(1_700_000_000);
        let made = self
            .roots
            .commit(prepared, &layers, &times.into())
            .unwrap()
            .unwrap();
        self.roots.remove(&at).unwrap();
        layers.push(made.diff_id);
        std::fs::create_dir(&at).unwrap();
        let prepared = self.roots.prepare(&layers, &at).unwrap();
        let seen = self.run(&at, &prepared, look);
        self.roots.remove(&at).unwrap();
        (made.diff_id, seen)
    }

    /// What files of each layer have, read in this process one by one.
    fn contents(&self, layers: &[Digest]) -> String {
        let mut told = String::from("\ncontents\n");
        for diff_id in layers {
            let files = self.roots.store().layers();
            let tree = files.tree(diff_id).unwrap().unwrap();
            let body = files.unpacked(diff_id).unwrap().unwrap();
            for entry in tree.iter().filter(|e| e.file().is_some()) {
                let file = self.roots.bodies().open(&body.root(), &entry.path).unwrap();
                let again = files.files(diff_id).unwrap().open(&entry.path).unwrap();
                let length = entry.file().map(|f| f.size);
                assert_eq!(io::copy(&mut { again }, &mut io::sink()).ok(), length);
                let bytes = io::read_to_string(file.take(100)).unwrap_or_default();
                writeln!(told, "{} {bytes:?}", entry.path).unwrap();
            }
        }
        told
    }
}

fn line(entry: &Entry) -> String {
    let Entry { path, meta, kind } = entry;
    let kind = match kind {
        Kind::File(file) => format!("file {} {}", file.size, file.digest),
        kind => format!("{kind:?}"),
    };
    let (mode, uid, gid) = (meta.mode, meta.uid, meta.gid);
    format!(
        "{path} {kind} {mode:o} {uid}:{gid} {:?} {:?}\n",
        meta.mtime, meta.xattrs
    )
}

/// Makes the image, and root's answers, in the folder of a user.
pub(crate) fn prepare(user: &User) {
    let folder = user.home();
    let scratch = Scratch::new("image");
    std::fs::create_dir(scratch.join("image")).unwrap();
    bash(&scratch.join("image"), IMAGE);
    let image = folder.join("image.tar");
    let mut tar = std::fs::File::create(&image).unwrap();
    let (root, stubs) = (Root::default(), Tree::new());
    let all = scratch.join("image");
    Direct
        .changes(&all, &root, &stubs, Times::Keep, Some(&mut tar))
        .unwrap();
    let told = Place::new(&scratch.0, &image, None).story(user.has_ids());
    std::fs::write(folder.join("expected"), told).unwrap();
}

fn of_user() -> (PathBuf, Arc<UserNamespace>) {
    let namespace = UserNamespace::usual()
        .unwrap()
        .expect("these tests are not run as root");
    (std::env::temp_dir(), namespace)
}

pub(crate) fn layers_are_those_of_root() -> Result<(), String> {
    let (folder, namespace) = of_user();
    let users = !namespace.map().is_single();
    let place = Place::new(&folder, &folder.join("image.tar"), Some(namespace));
    let told = place.story(users);
    let expected = std::fs::read_to_string(folder.join("expected")).unwrap();
    let mut differs = expected.lines().zip(told.lines()).filter(|(a, b)| a != b);
    let first: Vec<_> = differs.by_ref().take(6).collect();
    assert!(told == expected, "expected, got: {first:#?}");

    // What a process sees of the first layer is what its owners are, as far as they can be shown.
    let at = place.folder.join("look");
    std::fs::create_dir(&at).unwrap();
    let prepared = place.roots.prepare(&[place.base], &at).unwrap();
    let seen = place.run(
        &at,
        &prepared,
        "stat -c '%n %u:%g %a' /owners/f33 /owners/d70000 /modes/4755 /",
    );
    let expected = match users {
        true => {
            "/owners/f33 33:33 640\n/owners/d70000 65536:4 750\n/modes/4755 33:65536 4755\n/ 0:0 755\n"
        }
        false => "/owners/f33 0:0 640\n/owners/d70000 0:0 750\n/modes/4755 0:0 4755\n/ 0:0 755\n",
    };
    assert_eq!(seen, expected);
    place.roots.remove(&at).unwrap();
    drop(place);
    Ok(())
}

/// The keeper's process, while it runs.
fn keeper_of_this_process() -> Option<Pid> {
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let is_keeper = |pid: &&str| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|l| l.contains("keeper"))
    };
    let pid = children.split_ascii_whitespace().find(is_keeper)?;
    Pid::from_raw(pid.parse().unwrap())
}

/// A tar that goes on until somebody says stop, and then a little longer.
struct Endless<'a>(&'a AtomicBool);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let again = self.0.swap(true, Ordering::Relaxed);
        if let Some(keeper) = keeper_of_this_process().filter(|_| again) {
            kill_process(keeper, Signal::KILL).unwrap();
        }
        let header = std::fs::read(std::env::temp_dir().join("image.tar")).unwrap();
        buffer[..512].copy_from_slice(&header[..512]);
        Ok(512)
    }
}

pub(crate) fn a_keeper_that_dies() -> Result<(), String> {
    let (folder, namespace) = of_user();
    let folder = folder.join("dies");
    std::fs::create_dir(&folder).unwrap();
    let keeper = Keeper::new(namespace, &folder);
    assert_eq!(
        keeper_of_this_process(),
        None,
        "it starts when it is needed"
    );
    keeper.make(&Tree::new(), &folder.join("one")).unwrap();
    let first = keeper_of_this_process().expect("a keeper");
    keeper.make(&Tree::new(), &folder.join("two")).unwrap();
    assert_eq!(keeper_of_this_process(), Some(first), "one is enough");

    kill_process(first, Signal::KILL).unwrap();
    while keeper.make(&Tree::new(), &folder.join("three")).is_err() {}
    assert_ne!(keeper_of_this_process(), Some(first));

    let started = AtomicBool::new(false);
    let error = keeper
        .unpack(&mut Endless(&started), None, &folder.join("four"))
        .unwrap_err();
    assert!(
        error.to_string().contains("keeper ended") && error.to_string().contains("signal: 9"),
        "{error}"
    );
    keeper.make(&Tree::new(), &folder.join("five")).unwrap();
    assert!(keeper_of_this_process().is_some());
    drop(keeper);
    assert_eq!(keeper_of_this_process(), None, "it ends with who asked it");
    Ok(())
}

/// Errors are those that root gets.
pub(crate) fn errors_come_over() -> Result<(), String> {
    let (folder, namespace) = of_user();
    let keeper = Keeper::new(namespace, &folder.join("store"));
    let at = folder.join("errors");
    let bad = keeper
        .unpack(&mut &[7_u8; 1024][..], None, &at)
        .unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::Layer, "{bad}");
    let there = keeper.unpack(&mut io::empty(), None, &at).unwrap_err();
    assert_eq!(
        (there.kind(), there.path()),
        (ErrorKind::Io, Some(&*at)),
        "{there}"
    );

    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the line is cut"))
        }
    }
    let torn = keeper
        .unpack(&mut Torn, None, &folder.join("torn"))
        .unwrap_err();
    let cause = std::error::Error::source(&torn).unwrap();
    let cause = cause
        .source()
        .map_or(cause.to_string(), ToString::to_string);
    assert!(cause.contains("cut"), "{torn}: {cause}");

    let unknown = kiln_layer::RootLayer {
        diff_id: Digest::sha256(b"nowhere"),
        files: Arc::new(kiln_layer::InMemory::new()),
    };
    let unknown = Root::new(vec![unknown]);
    let missing = keeper
        .commit(&at, &unknown, &Tree::new(), &Times::Keep.into())
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    keeper.remove(&at).unwrap();
    keeper.remove(&at).unwrap();
    Ok(())
}

/// Everything at once: more requests than cores, and streams that wait for each other.
pub(crate) fn many_at_once() -> Result<(), String> {
    let (folder, namespace) = of_user();
    let keeper = Keeper::new(namespace, &folder.join("store"));
    let image = folder.join("image.tar");
    let digest = Digest::sha256(&std::fs::read(&image).unwrap());
    std::thread::scope(|scope| {
        for n in 0..12 {
            let (keeper, folder, image) = (&keeper, &folder, &image);
            scope.spawn(move || {
                let at = folder.join(format!("many{n}"));
                let mut tar = std::fs::File::open(image).unwrap();
                let applied = keeper.unpack(&mut tar, None, &at).unwrap();
                assert_eq!(applied.diff_id, digest);
                // From one body to the next, without a file between them.
                let (reader, writer) = io::pipe().unwrap();
                let (from, tree) = (&at, &Arc::new(applied.tree.clone()));
                let to = folder.join(format!("again{n}"));
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        let mut writer = io::BufWriter::new(writer);
                        keeper.pack(from, tree, &mut writer).unwrap();
                    });
                    let mut reader = reader;
                    assert_eq!(
                        keeper.unpack(&mut reader, None, &to).unwrap().diff_id,
                        digest
                    );
                });
                let inside = applied.tree.iter().filter(|e| !e.path.is_root()).count();
                assert_eq!(keeper.measure(&at).unwrap().entries, inside as u64);
                keeper.remove(&at).unwrap();
                keeper.remove(&to).unwrap();
                assert!(!at.exists() && !to.exists());
            });
        }
    });
    Ok(())
}

/// Who gets subordinate ids after the first build sees the image's owners from then on: what was
/// unpacked without them is made anew, and the layers are the same.
pub(crate) fn ids_that_came_later() -> Result<(), String> {
    let (folder, namespace) = of_user();
    let single = Arc::new(UserNamespace::new(IdMap::single()));
    let (folder, image) = (folder.join("later"), folder.join("image.tar"));
    std::fs::create_dir(&folder).unwrap();
    let look = "stat -c '%n %u:%g' /owners/f33 /owners/f1000";
    let script = "chmod 700 /owners/f33";
    let before = Place::new(&folder, &image, Some(single));
    let (layer, seen) = before.layer_and_look("before", script, look);
    assert_eq!(seen, "/owners/f33 0:0\n/owners/f1000 0:0\n");
    drop(before);

    let users = !namespace.map().is_single();
    let after = Place::new(&folder, &image, Some(namespace));
    let (again, seen) = after.layer_and_look("after", script, look);
    assert_eq!(again, layer);
    let expected = match users {
        true => "/owners/f33 33:33\n/owners/f1000 1000:1000\n",
        false => "/owners/f33 0:0\n/owners/f1000 0:0\n",
    };
    assert_eq!(seen, expected);
    assert_eq!(after.roots.store().check().unwrap(), []);
    Ok(())
}
