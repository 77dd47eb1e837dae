//! What a build does to files, config and records.

use kiln_tests::{base::busybox, kiln::Kiln};

/// What a step printed in a build, as a list of words `CACHED`, `DONE`.
fn steps(err: &str) -> Vec<(String, String)> {
    let mut names = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for line in err.lines().filter(|l| l.starts_with('#')) {
        let Some((number, rest)) = line[1..].split_once(' ') else {
            continue;
        };
        if rest.starts_with('[') {
            names.insert(
                number.to_owned(),
                rest.split_once("] ").unwrap().1.to_owned(),
            );
        } else if rest.starts_with("CACHED") || rest.starts_with("DONE") {
            let word = rest.split_whitespace().next().unwrap().to_owned();
            found.push((names[number].clone(), word));
        }
    }
    found
}

fn how(err: &str, step: &str) -> String {
    let found = steps(err)
        .into_iter()
        .find(|(name, _)| name.starts_with(step));
    found.map_or_else(|| panic!("no step `{step}` in:\n{err}"), |(_, how)| how)
}

const DOCKERFILE: &str = "FROM busybox
WORKDIR /app
COPY a.txt b.txt ./
RUN cat a.txt b.txt > both && rm /etc/group
COPY c.txt .
RUN echo done > /done
";

const FILES: &[(&str, &str)] = &[
    ("Dockerfile", DOCKERFILE),
    ("a.txt", "a"),
    ("b.txt", "b"),
    ("c.txt", "c"),
];

fn build(kiln: &Kiln, context: &std::path::Path) -> (String, String) {
    let said = kiln.run([
        "build",
        "--progress=plain",
        "-t",
        "app",
        context.to_str().unwrap(),
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    (said.out.trim().to_owned(), said.err)
}

#[test]
fn a_build_makes_what_the_instructions_say_and_a_second_one_runs_nothing() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", FILES);
    let (id, first) = build(&kiln, &context);
    assert_eq!(how(&first, "RUN cat"), "DONE", "{first}");
    let shown = kiln.ok([
        "run",
        "--rm",
        "app",
        "sh",
        "-c",
        "cat both; ls /etc; cat /done; pwd",
    ]);
    assert_eq!(shown.lines().next(), Some("abhostname"), "{shown}");
    assert!(!shown.contains("group"), "{shown}");
    assert!(shown.ends_with("done\n/app\n"), "{shown}");

    let (again, second) = build(&kiln, &context);
    assert_eq!(again, id);
    assert!(
        steps(&second).iter().all(|(_, how)| how == "CACHED"),
        "{second}"
    );
}

#[test]
fn a_changed_file_runs_only_what_depends_on_it() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", FILES);
    build(&kiln, &context);
    std::fs::write(context.join("c.txt"), "other").unwrap();
    let (_, err) = build(&kiln, &context);
    assert_eq!(how(&err, "RUN cat"), "CACHED", "{err}");
    assert_eq!(how(&err, "COPY c.txt"), "DONE", "{err}");
    assert_eq!(how(&err, "RUN echo done"), "DONE", "{err}");
    // Back again: everything is known.
    std::fs::write(context.join("c.txt"), "c").unwrap();
    let (_, err) = build(&kiln, &context);
    assert!(steps(&err).iter().all(|(_, how)| how == "CACHED"), "{err}");
}

#[test]
fn a_failed_build_goes_on_at_the_step_that_is_mended() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let broken = "FROM busybox\nRUN echo one\nRUN echo two > /two\nRUN echo three && exit 3\n";
    let context = kiln.context("app", &[("Dockerfile", broken)]);
    let path = context.to_str().unwrap();
    let said = kiln.fails(["build", "--progress=plain", path]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Dockerfile:4:1"), "{}", said.err);
    assert!(said.err.contains("exit code: 3"), "{}", said.err);
    std::fs::write(context.join("Dockerfile"), broken.replace("exit 3", "true")).unwrap();
    let (_, err) = build(&kiln, &context);
    assert_eq!(how(&err, "RUN echo two"), "CACHED", "{err}");
    assert_eq!(how(&err, "RUN echo three"), "DONE", "{err}");
}

#[test]
fn only_the_stages_that_the_target_needs_are_built() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox AS unneeded\nRUN false\n\
                FROM busybox AS three\nRUN echo 3 > /three\nFROM scratch\nCOPY --from=one /one /\n\
                COPY --from=2 /three /\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let (_, err) = build(&kiln, &context);
    assert!(!err.contains("RUN false"), "{err}");
    let tar = kiln.scratch().join("app.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
    let e = kiln.fails(["build", "--target", "nope", context.to_str().unwrap()]);
    assert!(e.err.contains("`one`, `unneeded`, `three`"), "{}", e.err);
}

#[test]
fn one_layer_for_each_instruction_that_changes_files_and_a_line_for_every_one() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox\nLABEL a=b\nRUN echo x > /x\nENV C=d\nRUN true\nRUN rm /x\n";
    kiln.build("app", &[("Dockerfile", text)]);
    let history = kiln.ok([
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}|{{.Size}}",
        "app",
    ]);
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 6, "{history}");
    assert!(lines[0].starts_with("RUN /bin/sh -c rm /x"), "{history}");
    let layers = kiln.ok(["inspect", "-f", "{{len .RootFS.Layers}}", "app"]);
    // The base, the file, its removal: `RUN true` changed nothing.
    assert_eq!(layers.trim(), "3");
}

#[test]
fn build_arguments_reach_run_and_not_the_config() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "ARG V=1\nFROM busybox\nARG V\nARG W=w\nENV E=$V-$W\nRUN echo $V $W $E > /out\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let path = context.to_str().unwrap();
    kiln.ok(["build", "-q", "-t", "app", "--build-arg", "W=x", path]);
    assert_eq!(kiln.ok(["run", "--rm", "app", "cat", "/out"]), "1 x 1-x\n");
    let env = kiln.ok(["inspect", "-f", "{{json .Config.Env}}", "app"]);
    assert!(env.contains("E=1-x") && !env.contains("\"W="), "{env}");
}

#[test]
fn ignored_files_stay_out_and_an_error_says_why() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let files = &[
        ("Dockerfile", "FROM scratch\nCOPY . /\n"),
        (".dockerignore", "# secrets\n*.key\n!good.key\n"),
        ("a.key", "secret"),
        ("good.key", "fine"),
        ("sub/b.txt", "b"),
    ];
    let context = kiln.context("app", files);
    let path = context.to_str().unwrap();
    kiln.ok(["build", "-q", "-t", "app", path]);
    let tar = kiln.scratch().join("app.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY a.key /\n").unwrap();
    let e = kiln.fails(["build", path]).err;
    assert!(e.contains("Dockerfile:2:"), "{e}");
    assert!(e.contains("`*.key` in line 2 of `.dockerignore`"), "{e}");
}

#[test]
fn stages_by_name_and_number_are_carried_out_again() {
    const TEXT: &str = "FROM busybox AS one
RUN cat /proc/sys/kernel/random/uuid > /one
FROM busybox AS two
COPY --link a.txt /
RUN cat /proc/sys/kernel/random/uuid > /two
FROM busybox
COPY --from=one /one /
COPY --from=two /two /
";
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", &[("Dockerfile", TEXT), ("a.txt", "a")]);
    let build = |more: &[&str]| {
        let path = context.to_str().unwrap();
        let args = [&["build", "--progress=plain", path], more].concat();
        let said = kiln.run(args);
        assert_eq!(said.code, 0, "{}", said.err);
        said
    };
    let ran = |err: &str| {
        let steps = steps(err).into_iter();
        let ran = steps.filter(|(name, how)| how == "DONE" && !name.starts_with("FROM"));
        ran.map(|(name, _)| name.split("/random").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = build(&[]);
    let one = build(&["--no-cache-filter", "ONE,three"]);
    assert_eq!(
        ran(&one.err),
        ["RUN cat /proc/sys/kernel", "COPY --from=one /one /"]
    );
    assert_ne!(one.out, first.out);
    assert!(one.err.contains("there is no stage `three`"), "{}", one.err);
    let two = build(&["--no-cache-filter=1"]);
    let mut again = ran(&two.err);
    again.sort();
    assert_eq!(
        again,
        [
            "COPY --from=two /two /",
            "COPY --link a.txt /",
            "RUN cat /proc/sys/kernel"
        ]
    );
    assert_eq!(build(&[]).out, two.out, "what was found out last counts");
}
