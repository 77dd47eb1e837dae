//! Without root: the same layers, byte for byte, of an image that an ordinary user's disk cannot
//! hold; nothing is started that is not needed, and nothing is left behind.

use std::{fs, process::Command, sync::Arc, thread::sleep, time::Duration};

use kiln_tests::{
    base::busybox_root,
    entries::{differences, of_image},
    kiln::{Kiln, said},
    users::User,
    who::Who,
};

/// Makes of busybox an image with owners beyond everybody's, every mode, devices, and attributes.
const IMAGE: &str = r#"
mkdir -m 711 owners
for id in 0 33 1000 65534 70000 100000; do
  echo $id > owners/f$id; chmod 640 owners/f$id; chown $id:$id owners/f$id
  mkdir -m 2750 owners/d$id; echo in > owners/d$id/in; chmod 600 owners/d$id/in
  chown -R $id:4 owners/d$id; chmod 2750 owners/d$id
  ln -s f$id owners/l$id; chown -h $id:$id owners/l$id
done
mkdir modes; for m in 444 4755 2755 6711 1644; do echo $m > modes/$m; chown 33:70000 modes/$m; chmod $m modes/$m; done
mkdir -m 3777 modes/dir; chown 70000:33 modes/dir; chmod 3777 modes/dir
mkdir odd; mkfifo odd/fifo; chown 70000 odd/fifo; mknod odd/null c 1 3; mknod odd/loop b 7 0; chown 70000:6 odd/loop
echo one > odd/a; chown 100000 odd/a; ln odd/a odd/b
echo x > odd/color; setfattr -n user.color -v red odd/color; chown 100000:5 odd/color
cp bin/busybox odd/ping; setcap cap_net_raw+ep odd/ping
find . -exec touch -h -d @1500000000 {} +
tar -cf ../image.tar --sort=name --numeric-owner --format=pax --xattrs --xattrs-include='*' .
"#;

/// For a user with any number of ids.
const ONE_ID: &str = r#"FROM many
COPY --chown=33:70000 file /owners/
COPY --chown=70000 --chmod=4711 file /owners/f1000
RUN echo more >> /owners/f70000 && echo more >> /owners/f33 && chmod 600 /owners/f100000 /owners/d33
RUN mv /owners/f1000 /moved && rm /owners/f0 && echo new > /owners/f0
RUN ln /odd/b /odd/c && echo two >> /odd/c && rm -r /owners/d1000 && mkdir /owners/d1000
RUN mv /odd/null /odd/zero && touch /odd/fifo /odd/loop /odd/color && touch -h /owners/l70000
RUN echo new > /new && mv /new /odd/color && rm /odd/a
RUN rm -r /modes && mkdir -m 1777 /modes
"#;

/// What needs users beside root.
const MANY_IDS: &str = r#"FROM one
RUN chown 5:6 /owners/f65534 /owners/f70000 && chown -R 33:44 /owners/d70000
RUN chown -h 12:13 /owners/l33 /owners/l100000 && chown 65534 /odd/fifo /odd/loop && chmod 6755 /moved
RUN mkdir -p /a/b && mkfifo /a/f && chown -R 100:101 /a && chmod 2770 /a
USER 1000:50
RUN echo mine > /modes/mine && mkdir /modes/own && ln -s /nowhere /modes/own/link
"#;

fn image(kiln: &Kiln) {
    let root = kiln.scratch().join("image");
    busybox_root(&root);
    let mut make = Command::new("bash");
    make.args(["-euc", IMAGE]).current_dir(&root);
    let made = said(&mut make);
    assert_eq!(made.code, 0, "{}", made.err);
    fs::remove_dir_all(&root).unwrap();
    let tar = kiln.scratch().join("image.tar");
    kiln.ok(["import", tar.to_str().unwrap(), "many"]);
}

fn build(kiln: &Kiln, name: &str, text: &str) {
    let context = kiln.context(name, &[("Dockerfile", text), ("file", "file\n")]);
    let mut build = kiln.command(["build", "-t", name, context.to_str().unwrap()]);
    let said = said(build.env("SOURCE_DATE_EPOCH", "1600000000"));
    assert_eq!(said.code, 0, "{}", said.err);
}

fn layers(kiln: &Kiln, name: &str) -> String {
    kiln.ok(["inspect", "-f", "{{json .RootFS.Layers}}", name])
}

#[test]
fn layers_are_those_that_root_makes() {
    let root = Kiln::new();
    image(&root);
    build(&root, "one", ONE_ID);
    build(&root, "many-ids", MANY_IDS);
    let users = [
        (User::with_ids(), &["one", "many-ids"][..]),
        (User::without_ids(), &["one"]),
    ];
    for (user, names) in users {
        let kiln = Kiln::of(&Arc::new(user));
        fs::copy(
            root.scratch().join("image.tar"),
            kiln.scratch().join("image.tar"),
        )
        .unwrap();
        let tar = kiln.scratch().join("image.tar");
        kiln.ok(["import", tar.to_str().unwrap(), "many"]);
        for name in names {
            build(&kiln, name, if *name == "one" { ONE_ID } else { MANY_IDS });
            let (ours, theirs) = (of_image(&kiln, name), of_image(&root, name));
            let found = differences(&ours, &theirs, &|_| false);
            assert!(found.is_empty(), "{names:?}: {}", found.join("\n"));
            assert_eq!(layers(&kiln, name), layers(&root, name), "{names:?}");
            assert!(ours.iter().any(|layer| layer.contains_key("'moved'")));
        }
        let whole = kiln.ok(["system", "check"]);
        assert_eq!(whole, "Everything in the store is whole.\n");
        // All of it can be removed again, whoever it belongs to.
        kiln.ok(["system", "prune", "-af"]);
        let bodies = fs::read_dir(kiln.root().join("unpacked")).unwrap();
        assert_eq!(bodies.count(), 0);
    }
}

/// A build with nothing to do executes nothing, and makes no namespace.
#[test]
fn a_cached_build_starts_no_keeper() {
    let kiln = Kiln::of(&Arc::new(User::with_ids()));
    kiln_tests::base::busybox(&kiln);
    let text = "FROM busybox\nCOPY file /x\nRUN echo y > /y\nWORKDIR /z\n";
    let context = kiln.context("cached", &[("Dockerfile", text), ("file", "x\n")]);
    let context = context.to_str().unwrap();
    kiln.ok(["build", "-t", "cached", context]);
    let trace = kiln.scratch().join("trace");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=execve,unshare,setns",
        "-o",
        trace.to_str().unwrap(),
    ];
    let plain = kiln.command(["build", "-t", "cached", context]);
    let mut traced = Command::new("setpriv");
    let args: Vec<_> = plain.get_args().collect();
    let end = args.iter().position(|a| *a == "--").unwrap() + 1;
    traced.args(&args[..end]).args(strace).args(&args[end..]);
    traced.env_clear().current_dir(kiln.scratch());
    for (name, value) in plain.get_envs() {
        value.map(|value| traced.env(name, value));
    }
    let done = said(&mut traced);
    assert_eq!(done.code, 0, "{}", done.err);
    let trace = fs::read_to_string(&trace).unwrap();
    let calls: Vec<_> = trace.lines().filter(|l| !l.contains(" ENOENT ")).collect();
    assert_eq!(calls.len(), 1, "{trace}");
}

/// What a killed build leaves, files of other owners included, is gone after the next one.
#[test]
fn what_a_kill_leaves_is_swept() {
    let kiln = Kiln::of(&Arc::new(User::with_ids()));
    kiln_tests::base::busybox(&kiln);
    let text = "FROM busybox\nRUN mkdir -m 700 /a && touch /a/b && chown -R 33:33 /a && touch /tmp/go && sleep 100\n";
    let context = kiln.context("killed", &[("Dockerfile", text)]);
    let mut build = kiln.command(["build", context.to_str().unwrap()]);
    build.stderr(std::process::Stdio::null());
    let mut child = build.spawn().unwrap();
    let tmp = kiln.root().join("tmp");
    let started = || {
        let find = Command::new("find")
            .arg(&tmp)
            .args(["-name", "go"])
            .output();
        find.is_ok_and(|out| !out.stdout.is_empty())
    };
    for _ in 0..600 {
        if started() {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    assert!(started(), "the step began");
    child.kill().unwrap();
    child.wait().unwrap();
    // The next build sweeps; the killed one's processes may hold its scratch for a moment longer.
    for _ in 0..50 {
        kiln.build("next", &[("Dockerfile", "FROM busybox\nRUN true\n")]);
        if fs::read_dir(&tmp).unwrap().count() == 0 {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    let left: Vec<_> = fs::read_dir(&tmp).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A device node, which no ids help to make: what to do about it is said.
#[test]
fn a_device_needs_root() {
    for who in Who::USERS {
        let kiln = who.kiln();
        let text = "FROM busybox\nRUN mknod /null c 1 3\n";
        let context = kiln.context("device", &[("Dockerfile", text)]);
        let failed = kiln.fails(["build", context.to_str().unwrap()]);
        assert!(
            failed
                .err
                .contains("a device node can only be made by root"),
            "{}",
            failed.err
        );
    }
}
