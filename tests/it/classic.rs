//! The transcript of the classic builder.

use kiln_tests::{base::busybox, kiln::Kiln};

/// Ids replaced by `ID`, so that two transcripts can be compared.
fn masked(text: &str) -> String {
    let id = |word: &str| word.len() == 12 && word.bytes().all(|c| c.is_ascii_hexdigit());
    let word = |w: &str| if id(w) { "ID".to_owned() } else { w.to_owned() };
    let line = |l: &str| l.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines()
        .skip(1)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn line_for_line_and_every_id_is_an_image() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox\nARG X=1\nRUN hostname; echo $X > /x\nCOPY a /a\nCMD [\"/a\"]\n";
    let context = kiln.context("app", &[("Dockerfile", text), ("a", "a")]);
    let build = [
        "build",
        "--progress=classic",
        "-t",
        "app",
        context.to_str().unwrap(),
    ];
    let first = kiln.ok(build);
    let want = "Step 1/5 : FROM busybox
 ---> ID
Step 2/5 : ARG X=1
 ---> Running in ID
 ---> Removed intermediate container ID
 ---> ID
Step 3/5 : RUN hostname; echo $X > /x
 ---> Running in ID
buildkitsandbox
 ---> Removed intermediate container ID
 ---> ID
Step 4/5 : COPY a /a
 ---> ID
Step 5/5 : CMD [\"/a\"]
 ---> Running in ID
 ---> Removed intermediate container ID
 ---> ID
Successfully built ID
Successfully tagged app:latest";
    assert!(
        first.starts_with("Sending build context to Docker daemon  "),
        "{first}"
    );
    assert_eq!(masked(&first), want, "{first}");

    // Each id after an arrow is an image that runs.
    let ids: Vec<&str> = first
        .lines()
        .filter_map(|l| l.strip_prefix(" ---> "))
        .filter(|l| l.len() == 12)
        .collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(kiln.ok(["run", "--rm", ids[2], "cat", "/x"]), "1\n");
    assert_ne!(kiln.run(["run", "--rm", ids[2], "cat", "/a"]).code, 0);
    assert_eq!(kiln.ok(["run", "--rm", ids[3], "cat", "/a"]), "a");

    let second = kiln.ok(build);
    assert_eq!(second.matches(" ---> Using cache").count(), 4, "{second}");
    assert!(!second.contains("Running in"), "{second}");
    assert_eq!(first.lines().rev().nth(1), second.lines().rev().nth(1));
}

#[test]
fn a_failing_run_says_what_docker_says() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context(
        "app",
        &[("Dockerfile", "FROM busybox\nRUN echo hi; exit 7\n")],
    );
    let said = kiln.fails(["build", "--progress=classic", context.to_str().unwrap()]);
    assert_eq!(said.code, 7);
    let want = "The command '/bin/sh -c echo hi; exit 7' returned a non-zero code: 7";
    assert_eq!(said.err.lines().next(), Some(want), "{}", said.err);
    assert!(said.err.contains("--> Dockerfile:2:1"), "{}", said.err);
    assert!(said.out.contains("\nhi\n"), "{}", said.out);
}

#[test]
fn stages_print_in_the_order_of_the_file() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox AS slow\nRUN sleep 1; echo slow > /s\nFROM busybox\nRUN echo quick\n\
                COPY --from=slow /s /s\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let out = kiln.ok(["build", "--progress=classic", context.to_str().unwrap()]);
    let steps: Vec<&str> = out
        .lines()
        .filter_map(|l| l.strip_prefix("Step "))
        .collect();
    let numbers: Vec<&str> = steps.iter().map(|s| &s[..3]).collect();
    assert_eq!(numbers, ["1/5", "2/5", "3/5", "4/5", "5/5"], "{out}");
}

#[test]
fn arguments_before_from_triggers_and_nothing_to_begin_with() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let base = "FROM busybox\nONBUILD COPY r /r\nONBUILD RUN cat /r\n";
    kiln.build("base", &[("Dockerfile", base)]);
    let text = "ARG V=1\nFROM scratch AS zero\nCOPY r /z\nFROM base\nCOPY --from=zero /z /z\n";
    let context = kiln.context("app", &[("Dockerfile", text), ("r", "read\n")]);
    let build = ["build", "--progress=classic", context.to_str().unwrap()];
    let want = "Step 1/5 : ARG V=1
Step 2/5 : FROM scratch AS zero
 --->\x20
Step 3/5 : COPY r /z
 ---> ID
Step 4/5 : FROM base
# Executing 2 build triggers
 ---> Running in ID
read
 ---> Removed intermediate container ID
 ---> ID
Step 5/5 : COPY --from=zero /z /z
 ---> ID
Successfully built ID";
    let first = kiln.ok(build);
    assert_eq!(masked(&first), want, "{first}");
    let want = "Step 1/5 : ARG V=1
Step 2/5 : FROM scratch AS zero
 --->\x20
Step 3/5 : COPY r /z
 ---> Using cache
 ---> ID
Step 4/5 : FROM base
# Executing 2 build triggers
 ---> Using cache
 ---> Using cache
 ---> ID
Step 5/5 : COPY --from=zero /z /z
 ---> Using cache
 ---> ID
Successfully built ID";
    let second = kiln.ok(build);
    assert_eq!(masked(&second), want, "{second}");
}

#[test]
fn quiet_is_only_the_id() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", &[("Dockerfile", "FROM busybox\nRUN echo noise\n")]);
    let said = kiln.run([
        "build",
        "--progress=classic",
        "-q",
        context.to_str().unwrap(),
    ]);
    assert!(said.out.starts_with("sha256:"), "{}", said.out);
    assert_eq!((said.out.len(), said.err.as_str()), (72, ""));
}

#[test]
fn a_stage_that_fails_beside_another_shows_its_output() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let text = "FROM busybox AS slow\nRUN sleep 30\nFROM busybox\nRUN echo why; exit 3\n\
                COPY --from=slow /bin/sh /x\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.fails(["build", "--progress=classic", context.to_str().unwrap()]);
    assert_eq!(said.code, 3);
    let end = "Step 2/5 : RUN sleep 30
 ---> Running in ID
Step 3/5 : FROM busybox
 ---> ID
Step 4/5 : RUN echo why; exit 3
 ---> Running in ID
why";
    assert!(masked(&said.out).ends_with(end), "{}", said.out);
}
