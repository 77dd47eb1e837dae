//! What a user is told when something is wrong.

use kiln_tests::{base::busybox, kiln::Kiln, who::Who};

/// Builds a Dockerfile that is wrong, and checks what is said of it.
fn refused(text: &str, expected: &[&str]) {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.fails(["build", "--progress=plain", context.to_str().unwrap()]);
    for want in expected {
        assert!(said.err.contains(want), "no `{want}` in:\n{}", said.err);
    }
}

#[test]
fn a_dockerfile_that_is_wrong() {
    for (text, expected) in [
        (
            "FROM busybox\nRNU echo\n",
            &["Dockerfile:2:1", "RNU", "`RUN`", "^"][..],
        ),
        (
            "FROM Ubuntu\n",
            &["Dockerfile:1:6", "lower case", "`ubuntu`"],
        ),
        (
            "FROM busybox\nCOPY --form=x a /b\n",
            &["Dockerfile:2:6", "--form", "--from"],
        ),
        (
            "FROM busybox\nCOPY nothing /x\n",
            &["Dockerfile:2:", "nothing"],
        ),
        (
            "FROM busybox AS a\nFROM busybox\nCOPY --from=a /BIN/sh /x\n",
            &["Dockerfile:3:1", "`/BIN/sh`", "--from", "`/bin/sh`"],
        ),
        (
            "FROM scratch\nRUN echo\n",
            &["Dockerfile:2:1", "/bin/sh", "exit code: 127", "RUN [\""],
        ),
        ("RUN echo\n", &["Dockerfile:1:1", "FROM"]),
        ("FROM busybox\nADD https://x.y/z /\n", &["Dockerfile:2:"]),
        (
            "FROM busybox\nRUN --mount=type=secert,id=x true\n",
            &["Dockerfile:2:18", "did you mean `secret`?"],
        ),
        (
            "FROM busybox\nRUN --mount=type=secret,id=x,required true\n",
            &[
                "Dockerfile:2:1",
                "`x` was not given",
                "--secret id=x,src=FILE",
            ],
        ),
        (
            "FROM busybox\nRUN --mount=type=ssh,required true\n",
            &["Dockerfile:2:1", "`default` was not given", "--ssh default"],
        ),
        (
            "FROM busybox\nRUN --network=host true\n",
            &["Dockerfile:2:1", "is not allowed", "--allow network.host"],
        ),
        (
            "FROM busybox\nADD --checksum=sha256:00 http://127.0.0.1:1/x /\n",
            &["Dockerfile:2:16", "is no digest", "64 hexadecimal digits"],
        ),
        (
            "FROM busybox\nRUN id\nUSER nobody2\nRUN id\n",
            &[
                "Dockerfile:4:1",
                "user nobody2",
                "create it in the image first",
            ],
        ),
    ] {
        refused(text, expected);
    }
}

#[test]
fn a_registry_that_is_not_there() {
    let kiln = Kiln::new();
    let context = kiln.context("app", &[("Dockerfile", "FROM 127.0.0.1:1/none\n")]);
    let e = kiln.fails(["build", context.to_str().unwrap()]).err;
    assert!(
        e.contains("Dockerfile:1:6") && e.contains("127.0.0.1:1"),
        "{e}"
    );
    assert!(e.contains("connection refused"), "{e}");
    assert_eq!(
        e.to_lowercase().matches("connection refused").count(),
        1,
        "{e}"
    );
    let e = kiln.fails(["pull", "127.0.0.1:1/none"]).err;
    assert!(e.contains("127.0.0.1:1") && e.contains("tried"), "{e}");
}

#[test]
fn warnings_for_what_is_copied_from_tutorials() {
    let kiln = Kiln::new();
    busybox(&kiln);
    for (text, expected) in [
        ("FROM busybox\nRUN echo \u{2013}y\n", "\u{2013}"),
        (
            "FROM busybox\nCMD ['a']\n",
            "CMD hands it to the shell as it is",
        ),
        (
            "FROM busybox\nENTRYPOINT FLASK_APP-/opt/app.py flask run\n",
            "FLASK_APP=/opt/app.py",
        ),
    ] {
        let context = kiln.context("app", &[("Dockerfile", text)]);
        let said = kiln.run(["build", "--progress=plain", context.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            said.err.contains(expected),
            "no `{expected}` in:\n{}",
            said.err
        );
    }
    let text = "FROM busybox\nENTRYPOINT FLASK_APP=/opt/app.py flask run --host=0.0.0.0\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.run(["build", "--progress=plain", context.to_str().unwrap()]);
    assert!(!said.err.contains("warning:"), "{}", said.err);
}

#[test]
fn a_file_that_may_not_be_read() {
    let kiln = Who::WithIds.kiln();
    let files = [("Dockerfile", "FROM scratch\nCOPY . /\n"), ("secret", "s")];
    let context = kiln.context("app", &files);
    let path = context.to_str().unwrap();
    let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(context.join("secret"), nobody).unwrap();
    let e = kiln.fails(["build", path]).err;
    for want in [
        "Dockerfile:2:1",
        "make it readable, or name it in `.dockerignore`",
        "`secret`",
        "Permission denied",
    ] {
        assert!(e.contains(want), "no `{want}` in:\n{e}");
    }
    std::fs::write(context.join(".dockerignore"), "secret\n").unwrap();
    kiln.ok(["build", path]);
}

#[test]
fn commands_that_are_almost_right() {
    let kiln = Kiln::new();
    let e = kiln.fails(["build", "-f", "Dockerfile"]).err;
    assert!(
        e.contains("did you mean `kiln build -f Dockerfile .`?"),
        "{e}"
    );
    let context = kiln.context("app", &[("Dockerfile", "FROM scratch\nCOPY Readme /\n")]);
    let path = context.to_str().unwrap();
    std::fs::write(context.join("README"), "").unwrap();
    let e = kiln.fails(["build", path]).err;
    assert!(e.contains("Dockerfile:2:1"), "{e}");
    assert!(e.contains("there is `README`"), "{e}");
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY src/indx.html /\n"),
        ("src/index.html", ""),
    ];
    let near = kiln.context("near", &files);
    let e = kiln.fails(["build", near.to_str().unwrap()]).err;
    assert!(e.contains("there is `src/index.html`"), "{e}");
    let e = kiln.fails(["build", "-f", path, path]).err;
    assert!(
        e.contains(&format!("did you mean `-f {path}/Dockerfile`?")),
        "{e}"
    );
    let e = kiln.fails(["build", &format!("{path}/README")]).err;
    assert!(e.contains("is a file") && e.contains("README .`?"), "{e}");
    let e = kiln.fails(["build", &format!("{path}/none")]).err;
    assert!(e.contains("/none`") && e.contains("No such file"), "{e}");
    let said = kiln.fails(["build", "-t", "Upper", path]);
    assert_eq!(said.code, 125);
    assert!(
        said.err.contains("--tag") && said.err.contains("`upper`"),
        "{}",
        said.err
    );
    let e = kiln.fails(["build", "--targte", "x", path]).err;
    assert!(e.contains("--target"), "{e}");
    let e = kiln.fails(["run", "simple:", "app"]).err;
    assert!(e.contains("simple:"), "{e}");
    let e = kiln.fails(["run", "simple: app"]).err;
    assert!(e.contains("did you mean `simple:app`?"), "{e}");
    assert_eq!(kiln.fails(["build", "--nope"]).code, 125);
}

#[test]
fn a_failing_run_shows_the_end_of_its_output_where_it_was_not_shown() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox\nRUN seq 100; exit 4\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let path = context.to_str().unwrap();
    for flags in [&["-q"][..], &["--progress=quiet"]] {
        let args = [&["build", path], flags].concat();
        let said = kiln.fails(args);
        assert_eq!(said.out, "");
        assert!(
            said.err.contains("\n81\n") && said.err.contains("\n100\n"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("\n80\n"), "{}", said.err);
        assert!(said.err.contains("exit code: 4"), "{}", said.err);
    }
    let err = kiln.fails(["build", path]).err;
    assert_eq!(err.matches(" 100\n").count(), 1, "{err}");
    // Nobody is asked for an image that is here.
    assert!(!err.contains("resolving"), "{err}");
}

#[test]
fn on_a_terminal_lines_stay_whole_and_colour_is_asked_for() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox\nRUN echo one\nRUN echo two; exit 4\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let binary = kiln_tests::kiln::binary().to_str().unwrap();
    let line = format!(
        "{binary} build --progress=tty --no-cache {}",
        context.display()
    );
    for colour in [true, false] {
        // The program of util-linux that gives another one a terminal.
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line, "/dev/null"]);
        script.env("KILN_ROOT", kiln.root()).env("TERM", "xterm");
        match colour {
            true => script.env_remove("NO_COLOR"),
            false => script.env("NO_COLOR", "1"),
        };
        let said = kiln_tests::kiln::said(script.stdin(std::process::Stdio::null()));
        assert_eq!(said.code, 1, "{}", said.out);
        assert!(!said.out.contains("panicked"), "{}", said.out);
        let red = "\u{1b}[91m";
        assert_eq!(said.out.contains(red), colour, "{:?}", said.out);
        let lines: Vec<&str> = said.out.lines().map(str::trim_end).collect();
        let whole = |end: &str| lines.iter().any(|line| line.ends_with(end));
        assert!(whole("failed"), "{:?}", said.out);
        assert!(lines.contains(&"two"), "{:?}", said.out);
        assert!(!lines.contains(&"one"), "{:?}", said.out);
        if !colour {
            assert!(lines.contains(&" --> Dockerfile:3:1"), "{:?}", said.out);
        }
    }
}

/// Command lines that are wrong, and all that is said of each. Every one names the flag or the argument,
/// and where there is one, the way out; none builds anything.
const WRONG: &[(&str, &str)] = &[
    (
        "-t a,b .",
        "error: --tag: invalid reference `a,b`: `a,b` is not a part of a name\n  \
         hint: letters a-z, digits, and between them `.`, `_`, `__` or `-`\n",
    ),
    (
        "-t A .",
        "error: --tag: invalid reference `A`: names of images are lower case\n  \
         hint: did you mean `a`?\n",
    ),
    (
        "-t .",
        "error: \"kiln build\" requires exactly 1 argument: the folder that COPY and ADD take files from\n  \
         hint: did you mean `kiln build .`?\n",
    ),
    (
        "-f Nope .",
        "error: failed to read dockerfile: open `Nope`\n  \
         because: No such file or directory (os error 2)\n  \
         hint: there is `Dockerfile`: name it with -f\n",
    ),
    (
        "-f sub .",
        "error: failed to read dockerfile: open `sub`\n  \
         because: Is a directory (os error 21)\n  \
         hint: did you mean `-f sub/Dockerfile`?\n",
    ),
    (
        "nope",
        "error: read the build context `nope`\n  \
         because: No such file or directory (os error 2)\n  \
         hint: the last argument is the folder that COPY and ADD take files from: `.` is this one\n",
    ),
    (
        "Dockerfile",
        "error: the build context `Dockerfile` is a file\n  \
         hint: did you mean `kiln build -f Dockerfile .`?\n",
    ),
    (
        "--build-arg A=two words .",
        "error: \"kiln build\" requires exactly 1 argument, and `.` is another one\n  \
         hint: the one argument is the folder that COPY and ADD take files from; a value stands behind \
         its flag, and in quotes where it has blanks: `--build-arg \"KEY=two words\"`\n",
    ),
    (
        "--build-arg =x .",
        "error: --build-arg: `=x` has no name before its `=`\n",
    ),
    (
        "--target nope .",
        "error: target stage `nope` could not be found\n  \
         hint: the stages are `build`, `1`\n",
    ),
    (
        "--secret id=token,src=nope.txt .",
        "error: --secret: read `nope.txt`\n  because: No such file or directory (os error 2)\n",
    ),
    (
        "--secret token=token.txt .",
        "error: --secret: there is no `token`\n  hint: there are: id, src, env, type\n",
    ),
    (
        "--ssh default=/nope.sock .",
        "error: --ssh: look at `/nope.sock`\n  because: No such file or directory (os error 2)\n",
    ),
    (
        "-o type=local .",
        "error: --output `type=local`: dest is required for a local output\n",
    ),
    (
        "-o type=bogus .",
        "error: --output `type=bogus`: there is no output of the type `bogus`\n  \
         hint: there are: local, tar, oci, docker, image, registry, cacheonly\n",
    ),
    (
        "-o type=local,dest=out,bogus=1 .",
        "error: --output `type=local,dest=out,bogus=1`: there is no option `bogus` of type=local\n",
    ),
    (
        "--push .",
        "error: tag is needed when pushing to registry\n  \
         hint: give it with `-t REGISTRY/NAME`, or as `name=` of the output\n",
    ),
    (
        "--iidfile nodir/id .",
        "error: --iidfile: the folder of `nodir/id` is not there\n",
    ),
    (
        "--network bridge .",
        "error: --network: unknown network `bridge`\n  hint: it can be `default`, `none` or `host`\n",
    ),
    (
        "--shm-size=much .",
        "error: --shm-size: `much` is no size: write it as 512m\n",
    ),
    (
        "--allow bogus .",
        "error: --allow: there is nothing to allow that is called `bogus`\n  \
         hint: it can be `network.host`, `security.insecure`, `device[=NAME]`, `buildx.local.delete`\n",
    ),
    (
        "--build-context x .",
        "error: --build-context: `x` has no `=`\n  \
         hint: it is `NAME=VALUE`, for example `assets=../assets`\n",
    ),
    (
        "--cache-from type=registry,ref=r.example/c .",
        "error: --cache-from: kiln does not read caches from elsewhere yet\n  \
         hint: leave it out: what builds made is kept in the store, so keep that ($KILN_ROOT) between runs\n",
    ),
    (
        "--provenance=mode=max .",
        "error: --provenance: kiln makes no attestations yet\n  \
         hint: leave it out, or say `--provenance=false`\n",
    ),
    (
        "--security-opt seccomp=unconfined .",
        "error: --security-opt: `seccomp=unconfined` is not carried out for builds\n  \
         hint: leave it out; a RUN that needs more says `RUN --security=insecure`, and the build \
         `--allow security.insecure`\n",
    ),
    (
        "--taget build .",
        "error: unexpected argument '--taget' found\n\n  tip: a similar argument exists: '--target'\n\n\
         Usage: kiln build --target <STAGE> [CONTEXT]\n\nFor more information, try '--help'.\n",
    ),
];

#[test]
fn a_command_line_that_is_wrong() {
    let kiln = Kiln::new();
    let text = "FROM scratch AS build\nFROM scratch\nCOPY a /a\n";
    let files = [("Dockerfile", text), ("a", "a"), ("sub/Dockerfile", text)];
    let context = kiln.context("app", &files);
    for (line, expected) in WRONG {
        let words = line.split(' ');
        let mut command = kiln.command(["build"].into_iter().chain(words));
        let said = kiln_tests::kiln::said(command.current_dir(&context));
        assert_eq!(said.err, *expected, "kiln build {line}");
        assert_eq!(said.out, "", "kiln build {line}");
        assert_ne!(said.code, 0, "kiln build {line}");
    }
    assert_eq!(kiln.ok(["images", "-aq"]), "");
}

#[test]
fn a_command_line_as_docker_takes_it() {
    let kiln = Kiln::new();
    let text = "FROM scratch AS build\nFROM scratch\nCOPY a /a\n";
    let context = kiln.context("app", &[("Dockerfile", text), ("a", "a")]);
    let run = |line: &str| {
        let mut command = kiln.command(line.split(' '));
        kiln_tests::kiln::said(command.current_dir(&context))
    };
    let id = run("build -q .").out;
    for line in [
        "build --pull=false --no-cache=false --rm=true --force-rm=false --compress --debug .",
        "build --provenance=false --sbom false --attest type=provenance,disabled=true .",
        "build --target= --isolation default --builder default .",
        "build --target build --target 1 -f Nope -f Dockerfile .",
        "buildx build --load=true --push=false .",
        "image build . -t x --progress=none",
    ] {
        let said = run(line);
        assert_eq!((said.code, &said.out), (0, &id), "{line}: {}", said.err);
    }
    let said = run("build --builder far .");
    assert!(
        said.err.contains("--builder: `far` is not asked"),
        "{}",
        said.err
    );
}

#[test]
fn a_store_that_is_not_this_users() {
    let kiln = Kiln::new();
    let context = kiln.context(
        "app",
        &[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")],
    );
    // Where even root makes no folders.
    let mut command = kiln.command(["build", context.to_str().unwrap()]);
    let said = kiln_tests::kiln::said(command.env("KILN_ROOT", "/sys/kiln"));
    assert_ne!(said.code, 0);
    for want in ["`/sys/kiln`", "`KILN_ROOT` names another folder"] {
        assert!(said.err.contains(want), "no `{want}` in:\n{}", said.err);
    }
}
