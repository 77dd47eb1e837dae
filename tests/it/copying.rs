//! COPY of what is no plain file, and of layers that stand alone: what is in the layers, by a reader that is
//! not kiln's, and what moves when a base changes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use kiln_tests::{
    base::busybox,
    entries::{Entries, of_image},
    kiln::Kiln,
    registry::Registry,
    who::everybody,
};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

/// `cap_net_raw=ep`, as the kernel has it on a file.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const HOLE: u64 = 8 << 20;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder of everything that a file system can hold.
fn odd(at: &Path) -> UnixListener {
    let node = |name: &str, kind, device| {
        mknodat(CWD, at.join(name), kind, Mode::empty(), device).unwrap();
        mode(&at.join(name), 0o640);
    };
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("loop", FileType::BlockDevice, makedev(7, 9));
    node("pipe", FileType::Fifo, 0);
    let sparse = File::create(at.join("sparse")).unwrap();
    sparse.set_len(HOLE).unwrap();
    let name = |bytes| at.join(OsStr::from_bytes(bytes));
    fs::write(name(b"\xff\xfe"), "no text").unwrap();
    fs::create_dir(name(b"\xe9")).unwrap();
    std::os::unix::fs::symlink(OsStr::from_bytes(b"\xff\xfe"), name(b"\xe9/l")).unwrap();
    let long = at.join("n".repeat(255)).join("m".repeat(255));
    fs::create_dir_all(long.parent().unwrap()).unwrap();
    fs::write(long, "far").unwrap();
    fs::write(at.join("program"), "p").unwrap();
    mode(&at.join("program"), 0o6755);
    fs::hard_link(at.join("program"), at.join("same")).unwrap();
    fs::write(at.join("capable"), "c").unwrap();
    mode(&at.join("capable"), 0o755);
    for (name, value) in [
        ("security.capability", &CAPABILITY[..]),
        ("user.note", b"kept"),
    ] {
        setxattr(at.join("capable"), name, value, XattrFlags::empty()).unwrap();
    }
    UnixListener::bind(at.join("socket")).unwrap()
}

/// What a layer has of the folder of oddities, which is called `top` in it.
fn is_odd(layer: &Entries, top: &str, owner: &str) {
    let line = |name: &str| {
        let path = format!("'{top}/{name}'");
        let found = layer.get(&path);
        found
            .unwrap_or_else(|| panic!("no {path} in {:?}", layer.keys()))
            .clone()
    };
    let begins = |name: &str, text: &str| {
        let found = line(name);
        assert!(found.starts_with(text), "{top}/{name}: {found}");
    };
    begins("null", &format!("3 640 {owner} 1,3 '' []"));
    begins("loop", &format!("4 640 {owner} 7,9 '' []"));
    begins("pipe", &format!("6 640 {owner} 0,0 '' []"));
    begins("program", &format!("0 6755 {owner} "));
    begins("same", &format!("1 6755 {owner} 0,0 '{top}/program' []"));
    begins(r"\udcff\udcfe", &format!("0 644 {owner} "));
    begins(
        r"\udce9/l",
        &format!(r"2 777 {owner} 0,0 '\udcff\udcfe' []"),
    );
    begins(
        &format!("{}/{}", "n".repeat(255), "m".repeat(255)),
        &format!("0 644 {owner} "),
    );
    let capable = line("capable");
    for text in [
        r"('SCHILY.xattr.security.capability', '\x01\x00\x00\x02\x00 ",
        "('SCHILY.xattr.user.note', 'kept')",
    ] {
        assert!(capable.contains(text), "{top}: {capable}");
    }
    let zeros = kiln_image::Digest::sha256(&vec![0; HOLE as usize]).to_string();
    assert!(
        line("sparse").ends_with(zeros.trim_start_matches("sha256:")),
        "{}",
        line("sparse")
    );
    assert!(
        !layer.contains_key(&format!("'{top}/socket'")),
        "{:?}",
        layer.keys()
    );
}

#[test]
fn whatever_a_file_system_holds_is_copied() {
    everybody(|who, kiln| {
        let text = "FROM scratch AS one\nCOPY d /one\nFROM scratch\nCOPY d /two\nCOPY --chown=5:6 d /three\n\
                    COPY --from=one /one /four\nCOPY --link --from=one --chown=7:8 /one /five\n";
        let context = kiln.context("app", &[("Dockerfile", text)]);
        fs::create_dir(context.join("d")).unwrap();
        let _socket = odd(&context.join("d"));
        for _ in 0..2 {
            kiln.ok(["build", "-q", "-t", "odd", "app"]);
            let layers = of_image(kiln, "odd");
            let tops = [
                ("two", "0:0"),
                ("three", "5:6"),
                ("four", "0:0"),
                ("five", "7:8"),
            ];
            assert_eq!(layers.len(), tops.len(), "{who:?}");
            for (layer, (top, owner)) in layers.iter().zip(tops) {
                is_odd(layer, top, owner);
            }
            // The second time nothing is at hand, and each is read anew.
            kiln.ok(["builder", "prune", "-af"]);
        }
    });
}

#[test]
fn why_a_source_is_none_is_said() {
    let kiln = Kiln::new();
    let context = kiln.context(
        "app",
        &[("kept", ""), ("left", ""), (".dockerignore", "left\n")],
    );
    let _socket = UnixListener::bind(context.join("socket")).unwrap();
    for (name, target) in [
        ("round", "about"),
        ("about", "/round"),
        ("gone", "k/../nowhere"),
        ("hidden", "/left"),
    ] {
        std::os::unix::fs::symlink(target, context.join(name)).unwrap();
    }
    for (source, said) in [
        ("socket", "a socket, which an image cannot hold"),
        ("round", "links in a circle"),
        ("gone", "a link to `nowhere`, which is not there"),
        (
            "hidden",
            "a link to `left`, which `left` in line 1 of `.dockerignore` leaves out",
        ),
    ] {
        fs::write(
            context.join("Dockerfile"),
            format!("FROM scratch\nCOPY {source} /x\n"),
        )
        .unwrap();
        let err = kiln.fails(["build", "app"]).err;
        assert!(
            err.contains(said) && err.contains("Dockerfile:2"),
            "{source}: {err}"
        );
    }
}

/// The layers of an image, the bottom first.
fn layers(kiln: &Kiln, image: &str) -> Vec<String> {
    let json = kiln.ok(["inspect", "--format", "{{json .RootFS.Layers}}", image]);
    serde_json::from_str(&json).unwrap()
}

/// A file system of 96 MiB, which is gone in the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mount = ["-t", "tmpfs", "-o", "size=96m", "kiln-test"];
        let mounted = Command::new("mount")
            .args(mount)
            .arg(disk.0.path())
            .status();
        assert!(mounted.unwrap().success());
        disk
    }

    /// Leaves a mebibyte of it.
    fn fill(&self) {
        let file = File::create(self.0.path().join("filling")).unwrap();
        let mut size = 0;
        while (&file).write_all(&[1; 1 << 16]).is_ok() {
            size += 1 << 16;
        }
        file.set_len(size - (1 << 20)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A layer that is linked stands on anything: with another base it is the same, nothing of it is made,
/// kept or sent anew.
#[test]
fn a_change_of_base_moves_no_bytes() {
    let (disk, registry) = (Disk::new(), Registry::start());
    let kiln = Kiln::within(disk.0.path());
    busybox(&kiln);
    for base in ["one", "two"] {
        let text = format!(
            "FROM busybox\nRUN echo {base} > /base && mkdir /data && echo {base} > /data/old\n"
        );
        kiln.build(&format!("base-{base}"), &[("Dockerfile", &text)]);
    }
    let text = "ARG base\nFROM base-$base\nCOPY --link big /data/\nCOPY --link --chown=7:8 small /data/more/\n";
    let context = kiln.context("app", &[("Dockerfile", text), ("small", "small")]);
    // Nothing that can be made smaller.
    let mut big = Vec::new();
    for n in 0..200_000_u32 {
        big.extend_from_slice(kiln_image::Digest::sha256(&n.to_le_bytes()).bytes());
    }
    fs::write(context.join("big"), &big).unwrap();
    // What has changed just now is read again, as it may change once more.
    for name in ["big", "small"] {
        let file = File::options()
            .append(true)
            .open(context.join(name))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .unwrap();
    }
    thread::sleep(Duration::from_secs(3));

    let app = format!("{}/app", registry.address());
    let build = |base: &str| {
        let arg = format!("base={base}");
        let build = ["build", "--progress=plain", "-t", &app, "--build-arg", &arg];
        let said = kiln.run(build.iter().chain(&["app"]));
        assert_eq!(said.code, 0, "{}", said.err);
        (said.err, layers(&kiln, &app), kiln.ok(["push", &app]))
    };
    let (_, first, pushed) = build("one");
    assert!(pushed.contains(": Pushed"), "{pushed}");

    // There is no room to make it anew.
    disk.fill();
    let (err, second, pushed) = build("two");
    for step in ["2/3", "3/3"] {
        let line = err
            .lines()
            .find(|line| line.contains(&format!("[stage-0 {step}]")));
        let number = line.and_then(|line| line.split(' ').next()).unwrap();
        assert!(err.contains(&format!("{number} CACHED")), "{err}");
    }
    let ours = first.len() - 2;
    assert_eq!(first[ours..], second[ours..]);
    assert_ne!(first[..ours], second[..ours]);
    assert_eq!(
        pushed.matches(": Pushed").count(),
        1,
        "only the base's: {pushed}"
    );
    let read = "cat /base /data/old /data/more/small; wc -c < /data/big";
    fs::remove_file(disk.0.path().join("filling")).unwrap();
    let read = kiln.ok(["run", "--rm", &app, "sh", "-c", read]);
    assert_eq!(read, format!("two\ntwo\nsmall{}\n", big.len()));
}
