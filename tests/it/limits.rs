//! Limits on RUNs, end to end: what they do, that no key knows them, and what is refused.

use std::{fs, sync::Arc};

use kiln_tests::{
    base::busybox,
    delegation::Delegated,
    kiln::{Kiln, said},
    users::User,
    who::Who,
};

fn build(kiln: &Kiln, text: &str, more: &[&str]) -> kiln_tests::kiln::Said {
    busybox(kiln);
    let context = kiln.context("limits", &[("Dockerfile", text)]);
    let args = ["build", "--progress", "plain"];
    kiln.run([&args[..], more, &[context.to_str().unwrap()]].concat())
}

#[test]
fn a_step_that_needs_too_much_memory_is_told_so() {
    let kiln = Kiln::new();
    let text = "FROM busybox\nRUN x=$(yes | head -c 60000000); echo ${#x}\n";
    let said = build(&kiln, text, &["-m", "20m", "--memory-swap", "20m"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("exit code: 137"), "{}", said.err);
    assert!(
        said.err.contains("more memory than `--memory` allows"),
        "{}",
        said.err
    );
    let said = build(&kiln, text, &["-m", "1g"]);
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn processors_are_those_that_are_allowed() {
    let kiln = Kiln::new();
    let text = "FROM busybox\nRUN grep Cpus_allowed_list /proc/self/status\n";
    let said = build(&kiln, text, &["--resource", "cpuset-cpus=0,cpus=0.5"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("Cpus_allowed_list:\t0\n"), "{}", said.err);
    let said = build(&kiln, text, &["--cpuset-cpus", "4000", "--no-cache"]);
    assert!(
        said.err.contains("set `cpuset.cpus` to `4000`"),
        "{}",
        said.err
    );
}

#[test]
fn no_key_knows_of_limits() {
    let kiln = Kiln::new();
    let text = "FROM busybox\nRUN echo once > /once\n";
    assert_eq!(build(&kiln, text, &[]).code, 0);
    for more in [
        &["--memory", "64m"][..],
        &["--ulimit", "nofile=100"],
        &["--shm-size", "1m"],
        &["--add-host", "a:1.2.3.4"],
        &["--cpus", "1"],
    ] {
        let said = build(&kiln, text, more);
        assert!(said.err.contains("CACHED"), "{more:?} {}", said.err);
    }
    let said = build(&kiln, text, &["--network", "none"]);
    assert!(
        !said.err.contains("2/2] RUN echo once > /once\n#2 CACHED"),
        "{}",
        said.err
    );
}

#[test]
fn a_user_is_refused_what_a_user_cannot_have() {
    for who in Who::USERS {
        let kiln = who.kiln();
        let text = "FROM busybox\nRUN true\n";
        let said = build(&kiln, text, &["--memory", "64m"]);
        if said.code == 0 {
            println!("not run: control groups are handed on to users here");
            continue;
        }
        assert!(said.err.contains("limit a step: "), "{}", said.err);
        assert!(said.err.contains("Dockerfile:2:1"), "{}", said.err);
        assert!(said.err.contains("Delegate=yes"), "{}", said.err);
        let said = build(&kiln, text, &["--ulimit", "nofile=99999999"]);
        assert!(
            said.err
                .contains("without root a hard limit can be lowered"),
            "{}",
            said.err
        );
        let said = build(&kiln, text, &["--ulimit", "nofile=100", "--shm-size", "1m"]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
}

#[test]
fn a_user_who_was_handed_a_control_group_has_limits() {
    for user in [User::with_ids, User::without_ids] {
        let user = Arc::new(user());
        let kiln = Kiln::of(&user);
        busybox(&kiln);
        let group = match Delegated::to(&user) {
            Ok(group) => group,
            Err(reason) => {
                println!("not run: {reason}");
                return;
            }
        };
        let build = |line: &str, more: &[&str]| {
            let text = format!("FROM busybox\n{line}\n");
            let context = kiln.context("limits", &[("Dockerfile", &text)]);
            let args = ["build", "--no-cache", "--progress", "plain"];
            let args = [&args[..], more, &[context.to_str().unwrap()]].concat();
            said(&mut group.within(&kiln.command(args)))
        };
        let eats = "RUN x=$(yes | head -c 60000000); echo ${#x}";
        let killed = build(eats, &["-m", "20m", "--memory-swap", "20m"]);
        assert!(killed.err.contains("exit code: 137"), "{}", killed.err);
        assert!(
            killed.err.contains("than `--memory` allows"),
            "{}",
            killed.err
        );
        assert_eq!(build(eats, &["-m", "500m"]).code, 0);
        let shows = "RUN cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max; \
                     grep Cpus_allowed_list /proc/self/status";
        let more = ["--cpus", "0.5", "--cpuset-cpus", "0", "-m", "64m"];
        let bounded = build(shows, &more);
        assert_eq!(bounded.code, 0, "{}", bounded.err);
        assert!(
            bounded.err.contains("Cpus_allowed_list:\t0\n"),
            "{}",
            bounded.err
        );
    }
}

#[test]
fn what_contradicts_itself_is_refused_before_anything() {
    let kiln = Kiln::new();
    let context = kiln.context("c", &[("Dockerfile", "FROM scratch\n")]);
    let context = context.to_str().unwrap();
    for (more, what) in [
        (&["--memory-swap", "64m"][..], "needs --memory as well"),
        (&["-m", "64m", "--memory-swap", "32m"], "less than --memory"),
        (&["-m", "lots"], "--memory: `lots` is no size"),
        (&["--cpus", "0"], "no number of processors"),
        (
            &["--cpus", "1", "--cpu-quota", "5000"],
            "conflicting options",
        ),
        (&["--cpuset-cpus", "3-1"], "no list of numbers"),
        (&["--network", "bridge"], "unknown network `bridge`"),
        (&["--allow", "everything"], "there is nothing to allow"),
        (&["--shm-size", "-1"], ""),
        (&["--resource", "memory=64m", "-m", "64m"], "given twice"),
    ] {
        let said = kiln.fails([&["build"][..], more, &[context]].concat());
        assert!(said.err.contains(what), "{more:?} {}", said.err);
    }
}

#[test]
fn devices_are_those_of_the_machines_files() {
    let kiln = Kiln::new();
    let own = "/etc/cdi/kiln-test.json";
    fs::create_dir_all("/etc/cdi").unwrap();
    let file = r#"{"cdiVersion": "0.6.0", "kind": "kiln.test/class", "devices": [{"name": "zero",
        "containerEdits": {"env": ["DEVICE=zero"], "deviceNodes": [{"path": "/dev/test/zero", "hostPath": "/dev/zero"}]}}]}"#;
    fs::write(own, file).unwrap();
    let text = "FROM busybox\n\
        RUN --device=kiln.test/class=zero,required head -c 3 /dev/test/zero | wc -c && echo $DEVICE\n\
        RUN test ! -e /dev/test\n";
    let said = build(&kiln, text, &["--allow", "device"]);
    fs::remove_file(own).unwrap();
    // Others' files stay, and so does their folder.
    let _ = fs::remove_dir("/etc/cdi");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains(" 3\n") && said.err.contains(" zero\n"),
        "{}",
        said.err
    );
}
