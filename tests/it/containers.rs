//! Containers with a life: made, started, stopped, looked at, removed.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use kiln_tests::{
    kiln::{Kiln, Said},
    until::until,
    who::{self, Who},
};
use serde_json::Value;

const DOCKERFILE: &str = "FROM busybox
ENV A=image
LABEL of=image
EXPOSE 80
CMD [\"sh\", \"-c\", \"trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.05; done\"]
";

fn prepared() -> Kiln {
    let kiln = Who::Root.kiln();
    kiln.build("app", &[("Dockerfile", DOCKERFILE)]);
    kiln
}

/// Tells a story of everybody, with that image.
fn everybody(story: fn(&Kiln)) {
    who::everybody(|_, kiln| {
        kiln.build("app", &[("Dockerfile", DOCKERFILE)]);
        story(kiln);
    });
}

fn status(kiln: &Kiln, name: &str) -> String {
    let filter = format!("name=^{name}$");
    let out = kiln.ok(["ps", "-a", "--filter", &filter, "--format", "{{.Status}}"]);
    out.trim().to_owned()
}

fn inspect(kiln: &Kiln, name: &str) -> Value {
    let text = kiln.ok(["inspect", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

/// The output so far has this.
fn logged(kiln: &Kiln, name: &str, text: &str) {
    until(text, || {
        kiln.ok(["logs", name]).contains(text).then_some(())
    });
}

fn says(said: &Said, code: i32, what: &str) {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    assert!(said.err.contains(what), "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

#[test]
fn a_life() {
    everybody(|kiln| {
        let id = kiln.ok(["create", "--name", "one", "app"]);
        assert_eq!(id.trim().len(), 64);
        assert_eq!(status(kiln, "one"), "Created");
        assert_eq!(kiln.ok(["start", "one"]), "one\n");
        assert!(status(kiln, "one").starts_with("Up "));
        // Again is nothing.
        assert_eq!(kiln.ok(["start", "one"]), "one\n");
        logged(kiln, "one", "up");

        assert_eq!(kiln.ok(["stop", "one"]), "one\n");
        assert!(status(kiln, "one").starts_with("Exited (5) "));
        assert!(kiln.ok(["logs", "one"]).ends_with("asked\n"));
        assert_eq!(kiln.ok(["wait", "one"]), "5\n");
        // What does not run is stopped already, and cannot be killed.
        assert_eq!(kiln.ok(["stop", "one"]), "one\n");
        says(&kiln.run(["kill", "one"]), 1, "is not running");

        kiln.ok(["start", "one"]);
        assert_eq!(
            kiln.ok(["restart", "-t", "1", &id[..12]]),
            format!("{}\n", &id[..12])
        );
        assert!(status(kiln, "one").starts_with("Up "));
        kiln.ok(["rename", "one", "two"]);
        says(&kiln.run(["start", "one"]), 1, "No such container: one");
        assert_eq!(kiln.ok(["kill", "two"]), "two\n");
        assert_eq!(kiln.ok(["wait", "two"]), "137\n");
        assert_eq!(kiln.ok(["rm", "two"]), "two\n");
        says(&kiln.run(["rm", "two"]), 1, "No such container: two");
        kiln.ok(["rm", "-f", "two"]);
        assert_eq!(kiln.ok(["ps", "-aq"]), "");
    });
}

#[test]
fn in_the_background_until_it_is_asked() {
    everybody(|kiln| {
        let id = kiln.ok(["run", "-d", "--name", "back", "app"]);
        assert_eq!(id.trim().len(), 64);
        logged(kiln, "back", "up");
        assert_eq!(kiln.ok(["ps", "-q", "--no-trunc"]), id);
        says(
            &kiln.run(["rm", "back"]),
            1,
            "stop the container before removing or force remove",
        );
        let name = kiln.run(["run", "-d", "--name", "back", "app"]);
        says(&name, 125, "is already in use by container");
        assert_eq!(kiln.ok(["rm", "-f", "back"]), "back\n");
        assert_eq!(kiln.ok(["ps", "-aq"]), "");

        // What goes by itself.
        kiln.ok(["run", "-d", "--rm", "--name", "gone", "app"]);
        logged(kiln, "gone", "up");
        kiln.ok(["stop", "-s", "KILL", "gone"]);
        until("it goes", || {
            kiln.ok(["ps", "-aq"]).is_empty().then_some(())
        });
    });
}

#[test]
fn several_at_once_and_what_fails_among_them() {
    let kiln = prepared();
    for name in ["aa", "bb"] {
        kiln.ok(["create", "--name", name, "busybox", "true"]);
    }
    let said = kiln.run(["start", "aa", "nobody", "bb"]);
    assert_eq!((said.out.as_str(), said.code), ("aa\nbb\n", 1));
    assert!(
        said.err.contains("No such container: nobody"),
        "{}",
        said.err
    );
    assert_eq!(kiln.ok(["wait", "aa", "bb"]), "0\n0\n");
    let said = kiln.run(["start", "-a", "aa", "bb"]);
    says(
        &said,
        1,
        "you cannot start and attach multiple containers at once",
    );
    assert_eq!(kiln.ok(["container", "rm", "aa", "bb"]), "aa\nbb\n");
}

#[test]
fn changes_stay_and_start_attaches() {
    everybody(|kiln| {
        let script = "echo x >> /count; wc -l < /count; echo no >&2; exit $(wc -l < /count)";
        let first = kiln.run(["run", "--name", "count", "busybox", "sh", "-c", script]);
        assert_eq!(
            (first.out.as_str(), first.err.as_str(), first.code),
            ("1\n", "no\n", 1)
        );
        let second = kiln.run(["start", "-a", "count"]);
        assert_eq!(
            (second.out.as_str(), second.err.as_str(), second.code),
            ("2\n", "no\n", 2)
        );
        assert_eq!(kiln.ok(["start", "count"]), "count\n");
        assert_eq!(kiln.ok(["wait", "count"]), "3\n");
    });
}

#[test]
fn input_ends_when_ours_does() {
    let kiln = prepared();
    let said = piped(
        &kiln,
        &["run", "-i", "--rm", "busybox", "wc", "-c"],
        b"12345",
    );
    assert_eq!((said.out.trim(), said.code), ("5", 0), "{}", said.err);
    kiln.ok(["create", "-i", "--name", "in", "busybox", "cat"]);
    let said = piped(&kiln, &["start", "-ai", "in"], b"typed\n");
    assert_eq!((said.out.as_str(), said.code), ("typed\n", 0));
    // Without -i there is none.
    let said = piped(
        &kiln,
        &["run", "--rm", "busybox", "cat"],
        b"nobody reads this",
    );
    assert_eq!((said.out.as_str(), said.code), ("", 0));
    // Only what was asked for.
    let script = "echo out; echo err >&2";
    let said = kiln.run(["run", "--rm", "-a", "stderr", "busybox", "sh", "-c", script]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "err\n"));
}

fn piped(kiln: &Kiln, args: &[&str], input: &[u8]) -> Said {
    let path = kiln.scratch().join("input");
    fs::write(&path, input).unwrap();
    let mut command = kiln.command(args);
    kiln_tests::kiln::said(command.stdin(fs::File::open(path).unwrap()))
}

#[test]
fn what_stands_behind_the_image_is_the_commands() {
    let kiln = prepared();
    let echo = ["run", "--rm", "--entrypoint", "echo", "busybox"];
    for words in [&["--", "-x", "--rm"][..], &["a", "--", "b"], &["--help"]] {
        let said = kiln.ok([&echo[..], words].concat());
        assert_eq!(said, format!("{}\n", words.join(" ")));
    }
    // That in front of it ends the flags.
    assert_eq!(
        kiln.ok(["run", "--rm", "--", "busybox", "echo", "a"]),
        "a\n"
    );
    says(
        &kiln.run(["run", "--nonsense", "busybox"]),
        125,
        "--nonsense",
    );
    says(&kiln.run(["run"]), 125, "IMAGE");
}

#[test]
fn large_output_comes_whole() {
    let kiln = prepared();
    let script = "seq 1 200000; seq 1 1000 >&2";
    let said = kiln.run(["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(said.code, 0);
    assert_eq!(said.out.lines().count(), 200_000);
    assert_eq!(said.err.lines().count(), 1000);
    assert!(said.out.ends_with("\n200000\n"));
}

#[test]
fn files_of_variables_labels_and_ids() {
    let kiln = prepared();
    let at = |name: &str| kiln.scratch().join(name);
    fs::write(at("env"), "A=file\n# no\nB= two words \nHOME\nNOT_HERE\n").unwrap();
    fs::write(at("labels"), "l=file\nm\n").unwrap();
    let script = "echo \"$A|$B|$C|$HOME|${NOT_HERE-unset}\"";
    let out = kiln.ok([
        "run",
        "--name",
        "with",
        "--env-file",
        "env",
        "-e",
        "C=flag",
        "--label-file",
        "labels",
        "-l",
        "n=flag",
        "--cidfile",
        "id",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let home = kiln.scratch().display().to_string();
    assert_eq!(out, format!("file| two words |flag|{home}|unset\n"));
    let seen = inspect(&kiln, "with");
    assert_eq!(seen["Config"]["Labels"]["l"], "file");
    assert_eq!(seen["Config"]["Labels"]["m"], "");
    assert_eq!(seen["Config"]["Labels"]["n"], "flag");
    assert_eq!(seen["Id"], fs::read_to_string(at("id")).unwrap().as_str());

    fs::write(at("bad"), "A B=1\n").unwrap();
    for (args, why) in [
        (&["--cidfile", "id"][..], "container ID file found"),
        (
            &["--env-file", "bad"],
            "variable 'A B' contains whitespaces",
        ),
        (&["--env-file", "none"], "open `none`"),
        (&["-e", "=x"], "invalid environment variable: =x"),
        (&["-l", "=x"], "invalid label '=x': empty name"),
        (&["--restart", "always"], "not by a daemon"),
        (
            &["--restart", "on-failure:x"],
            "maximum retry count must be an integer",
        ),
        (
            &["--rm", "--restart", "on-failure"],
            "cannot specify both --restart and --rm",
        ),
        (&["--add-host", "x"], "bad format for add-host: \"x\""),
        (
            &["--mount", "x"],
            "invalid field 'x' must be a key=value pair",
        ),
        (&["--network", "mine"], "`mine`"),
        (&["--detach-keys", "xx"], "invalid detach keys"),
        (&["-a", "foo"], "valid streams are STDIN, STDOUT and STDERR"),
        (&["--pull", "foo"], "possible values"),
        (&["--stop-signal", "NONE"], "NONE"),
        (&["--name", "!"], "invalid container name"),
        (&["-w", "relative"], "it needs to be an absolute path"),
        (&["--privileged"], "--privileged"),
    ] {
        let mut all = vec!["run"];
        all.extend(args);
        all.extend(["busybox", "true"]);
        says(&kiln.run(all), 125, why);
    }
    let none = ["run", "--cidfile", "never", "127.0.0.1:1/none"];
    assert_eq!(kiln.run(none).code, 125);
    assert!(!at("never").exists());
    assert_eq!(kiln.ok(["ps", "-aq"]).lines().count(), 1);
}

#[test]
fn what_it_sees_of_the_machine() {
    everybody(|kiln| {
        fs::create_dir(kiln.scratch().join("here")).unwrap();
        fs::set_permissions(kiln.scratch().join("here"), Permissions::from_mode(0o777)).unwrap();
        fs::write(kiln.scratch().join("here/file"), "of the machine").unwrap();
        let here = kiln.scratch().join("here").display().to_string();
        let run = |args: &[&str], script: &str| {
            let mut all = vec!["run", "--rm"];
            all.extend(args);
            all.extend(["busybox", "sh", "-c", script]);
            kiln.run(all)
        };
        let bind = format!("{here}:/at:ro");
        let said = run(&["-v", &bind], "cat /at/file; touch /at/new");
        assert_eq!(said.out, "of the machine");
        assert!(said.err.contains("Read-only"), "{}", said.err);
        let mount = format!("type=bind,src={here},dst=/at");
        run(&["--mount", &mount], "echo new > /at/new");
        assert_eq!(
            fs::read_to_string(kiln.scratch().join("here/new")).unwrap(),
            "new\n"
        );
        let script = "touch /x || echo refused; touch /mem/x && df -k /mem | tail -1";
        let said = run(&["--read-only", "--tmpfs", "/mem:size=1m"], script);
        assert!(
            said.out.starts_with("refused\n") && said.out.contains("1024"),
            "{}",
            said.out
        );
        let copied = "cp /bin/busybox /mem/echo && /mem/echo run";
        let said = run(&["--tmpfs", "/mem"], copied);
        assert!(said.err.contains("Permission denied"), "{}", said.err);
        let said = run(&["--tmpfs", "/mem:exec"], copied);
        assert_eq!(said.out, "run\n", "{}", said.err);
        let said = run(&["--network", "host", "-p", "80"], "true");
        assert!(
            said.code == 0 && said.err.contains("ports are discarded"),
            "{}",
            said.err
        );
        let said = run(
            &["-h", "box", "--add-host", "db:10.1.2.3"],
            "hostname; cat /etc/hosts",
        );
        assert!(said.out.starts_with("box\n"), "{}{}", said.out, said.err);
        assert!(said.out.contains("10.1.2.3\tdb"), "{}", said.out);
        let said = run(&["--network", "none"], "ls /sys/class/net");
        assert_eq!(said.out, "lo\n", "{}", said.err);
        let said = run(
            &["--init"],
            "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$",
        );
        assert!(!said.out.starts_with("sh "), "{}", said.out);
    });
}

#[test]
fn again_when_it_fails() {
    everybody(|kiln| {
        let script = "echo x >> /count; exit 3";
        kiln.ok([
            "run",
            "-d",
            "--name",
            "again",
            "--restart",
            "on-failure:2",
            "busybox",
            "sh",
            "-c",
            script,
        ]);
        assert_eq!(kiln.ok(["wait", "again"]), "3\n");
        let seen = inspect(kiln, "again");
        assert_eq!(seen["RestartCount"], 2, "{seen}");
        assert_eq!(seen["HostConfig"]["RestartPolicy"]["Name"], "on-failure");
        assert_eq!(seen["HostConfig"]["RestartPolicy"]["MaximumRetryCount"], 2);
    });
}

#[test]
fn what_cannot_be_started_says_so_and_stays() {
    everybody(|kiln| {
        let said = kiln.run(["run", "-d", "--name", "none", "busybox", "nothing-here"]);
        says(&said, 127, "executable file not found in $PATH");
        assert_eq!(said.out.trim().len(), 64, "it is there all the same");
        assert_eq!(status(kiln, "none"), "Created");
        let seen = inspect(kiln, "none");
        assert_eq!(seen["State"]["ExitCode"], 127);
        assert!(
            seen["State"]["Error"]
                .as_str()
                .unwrap()
                .contains("nothing-here"),
            "{seen}"
        );
        says(
            &kiln.run(["start", "none"]),
            1,
            "executable file not found in $PATH",
        );
        says(
            &kiln.run(["run", "--name", "xx", "busybox", "/etc/passwd"]),
            126,
            "permission denied",
        );
        says(
            &kiln.run([
                "run",
                "--name",
                "user",
                "-u",
                "nobody-here",
                "busybox",
                "true",
            ]),
            125,
            "nobody-here",
        );
        // With --rm nothing stays.
        kiln.run([
            "run",
            "-d",
            "--rm",
            "--name",
            "rm",
            "busybox",
            "nothing-here",
        ]);
        assert_eq!(kiln.ok(["ps", "-aq", "--filter", "name=^rm$"]), "");
    });
}

#[test]
fn inspected() {
    everybody(|kiln| {
        let id = kiln.ok([
            "run",
            "-d",
            "--name",
            "/seen",
            "-p",
            "127.0.0.1::80",
            "--tmpfs",
            "/t",
            "-v",
            "/anon",
            "-e",
            "B=2",
            "--stop-timeout",
            "3",
            "app",
        ]);
        let seen = inspect(kiln, "seen");
        assert_eq!(seen["Id"], id.trim());
        assert_eq!(seen["Name"], "/seen");
        assert_eq!(seen["Path"], "sh");
        assert_eq!(seen["Args"][0], "-c");
        assert_eq!(seen["State"]["Status"], "running");
        assert_eq!(seen["State"]["Running"], true);
        assert_eq!(seen["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
        let pid = seen["State"]["Pid"].as_u64().unwrap();
        assert!(fs::exists(format!("/proc/{pid}")).unwrap());
        assert_eq!(seen["Config"]["Image"], "app");
        assert_eq!(seen["Config"]["Labels"]["of"], "image");
        let env = seen["Config"]["Env"].as_array().unwrap();
        assert!(
            env.contains(&"A=image".into()) && env.contains(&"B=2".into()),
            "{env:?}"
        );
        assert_eq!(seen["Config"]["StopTimeout"], 3);
        assert_eq!(seen["HostConfig"]["NetworkMode"], "bridge");
        let port = &seen["NetworkSettings"]["Ports"]["80/tcp"][0];
        assert_eq!(port["HostIp"], "127.0.0.1");
        let shown = kiln.ok(["port", "seen"]);
        let number = port["HostPort"].as_str().unwrap();
        assert_eq!(shown, format!("80/tcp -> 127.0.0.1:{number}\n"));
        assert_eq!(
            kiln.ok(["port", "seen", "80"]),
            format!("127.0.0.1:{number}\n")
        );
        says(
            &kiln.run(["port", "seen", "81"]),
            1,
            "no public port '81/tcp' published for seen",
        );
        let mut kinds: Vec<_> = seen["Mounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["Type"].clone())
            .collect();
        kinds.sort_by_key(Value::to_string);
        assert!(kinds.contains(&"volume".into()), "{seen}");

        assert!(seen["Config"]["ExposedPorts"]["80/tcp"].is_object());
        assert!(seen["Config"]["Volumes"]["/anon"].is_object());
        // What scripts ask docker for.
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}\
                      {{.NetworkSettings.IPAddress}}{{if .State.Health}}x{{end}}\
                      {{.HostConfig.Memory}} {{.HostConfig.PidMode}}";
        assert_eq!(kiln.ok(["inspect", "-f", format, "/seen"]), "0 \n");

        let format = "{{.State.Status}} {{.Config.Image}} {{json .Args}}";
        assert!(
            kiln.ok(["container", "inspect", "-f", format, "seen"])
                .starts_with("running app [")
        );
        assert!(
            kiln.ok(["top", "seen"])
                .lines()
                .nth(1)
                .unwrap()
                .contains("sh -c")
        );
        let all = kiln.ok(["top", "seen", "aux"]);
        let first: Vec<&str> = all.lines().nth(1).unwrap().split_whitespace().collect();
        assert!(
            first[1] == pid.to_string() && first[7].contains('s') && first[10] == "sh",
            "{all}"
        );
        assert!(first[5].parse::<u64>().unwrap() > 0, "{all}");
        kiln.ok(["kill", "-s", "9", "seen"]);
        kiln.ok(["wait", "seen"]);
        let seen = inspect(kiln, "seen");
        assert_eq!(seen["State"]["ExitCode"], 137);
        assert_ne!(seen["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
        assert!(kiln.ok(["inspect", "-s", "seen"]).contains("\"SizeRw\": "));
        says(&kiln.run(["top", "seen"]), 1, "is not running");
        says(
            &kiln.run(["inspect", "nothing"]),
            1,
            "no such object: nothing",
        );
        says(&kiln.run(["inspect", "--type", "image", "seen"]), 1, "seen");
        let volume = seen["Mounts"].as_array().unwrap().iter();
        let volume = volume.filter_map(|m| m["Name"].as_str()).next().unwrap();
        let point = kiln.ok([
            "inspect",
            "--type",
            "volume",
            "-f",
            "{{.Mountpoint}}",
            volume,
        ]);
        assert!(point.trim().ends_with("/_data"), "{point}");
        assert_eq!(
            kiln.ok(["inspect", "-f", "{{.Name}}", volume]).trim(),
            volume
        );
        let said = kiln.run(["inspect", "nothing", "seen"]);
        assert!(said.code == 1 && said.out.contains("\"/seen\""));
    });
}

#[test]
fn stopped_ones_are_pruned() {
    everybody(|kiln| {
        kiln.ok(["run", "-d", "--name", "runs", "app"]);
        kiln.ok([
            "run",
            "--name",
            "old",
            "-l",
            "keep=no",
            "busybox",
            "sh",
            "-c",
            "echo x > /file",
        ]);
        kiln.ok(["create", "--name", "new", "busybox", "true"]);
        let id = |name: &str| inspect(kiln, name)["Id"].as_str().unwrap().to_owned();
        let (old, new) = (id("old"), id("new"));
        let df = kiln.ok([
            "system",
            "df",
            "--format",
            "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}",
        ]);
        let line = df.lines().find(|l| l.starts_with("Containers")).unwrap();
        assert!(line.starts_with("Containers 3 1 "), "{df}");
        assert!(!line.ends_with(" 0B"), "{df}");
        let out = kiln.ok(["container", "prune", "-f", "--filter", "label=keep=no"]);
        assert!(
            out.starts_with(&format!(
                "Deleted Containers:\n{old}\n\nTotal reclaimed space: "
            )),
            "{out}"
        );
        assert!(!out.ends_with(" 0B\n"), "{out}");
        let out = kiln.ok(["container", "prune", "-f", "--filter", "until=10m"]);
        assert_eq!(out, "Total reclaimed space: 0B\n");
        let out = kiln.ok(["container", "prune", "-f"]);
        assert!(out.contains(&new), "{out}");
        assert_eq!(kiln.ok(["ps", "-a", "--format", "{{.Names}}"]), "runs\n");
        kiln.ok(["rm", "-f", "runs"]);
        assert_eq!(
            kiln.ok(["system", "check"]),
            "Everything in the store is whole.\n"
        );
    });
}

#[test]
fn images_that_containers_use() {
    let kiln = prepared();
    let id = kiln.ok(["run", "-d", "--name", "runs", "app"]);
    let short = &id[..12];
    let image = inspect(&kiln, "runs")["Image"].as_str().unwrap().to_owned();
    let image = image.trim_start_matches("sha256:")[..12].to_owned();
    says(
        &kiln.run(["rmi", "app"]),
        1,
        &format!(
            "conflict: unable to remove repository reference \"app\" (must force) - container {short} \
             is using its referenced image {image}"
        ),
    );
    says(
        &kiln.run(["rmi", "-f", &image]),
        1,
        &format!(
            "conflict: unable to delete {image} (cannot be forced) - image is being used by running \
             container {short}"
        ),
    );
    kiln.ok(["kill", "runs"]);
    kiln.ok(["wait", "runs"]);
    says(
        &kiln.run(["rmi", &image]),
        1,
        &format!("(must be forced) - image is being used by stopped container {short}"),
    );
    kiln.ok(["rmi", "-f", "app"]);
    // It is still all there for the container.
    kiln.ok(["start", "runs"]);
    assert!(status(&kiln, "runs").starts_with("Up "));
    kiln.ok(["rm", "-f", "runs"]);
}

#[test]
fn where_the_image_comes_from() {
    let kiln = prepared();
    says(
        &kiln.run(["run", "--pull", "never", "nowhere", "true"]),
        125,
        "nowhere",
    );
    let said = kiln.run(["create", "--pull=never", "nowhere"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let said = kiln.run([
        "run",
        "--pull=never",
        "--platform",
        "linux/s390x",
        "busybox",
        "true",
    ]);
    says(
        &said,
        125,
        "does not provide the specified platform (linux/s390x)",
    );
    kiln.ok(["run", "--rm", "--platform", "linux", "busybox", "true"]);
}

#[test]
fn the_dead_are_told_of_truly() {
    let kiln = prepared();
    kiln.ok(["run", "-d", "--name", "held", "app"]);
    logged(&kiln, "held", "up");
    let pid = inspect(&kiln, "held")["State"]["Pid"].as_u64().unwrap();
    Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert_eq!(kiln.ok(["wait", "held"]), "137\n");
    assert!(status(&kiln, "held").starts_with("Exited (137) "));
}
