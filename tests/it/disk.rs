//! Disks that are full or read-only, and stores that are not what they should be.

use std::{fs, path::Path, process::Command};

use kiln_tests::{
    base::{busybox_root, pack},
    kiln::{Kiln, Said, said, write},
    registry::Registry,
    web::Web,
};

/// A small file system of its own, unmounted in the end.
struct Disk {
    kiln: Kiln,
}

impl Disk {
    fn new(size: &str) -> Self {
        let kiln = Kiln::new();
        let at = kiln.scratch().join("disk");
        fs::create_dir(&at).unwrap();
        let options = format!("size={size},mode=0755");
        mount(&[
            "-t",
            "tmpfs",
            "-o",
            &options,
            "kiln-test",
            at.to_str().unwrap(),
        ]);
        Self { kiln }
    }

    fn at(&self) -> String {
        self.kiln.scratch().join("disk").display().to_string()
    }

    fn remount(&self, option: &str) {
        mount(&["-o", &format!("remount,{option}"), &self.at()]);
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = self.kiln.command(args);
        said(command.env("KILN_ROOT", format!("{}/store", self.at())))
    }

    fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        done.out
    }

    /// The command fails because the disk is full, and says so; with room it succeeds.
    fn fills(&self, args: &[&str]) {
        let done = self.run(args);
        assert_ne!(done.code, 0, "{args:?}");
        assert!(done.err.contains("No space left on device"), "{}", done.err);
        assert!(done.err.contains(&self.at()), "no path in: {}", done.err);
        assert!(!done.err.contains("panicked"), "{}", done.err);
        self.ok(&["system", "check"]);
        self.remount("size=200m");
        self.ok(args);
        self.ok(&["system", "check"]);
        assert_eq!(
            fs::read_dir(format!("{}/store/tmp", self.at()))
                .unwrap()
                .count(),
            0
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(self.at()).status();
        let unmounted = done.is_ok_and(|s| s.success());
        assert!(unmounted || std::thread::panicking(), "still mounted");
    }
}

fn mount(args: &[&str]) {
    assert!(Command::new("mount").args(args).status().unwrap().success());
}

/// A tar of busybox and 8 MB that do not compress well.
fn base(kiln: &Kiln) -> String {
    let root = kiln.scratch().join("base");
    busybox_root(&root);
    let mut noise = Vec::with_capacity(8 << 20);
    let mut state = 1_u64;
    while noise.len() < 8 << 20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        noise.extend_from_slice(&state.to_be_bytes()[..4]);
    }
    fs::write(root.join("noise"), noise).unwrap();
    let tar = kiln.scratch().join("base.tar");
    pack(&root, &tar).unwrap();
    tar.display().to_string()
}

#[test]
fn an_import_on_a_full_disk_names_the_path() {
    let disk = Disk::new("5m");
    let tar = base(&disk.kiln);
    disk.fills(&["import", &tar, "base"]);
}

#[test]
fn a_build_that_unpacks_on_a_full_disk_names_the_path() {
    let disk = Disk::new("14m");
    let tar = base(&disk.kiln);
    disk.ok(&["import", &tar, "base"]);
    let context = disk
        .kiln
        .context("unpack", &[("Dockerfile", "FROM base\nRUN echo a > /a\n")]);
    disk.fills(&["build", "-q", context.to_str().unwrap()]);
}

#[test]
fn a_copy_on_a_full_disk_names_the_path() {
    let disk = Disk::new("3m");
    let context = disk
        .kiln
        .context("copy", &[("Dockerfile", "FROM scratch\nCOPY big /\n")]);
    write(&context.join("big"), &"x".repeat(4 << 20));
    disk.fills(&["build", "-q", context.to_str().unwrap()]);
}

#[test]
fn a_step_that_fills_the_disk_fails_by_itself_and_leaves_nothing() {
    let disk = Disk::new("30m");
    let tar = base(&disk.kiln);
    disk.ok(&["import", &tar, "base"]);
    let text = "FROM base\nRUN dd if=/dev/zero of=/zeros bs=1M count=20\n";
    let context = disk.kiln.context("step", &[("Dockerfile", text)]);
    let args = ["build", "-q", context.to_str().unwrap()];
    let done = disk.run(&args);
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("Dockerfile:2:1"), "{}", done.err);
    assert!(done.err.contains("No space left on device"), "{}", done.err);
    disk.ok(&["system", "check"]);
    disk.remount("size=200m");
    disk.ok(&args);
    disk.ok(&["system", "check"]);
}

#[test]
fn a_secret_is_not_on_a_disk_that_is_full() {
    const SECRET: &[u8] = b"4f11-on-no-disk-c93b";
    let disk = Disk::new("30m");
    let tar = base(&disk.kiln);
    disk.ok(&["import", &tar, "base"]);
    fs::write(disk.kiln.scratch().join("s"), SECRET).unwrap();
    // The step that has it fills the disk; then there is no room for what a step needs.
    for (name, fill) in [("in", "/zeros"), ("before", "/kept/zeros")] {
        let text = format!(
            "FROM base
RUN --mount=type=cache,target=/kept true
RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/made/here,env=VALUE \\
    --mount=type=cache,target=/kept cat /run/secrets/s /made/here; echo $VALUE; \\
    dd if=/dev/zero of={fill} bs=1M count=40
RUN --mount=type=secret,id=s test -s /run/secrets/s
"
        );
        let context = disk.kiln.context(name, &[("Dockerfile", &text)]);
        let args = ["build", "--progress", "plain", "--secret", "id=s,src=s"];
        let done = disk.run(&[&args[..], &[context.to_str().unwrap()]].concat());
        assert_ne!(done.code, 0);
        assert!(done.err.contains("No space left on device"), "{}", done.err);
        let text = format!("{}{}", done.out, done.err);
        assert!(
            !text.contains(std::str::from_utf8(SECRET).unwrap()),
            "{text}"
        );
        assert_eq!(below(Path::new(&disk.at()), SECRET), [""; 0], "{name}");
        disk.ok(&["system", "check"]);
    }
}

/// The files below `folder` that have `needle` in them.
fn below(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(below(&path, needle));
        }
        let has = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|part| part == needle);
        if kind.is_file() && fs::read(&path).is_ok_and(has) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_pull_onto_a_full_disk_names_the_path() {
    let registry = Registry::start();
    let disk = Disk::new("5m");
    let tar = base(&disk.kiln);
    let name = format!("{}/base", registry.address());
    disk.kiln.ok(["import", &tar, &name]);
    disk.kiln.ok(["push", "-q", &name]);
    disk.fills(&["pull", "-q", &name]);
}

#[test]
fn a_read_only_store_is_named() {
    let disk = Disk::new("50m");
    let tar = base(&disk.kiln);
    disk.ok(&["import", &tar, "base"]);
    let context = disk
        .kiln
        .context("ro", &[("Dockerfile", "FROM base\nRUN echo a > /a\n")]);
    let args = ["build", "-q", context.to_str().unwrap()];
    disk.remount("ro");
    let done = disk.run(&args);
    assert_ne!(done.code, 0);
    assert!(done.err.contains("Read-only file system"), "{}", done.err);
    assert!(done.err.contains(&disk.at()), "{}", done.err);
    // Looking takes no lock.
    assert!(disk.ok(&["images", "-q"]).lines().count() == 1);
    disk.remount("rw");
    disk.ok(&args);
    disk.ok(&["system", "check"]);
}

fn refused(kiln: &Kiln, root: &Path) -> String {
    let said = said(kiln.command(["images"]).env("KILN_ROOT", root));
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(said.err.contains(root.to_str().unwrap()), "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    said.err
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let kiln = Kiln::new();
    kiln.ok(["images"]);
    let version = kiln.root().join("version");
    fs::write(&version, "kiln store 99\n").unwrap();
    let err = refused(&kiln, &kiln.root());
    assert!(err.contains("has layout 99; this version knows 1"), "{err}");
    assert_eq!(fs::read_to_string(version).unwrap(), "kiln store 99\n");
}

#[test]
fn a_root_that_is_a_file_or_holds_something_else_is_refused() {
    let kiln = Kiln::new();
    let file = kiln.scratch().join("file");
    fs::write(&file, "mine").unwrap();
    refused(&kiln, &file);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let folder = kiln.scratch().join("folder");
    write(&folder.join("letter.txt"), "mine");
    refused(&kiln, &folder);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_fetch_that_fills_the_disk() {
    let disk = Disk::new("5m");
    let served = disk.kiln.scratch().join("served");
    fs::create_dir(&served).unwrap();
    let script = "head -c 8000000 /dev/urandom > file; mkdir w; cp file w; cd w; git init -q -b main .; \
                  echo FROM scratch > Dockerfile; git add .; \
                  git -c user.name=n -c user.email=e commit -qm x; git clone -q --bare . ../r.git";
    let mut made = Command::new("sh");
    assert!(
        made.args(["-ec", script])
            .current_dir(&served)
            .status()
            .unwrap()
            .success()
    );
    let web = Web::folder(&served).unwrap();
    let text = format!("FROM scratch\nADD {} /\n", web.url("file"));
    let adding = disk.kiln.context("adding", &[("Dockerfile", &text)]);
    for what in [adding.to_str().unwrap(), &web.url("r.git")] {
        // What had come of it is in nobody's way.
        assert_ne!(disk.run(&["build", what]).code, 0);
        let mut used = Command::new("du");
        let used = said(used.args(["-s", &format!("{}/store/fetch", disk.at())]));
        let used: u64 = used.out.split_whitespace().next().unwrap().parse().unwrap();
        assert!(used < 1000, "{used} kB are left of {what}");
        disk.fills(&["build", "-t", "x", what]);
        disk.ok(&["system", "prune", "-af"]);
        disk.remount("size=5m");
    }
}
