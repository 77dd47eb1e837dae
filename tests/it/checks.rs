//! `kiln build --check` and `--call`: what is told of a Dockerfile instead of building it. The answers in
//! `checks/` are docker's own, recorded; without what it adds of the way in which the file came to it.

use std::{fs, path::Path};

use kiln_tests::{base::busybox, kiln::Kiln};

/// Answers and the flags that ask for them.
const ANSWERS: [(&str, &str); 6] = [
    ("check.txt", "--check"),
    ("check.json", "--call=check,format=json"),
    ("outline.txt", "--call=outline"),
    ("outline.json", "--call=outline,format=json"),
    ("targets.txt", "--call=targets"),
    ("targets.json", "--call=targets,format=json"),
];

#[test]
fn answers_are_docker_s_byte_for_byte() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.ok(["tag", "busybox", "base:1"]);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/checks");
    let mut compared = 0;
    for case in fs::read_dir(cases).unwrap() {
        let folder = case.unwrap().path();
        let case = folder.file_name().unwrap().to_str().unwrap();
        let dockerfile = fs::read_to_string(folder.join("Dockerfile")).unwrap();
        let context = kiln.context(case, &[("Dockerfile", &dockerfile)]);
        for (answer, flag) in ANSWERS {
            let Ok(wanted) = fs::read_to_string(folder.join(answer)) else {
                continue;
            };
            let said = kiln.run(["build", flag, context.to_str().unwrap()]);
            assert_eq!(said.out, wanted, "{case} {flag}\n{}", said.err);
            let fine = match answer {
                "check.txt" => wanted == "Check complete, no warnings found.\n",
                "check.json" => wanted.contains(r#""warnings": null"#),
                // Findings are a reason to fail, and nothing is answered.
                _ => !wanted.is_empty() || dockerfile.lines().count() < 3,
            };
            assert_eq!(said.code, i32::from(!fine), "{case} {flag}\n{}", said.err);
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared} answers");
}

#[test]
fn targets_take_no_store_and_a_check_builds_nothing() {
    let kiln = Kiln::new();
    let context = kiln.context("app", &[("Dockerfile", "FROM scratch AS a\nCOPY none /\n")]);
    let path = context.to_str().unwrap();
    kiln.ok(["build", "--call=targets", path]);
    kiln.ok(["build", "--call=subrequests.describe", path]);
    assert_eq!(kiln.ok(["images", "-q"]).trim(), "");
    kiln.run(["build", "--check", "-t", "made", path]);
    assert_eq!(kiln.ok(["images", "-q"]).trim(), "");
    for (flag, wanted) in [
        ("--call=nothing", "unsupported request `nothing`"),
        ("--call=check,format=xml", "invalid option `format=xml`"),
        ("--call=build,format=json", "a build gives no JSON"),
    ] {
        let said = kiln.fails(["build", flag, path]);
        assert!(said.err.contains(wanted), "{flag}: {}", said.err);
    }
}

#[test]
fn where_a_base_is_not_to_be_had_the_rest_is_told() {
    let kiln = Kiln::new();
    let text = "FROM scratch AS Bad\nFROM 127.0.0.1:1/none\nCMD a\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.run(["build", "--check", context.to_str().unwrap()]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("Stage name 'Bad' should be lowercase"),
        "{}",
        said.out
    );
    assert!(said.err.contains("Dockerfile:2:6"), "{}", said.err);
    let flag = "--call=check,format=json";
    let said = kiln.run(["build", flag, context.to_str().unwrap()]);
    assert!(said.out.contains(r#""buildError""#), "{}", said.out);
}

#[test]
fn an_ordinary_build_lists_the_findings_of_rules() {
    let kiln = Kiln::new();
    let text = "FROM scratch AS Bad\nCOPY Dockerfile /\nENV a b\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let path = context.to_str().unwrap();
    let listed = " 2 warnings found (kiln build --check shows them):\n \
                  - StageNameCasing: Stage name 'Bad' should be lowercase (line 1)\n \
                  - LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \
                  \"ENV key value\" format (line 3)\n";
    for round in ["anew", "cached"] {
        for style in ["plain", "classic", "tty"] {
            let said = kiln.run(["build", "--progress", style, path]);
            assert_eq!(said.code, 0, "{}", said.err);
            assert!(said.err.contains(listed), "{round} {style}:\n{}", said.err);
        }
    }
    let quiet = kiln.run(["build", "-q", path]);
    assert_eq!(quiet.err, "");
    let strict = format!("# check=error=true\n{text}");
    fs::write(context.join("Dockerfile"), strict).unwrap();
    let said = kiln.fails(["build", "-t", "strict", path]);
    let wanted = "lint violation found for rules: StageNameCasing, LegacyKeyValueFormat";
    assert!(said.err.contains(wanted), "{}", said.err);
    assert!(said.err.contains("2 warnings found"), "{}", said.err);
    kiln.fails(["inspect", "strict"]);
    // Skipped by the argument, which stands in for the directive.
    kiln.ok([
        "build",
        "--build-arg",
        "BUILDKIT_DOCKERFILE_CHECK=skip=all",
        path,
    ]);
}

#[test]
fn why_a_source_is_not_in_the_context() {
    let kiln = Kiln::new();
    let files = [
        ("app/Dockerfile", ""),
        ("app/.dockerignore", "# comment\n*.log\nhidden\n"),
        ("app/a.log", ""),
        ("app/hidden/x", ""),
        ("app/src/Main.rs", ""),
        ("app/notes.md", ""),
        ("above", ""),
    ];
    let context = kiln.context("parent", &files).join("app");
    let path = context.to_str().unwrap();
    for (source, code, wanted) in [
        (
            "a.log",
            "CopyIgnoredFile",
            "`*.log` in line 2 of `.dockerignore` leaves it out",
        ),
        (
            "hidden/x",
            "CopyIgnoredFile",
            "`hidden` in line 3 of `.dockerignore`",
        ),
        (
            "SRC/main.rs",
            "copy-source-case",
            "there is `src/Main.rs`: letters have a case",
        ),
        ("../above", "copy-source-outside", "outside of the context"),
        (
            "/etc/passwd",
            "copy-source-outside",
            "`/etc/passwd` is on this machine",
        ),
        ("notes.txt", "copy-source-missing", "there is `notes.md`"),
        (
            "nothing",
            "copy-source-missing",
            "`nothing` is not in the build context",
        ),
    ] {
        let text = format!("FROM scratch\nCOPY {source} /x/\n");
        fs::write(context.join("Dockerfile"), text).unwrap();
        let said = kiln.run(["build", "--check", path]);
        assert_eq!(said.code, 1, "{source}");
        let titled = format!("WARNING: {code}");
        // docker's rule has docker's words; the build below tells the line.
        let told = if code == "CopyIgnoredFile" {
            "excluded"
        } else {
            wanted
        };
        for wanted in [&titled, told, "Dockerfile:2\n"] {
            assert!(said.out.contains(wanted), "no `{wanted}` in:\n{}", said.out);
        }
        let said = kiln.fails(["build", path]);
        assert!(said.err.contains(wanted), "no `{wanted}` in:\n{}", said.err);
    }
}
