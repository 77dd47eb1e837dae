//! Images for several platforms: built at once, one name for all of them, carried to registries and
//! archives; programs of other architectures where this machine runs them, and refused where not.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use kiln_tests::{
    base::{BUSYBOX, busybox},
    kiln::{Kiln, said},
    registry::Registry,
    until::so,
};

const CROSS: &str = "FROM --platform=$BUILDPLATFORM busybox AS build\n\
    RUN echo ran >> /log && cat /log > /shared\n\
    ARG TARGETARCH\n\
    RUN echo $TARGETARCH > /arch\n\
    FROM scratch\n\
    COPY --from=build /shared /arch /\n";

fn cross(kiln: &Kiln, more: &[&str]) -> kiln_tests::kiln::Said {
    busybox(kiln);
    let context = kiln.context("cross", &[("Dockerfile", CROSS)]);
    let context = context.to_str().unwrap();
    let platforms = "linux/amd64,linux/arm64";
    let args = ["build", "--progress", "plain", "--platform", platforms];
    kiln.run([&args[..], more, &[context]].concat())
}

#[test]
fn what_platforms_share_is_carried_out_once() {
    let kiln = Kiln::new();
    let built = cross(&kiln, &["--no-cache", "-t", "many"]);
    assert_eq!(built.code, 0, "{}", built.err);
    let steps = |what: &str| built.err.matches(what).count();
    assert_eq!(steps("RUN echo ran"), 1, "{}", built.err);
    assert_eq!(steps("RUN echo $TARGETARCH"), 2, "{}", built.err);
    assert!(
        built.err.contains("[linux/amd64->arm64 build 4/4]"),
        "{}",
        built.err
    );
    assert!(
        built.err.contains("[linux/arm64 stage-1 2/2] COPY"),
        "{}",
        built.err
    );
    // Had it been carried out twice, its times would differ.
    let layers = |platform: &str| {
        let history = kiln.ok([
            "history",
            "--platform",
            platform,
            "-q",
            "--no-trunc",
            "many",
        ]);
        assert!(history.starts_with("sha256:"), "{history}");
        history
    };
    assert_ne!(layers("linux/amd64"), layers("linux/arm64"));
}

#[test]
fn one_name_stands_for_all_platforms() {
    let kiln = Kiln::new();
    let built = cross(&kiln, &["-t", "many"]);
    assert_eq!(built.code, 0, "{}", built.err);
    let shown = kiln.ok(["images", "--format", "{{.Repository}} {{.ID}}", "many"]);
    assert_eq!(shown.lines().count(), 1, "{shown}");
    let id = built.out.trim().trim_start_matches("sha256:");
    assert!(
        id.starts_with(shown.split(' ').nth(1).unwrap().trim()),
        "this machine's"
    );
    // Whichever was named first.
    let two = [
        "build",
        "-q",
        "--platform",
        "linux/arm64,linux/amd64",
        "cross",
    ];
    assert_eq!(kiln.ok(two), built.out);
    // The other one is neither shown nor dangling.
    let dangling = kiln.ok(["images", "-q", "--filter", "dangling=true"]);
    assert_eq!(dangling, "");
    kiln.ok(["image", "prune", "-f"]);
    let other = kiln.ok([
        "history",
        "-q",
        "--no-trunc",
        "--platform",
        "linux/arm64",
        "many",
    ]);
    let other = other.lines().next().unwrap();
    let arch = kiln.ok(["inspect", "-f", "{{.Architecture}}", other]);
    assert_eq!(arch.trim(), "arm64");
    // A base is taken for the platform that is built for.
    let context = kiln.context("on", &[("Dockerfile", "FROM many\nCOPY Dockerfile /\n")]);
    let context = context.to_str().unwrap();
    kiln.ok([
        "build",
        "-q",
        "--platform",
        "linux/arm64",
        "-t",
        "on",
        context,
    ]);
    let arch = kiln.ok(["inspect", "-f", "{{.Architecture}}", "on"]);
    assert_eq!(arch.trim(), "arm64");
    // What is not for a platform is said.
    let said = kiln.fails(["history", "--platform", "linux/s390x", "many"]);
    assert!(
        said.err
            .contains("does not provide the specified platform (linux/s390x)"),
        "{}",
        said.err
    );
}

#[test]
fn an_index_is_pushed_with_all_its_images() {
    let (kiln, registry) = (Kiln::new(), Registry::start());
    let name = format!("{}/many:1", registry.address());
    let built = cross(&kiln, &["-t", &name]);
    assert_eq!(built.code, 0, "{}", built.err);
    kiln.ok(["push", "-q", &name]);
    for (platform, arch) in [("linux/arm64", "arm64"), ("linux/amd64", "amd64")] {
        let other = Kiln::new();
        other.ok(["pull", "-q", "--platform", platform, &name]);
        let found = other.ok(["inspect", "-f", "{{.Architecture}}", &name]);
        assert_eq!(found.trim(), arch);
    }
    let none = Kiln::new().fails(["pull", "-q", "--platform", "linux/riscv64", &name]);
    let there = "there are: linux/amd64, linux/arm64";
    assert!(none.err.contains(there), "{}", none.err);
}

#[test]
fn an_index_is_saved_with_all_its_images() {
    let kiln = Kiln::new();
    let built = cross(&kiln, &["-t", "many"]);
    assert_eq!(built.code, 0, "{}", built.err);
    kiln.ok(["save", "-o", "many.tar", "many"]);
    let folder = kiln.scratch().join("saved");
    fs::create_dir(&folder).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf")
        .arg(kiln.scratch().join("many.tar"))
        .arg("-C")
        .arg(&folder);
    assert_eq!(said(&mut tar).code, 0);
    let top = fs::read_to_string(folder.join("index.json")).unwrap();
    assert!(top.contains("image.index.v1"), "{top}");
    let blobs = fs::read_dir(folder.join("blobs/sha256")).unwrap();
    let configs = blobs.flatten().filter(|blob| {
        let bytes = fs::read(blob.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.contains("\"rootfs\"") && text.contains("\"architecture\":\"a")
    });
    assert_eq!(configs.count(), 2);
    let other = Kiln::new();
    let archive = kiln.scratch().join("many.tar");
    let archive = archive.to_str().unwrap();
    other.ok(["load", "-q", "-i", archive]);
    let arch = other.ok(["inspect", "-f", "{{.Architecture}}", "many"]);
    assert_eq!(arch.trim(), "amd64");
    // What was saved is what comes back.
    assert_eq!(ids(&other, "many"), ids(&kiln, "many"));
    other.ok(["save", "-o", "again.tar", "many"]);
    let again = fs::read(other.scratch().join("again.tar")).unwrap();
    assert!(
        again == fs::read(archive).unwrap(),
        "the same images are the same archive"
    );
}

/// The ids of an image for two platforms.
fn ids(kiln: &Kiln, name: &str) -> [String; 2] {
    ["linux/amd64", "linux/arm64"].map(|platform| {
        let id = kiln.ok(["inspect", "-f", "{{.Id}}", "--platform", platform, name]);
        let tags = kiln.ok([
            "image",
            "inspect",
            "-f",
            "{{.RepoTags}}",
            "--platform",
            platform,
            name,
        ]);
        assert_eq!(tags.trim(), format!("[{name}:latest]"), "{platform}");
        id
    })
}

#[test]
fn one_of_several_platforms_is_taken_out_by_itself() {
    let (kiln, registry) = (Kiln::new(), Registry::start());
    let name = format!("{}/many:1", registry.address());
    let built = cross(&kiln, &["-t", "many", "-t", &name]);
    assert_eq!(built.code, 0, "{}", built.err);
    let arm = ["--platform", "linux/arm64"];
    let id = kiln.ok([&["inspect", "-f", "{{.Id}}"], &arm[..], &["many"]].concat());
    kiln.ok([&["save", "-o", "arm.tar"], &arm[..], &["many"]].concat());
    kiln.ok(["save", "-o", "many.tar", "many"]);
    kiln.ok([&["push", "-q"], &arm[..], &[&name]].concat());
    let at = |file: &str| kiln.scratch().join(file).to_str().unwrap().to_owned();
    let only_one = |other: &Kiln, name: &str| {
        assert_eq!(other.ok(["inspect", "-f", "{{.Id}}", name]), id);
        let amd = other.fails(["inspect", "--platform", "linux/amd64", name]);
        let why = "does not provide the specified platform (linux/amd64)";
        assert!(amd.err.contains(why), "{}", amd.err);
        assert!(amd.err.contains("here for linux/arm64"), "{}", amd.err);
        assert_eq!(other.ok(["images", "-aq"]).lines().count(), 1);
    };
    let saved = Kiln::new();
    saved.ok(["load", "-q", "-i", &at("arm.tar")]);
    only_one(&saved, "many");
    let loaded = Kiln::new();
    loaded.ok([&["load", "-q", "-i", &at("many.tar")], &arm[..]].concat());
    only_one(&loaded, "many");
    let pulled = Kiln::new();
    // There is no index: the image comes whatever is asked for, and that is said.
    let said = pulled.run(["pull", "--platform", "linux/s390x", &name]);
    assert_eq!(said.code, 0, "{}", said.err);
    let warned = "its platform (linux/arm64) does not match the specified platform (linux/s390x)";
    assert!(said.err.contains(warned), "{}", said.err);
    only_one(&pulled, &name);
    for args in [&["save", "-o", "x.tar"][..], &["push"], &["history"]] {
        let refused = kiln.fails([args, &["--platform", "linux/s390x", &name]].concat());
        let hint = "here for linux/amd64, linux/arm64";
        assert!(refused.err.contains(hint), "{}", refused.err);
    }
    let args = ["load", "-i", &at("arm.tar"), "--platform", "linux/amd64"];
    let refused = loaded.fails(args);
    let why = "in the archive for linux/arm64, not for linux/amd64";
    assert!(refused.err.contains(why), "{}", refused.err);
}

#[test]
fn all_images_of_an_index_go_with_its_name() {
    let kiln = Kiln::new();
    let built = cross(&kiln, &["-t", "many", "-t", "more"]);
    assert_eq!(built.code, 0, "{}", built.err);
    let tree = kiln.ok(["images", "--tree"]);
    let lines: Vec<&str> = tree.lines().collect();
    let heads = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];
    let at: Vec<usize> = heads.iter().map(|h| lines[2].find(h).unwrap()).collect();
    assert!(at.is_sorted(), "{tree}");
    let begins: Vec<&str> = lines[3..]
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with("busybox"))
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    let expected = [
        "many:latest",
        "more:latest",
        "├─ linux/amd64",
        "└─ linux/arm64",
    ];
    assert_eq!(begins, expected, "{tree}");
    let gone = kiln.ok(["rmi", "many"]);
    assert_eq!(gone, "Untagged: many:latest\n");
    let gone = kiln.ok(["rmi", "more"]);
    assert_eq!(gone.matches("Deleted: ").count(), 2, "{gone}");
    let left = kiln.ok(["images", "-a", "--format", "{{.Repository}}"]);
    assert_eq!(left, "busybox\n");
}

#[test]
fn without_a_name_they_are_dangling_and_can_be_pruned() {
    let kiln = Kiln::new();
    let built = cross(&kiln, &[]);
    assert_eq!(built.code, 0, "{}", built.err);
    let dangling = || kiln.ok(["images", "-q", "--filter", "dangling=true"]);
    assert_eq!(dangling().lines().count(), 2);
    let platforms = ["build", "-q", "--platform", "linux/amd64,linux/arm64"];
    kiln.ok([&platforms[..], &["-t", "many", "cross"]].concat());
    assert_eq!(dangling(), "");
    // The name moves on: what it stood for is left, for both platforms.
    kiln.ok(["tag", "busybox", "many"]);
    assert_eq!(dangling().lines().count(), 2);
    let total = || kiln.ok(["system", "df", "--format", "{{.TotalCount}}"]);
    assert_eq!(total().lines().next(), Some("3"));
    let pruned = kiln.ok(["image", "prune", "-f"]);
    assert_eq!(pruned.matches("deleted: sha256:").count(), 2, "{pruned}");
    assert_eq!(dangling(), "");
    assert_eq!(total().lines().next(), Some("1"));
    kiln.ok(["system", "check"]);
}

#[test]
fn an_image_that_is_here_for_another_platform_is_said_to_be() {
    let kiln = Kiln::new();
    let registry = Registry::start();
    let name = format!("{}/base:1", registry.address());
    busybox(&kiln);
    kiln.ok(["tag", "busybox", &name]);
    let file = format!("FROM --platform=linux/arm64 {name}\nCOPY Dockerfile /\n");
    let fixed = kiln.context("fixed", &[("Dockerfile", &file)]);
    let file = format!("FROM {name}\nCOPY Dockerfile /\n");
    let asked = kiln.context("asked", &[("Dockerfile", &file)]);
    let (fixed, asked) = (fixed.to_str().unwrap(), asked.to_str().unwrap());
    for args in [&[fixed][..], &["--platform", "linux/arm64", asked]] {
        let said = kiln.fails([&["build", "-q"], args].concat());
        let news = format!("`{name}` is here for linux/amd64, and not for linux/arm64");
        assert!(said.err.contains(&news), "{}", said.err);
        assert!(said.err.contains("Dockerfile:1"), "{}", said.err);
        assert!(said.err.contains("--platform=linux/amd64"), "{}", said.err);
    }
    let run = ["run", "--rm", "--platform", "linux/arm64"];
    for pull in [&["--pull=never"][..], &[]] {
        let said = kiln.fails([&run[..], pull, &[&name]].concat());
        let news = "was found but does not provide the specified platform (linux/arm64)";
        assert!(said.err.contains(news), "{}", said.err);
        assert!(said.err.contains("here for linux/amd64"), "{}", said.err);
    }
    // What it says of an image that nobody has is what it said before.
    let none = format!("{}/none:1", registry.address());
    let said = kiln.fails(["run", "--platform", "linux/arm64", &none]);
    assert!(!said.err.contains("is here for"), "{}", said.err);
    // Of an index the image for the platform is what runs.
    let built = cross(&kiln, &["-t", "many"]);
    assert_eq!(built.code, 0, "{}", built.err);
    let made = ["create", "--platform", "linux/arm64", "many", "/x"];
    let made = kiln.ok(made);
    let image = kiln.ok(["inspect", "-f", "{{.Image}}", made.trim()]);
    assert_eq!(image, ids(&kiln, "many")[1]);
}

#[test]
fn nothing_is_carried_out_before_a_run_that_cannot_be() {
    let kiln = Kiln::new();
    let text = "FROM scratch\nRUN [\"/x\"]\n";
    let context = kiln.context("c", &[("Dockerfile", text)]);
    let context = context.to_str().unwrap();
    let args = [
        "build",
        "--progress",
        "plain",
        "--platform",
        "linux/pdp11",
        context,
    ];
    let said = kiln.fails(args);
    assert!(
        said.err.contains("cannot run programs for `linux/pdp11`"),
        "{}",
        said.err
    );
    assert!(said.err.contains("Dockerfile:2:1"), "{}", said.err);
    assert!(said.err.contains("qemu-user-static"), "{}", said.err);
    assert!(!said.err.contains("ERROR"), "a step began: {}", said.err);
}

#[test]
fn nor_what_such_a_run_stands_on() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM --platform=$BUILDPLATFORM busybox AS build\n\
        RUN echo once > /x\n\
        FROM scratch\n\
        COPY --from=build /x /\n\
        RUN [\"/x\"]\n";
    let context = kiln.context("c", &[("Dockerfile", text)]);
    let context = context.to_str().unwrap();
    let args = ["build", "--progress", "plain", "--platform"];
    for (platform, no_cache) in [("linux/pdp11", false), ("linux/pdp11", true)] {
        let more = [platform, context, "--no-cache"];
        let more = &more[..2 + usize::from(no_cache)];
        let said = kiln.fails([&args[..], more].concat());
        assert!(said.err.contains("Dockerfile:5:1"), "{}", said.err);
        assert!(!said.err.contains("ERROR"), "a step began: {}", said.err);
    }
}

/// Registers `echo` as the emulator of arm64 with these flags, in a user namespace of its own, and runs a
/// command there. `None`: this machine's kernel has no such thing for namespaces (Linux 6.7).
fn emulating(kiln: &Kiln, flags: &str, args: &[&str]) -> Option<kiln_tests::kiln::Said> {
    let tools = kiln.scratch().join("tools");
    if !tools.exists() {
        fs::create_dir(&tools).unwrap();
        symlink(BUSYBOX, tools.join("echo")).unwrap();
    }
    let script = format!(
        "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77\n\
         printf '%s' ':kt-arm64:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\
         \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:{}/echo:{flags}' \
         > /proc/sys/fs/binfmt_misc/register || exit 77\n\
         exec \"$@\"",
        tools.display()
    );
    let inner = kiln.command(args);
    let begin = "read mapped; exec unshare --mount sh -c \"$0\" sh \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "sh", "-c", begin, &script]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.env_clear();
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.current_dir(kiln.scratch());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    let theirs = format!("/proc/{}", child.id());
    so("a namespace", || {
        fs::read_link(format!("{theirs}/ns/user")).is_ok_and(|ns| ns != own)
    });
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{theirs}/{map}"), "0 0 4294967295").unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let ran = child.wait_with_output().unwrap();
    let ran = kiln_tests::kiln::Said {
        out: String::from_utf8_lossy(&ran.stdout).into_owned(),
        err: String::from_utf8_lossy(&ran.stderr).into_owned(),
        code: ran.status.code().unwrap_or(-1),
    };
    (ran.code != 77).then_some(ran)
}

/// The beginning of a program for arm64.
fn program(at: &Path) {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(b"\x02\x00\xb7\x00\x01\x00\x00\x00");
    elf.resize(64, 0);
    fs::write(at, elf).unwrap();
}

#[test]
fn foreign_programs_run_by_what_is_registered_for_them() {
    let kiln = Kiln::new();
    let text = "FROM scratch\nCOPY --chmod=755 x /\nRUN [\"/x\", \"one\", \"two\"]\n";
    let context = kiln.context("c", &[("Dockerfile", text)]);
    program(&context.join("x"));
    let context = context.to_str().unwrap();
    let args = [
        "build",
        "--progress",
        "plain",
        "--platform",
        "linux/arm64",
        context,
    ];
    let refused = kiln.fails(args);
    assert!(
        refused
            .err
            .contains("cannot run programs for `linux/arm64`"),
        "{}",
        refused.err
    );
    let Some(ran) = emulating(&kiln, "F", &args) else {
        println!("not run: binfmt_misc cannot be mounted in a user namespace");
        return;
    };
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("/x one two"), "{}", ran.err);
    // Without the flag the kernel looks for the emulator in the image.
    let args = [&args[..], &["--no-cache"]].concat();
    let ran = emulating(&kiln, "", &args).unwrap();
    assert!(ran.err.contains("Dockerfile:3:1"), "{}", ran.err);
    assert!(ran.err.contains("with the flag `F`"), "{}", ran.err);
    assert!(!ran.err.contains("without a shell"), "{}", ran.err);
}

#[test]
fn a_container_of_a_foreign_image_says_what_it_lacks() {
    let kiln = Kiln::new();
    let text = "FROM scratch\nCOPY --chmod=755 x /\nCMD [\"/x\"]\n";
    let context = kiln.context("c", &[("Dockerfile", text)]);
    program(&context.join("x"));
    let build = ["build", "-q", "-t", "foreign", "--platform", "linux/arm64"];
    kiln.ok([&build[..], &[context.to_str().unwrap()]].concat());
    let said = kiln.run(["run", "--rm", "foreign"]);
    assert_eq!(said.code, 126, "{}", said.err);
    assert!(said.err.contains("`linux/arm64`"), "{}", said.err);
    assert!(said.err.contains("qemu-user-static"), "{}", said.err);
    let Some(ran) = emulating(&kiln, "", &["run", "--rm", "foreign"]) else {
        println!("not run: binfmt_misc cannot be mounted in a user namespace");
        return;
    };
    assert_eq!(ran.code, 127, "{}", ran.err);
    assert!(ran.err.contains("with the flag `F`"), "{}", ran.err);
}
