//! The commands for editors and scripts: they answer whatever they are asked, and make no store.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use kiln_tests::kiln::{Kiln, Said};
use serde_json::{Value, json};

/// Runs a command with something on its standard input.
fn with_input(mut command: Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// The answers to lines of `--batch`, one each.
fn batch(kiln: &Kiln, tool: &str, lines: &[&str]) -> Vec<Value> {
    let said = with_input(kiln.command([tool, "--batch"]), lines.join("\n").as_bytes());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(!kiln.root().exists(), "`kiln {tool}` made a store");
    let answers: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len(), "{}", said.out);
    answers
}

#[test]
fn parse_prints_the_tree_with_its_places() {
    let kiln = Kiln::new();
    let folder = kiln.context(
        "c",
        &[("Good", "FROM a AS b\nRUN x\n"), ("Bad", "FROM a\nRUM x\n")],
    );
    let (good, bad) = (folder.join("Good"), folder.join("Bad"));
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());

    let drawn = kiln.ok(["parse", good]);
    let lines = drawn.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(
        lines,
        "  stages\n    from 1:1-1:12\n      image \"a\" 1:6-1:7\n      name \"b\" 1:11-1:12\n    \
         run 2:1-2:6\n      command\n        shell \"x\" 2:5-2:6"
    );

    let said = kiln.run(["parse", "--format", "json", good, "nowhere", bad]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("read `nowhere`"), "{}", said.err);
    let documents: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["schema"], "kiln.dockerfile/1");
    assert_eq!(documents[0]["diagnostics"], json!([]));
    let run = &documents[0]["tree"]["stages"][0]["instructions"][0];
    assert_eq!(run["lines"], json!({"first": 2, "last": 2}));
    let shell = json!({"text": "x", "spans": [{"start": 16, "end": 17}]});
    assert_eq!(run["instruction"]["run"]["command"]["shell"], shell);
    assert_eq!(
        documents[1]["diagnostics"],
        json!([{
            "severity": "error", "code": "unknown-instruction",
            "message": "unknown instruction `RUM`", "help": "did you mean `RUN`?",
            "span": {"start": 7, "end": 10},
            "start": {"line": 2, "column": 1}, "end": {"line": 2, "column": 4},
        }])
    );
    assert!(!kiln.root().exists());
}

#[test]
fn parse_reads_standard_input_and_answers_each_line() {
    let kiln = Kiln::new();
    let said = with_input(kiln.command(["parse", "-"]), b"FROM a\nRUN \xff\n");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains("-:2:5: warning[not-utf8]"),
        "{}",
        said.out
    );
    let said = with_input(kiln.command(["parse", "-"]), b"FROM a");
    assert_eq!(said.code, 0, "{}", said.err);

    let lines = [
        r#"{"text": "FROM a", "file": "x"}"#,
        "nonsense",
        "",
        r#"{"path": "nowhere"}"#,
        r#"{"text": "", "path": ""}"#,
        r#"{"text": ""}"#,
        r#"{"text": "FROM a", "more": 1}"#,
    ];
    let answers = batch(&kiln, "parse", &lines);
    assert_eq!(answers[0]["file"], "x");
    for i in [1, 2, 3, 4, 6] {
        let error = answers[i]["error"].as_str().unwrap();
        assert!(!error.is_empty() && !error.starts_with("error"), "{error}");
    }
    assert_eq!(answers[5]["diagnostics"][0]["code"], "empty-file");
    assert_eq!(answers[5]["file"], Value::Null);
}

#[test]
fn expand_gives_values_words_and_what_is_not_set() {
    let kiln = Kiln::new();
    let out = kiln.ok(["expand", "-e", "z=aab", r#"a${x:-$y}"b c""#, "${z#a*}"]);
    assert_eq!(out, "ab c\nab\n");
    assert_eq!(
        kiln.ok(["expand", "--words", "-e", "p=1 2", "$p '3 4'"]),
        "1\n2\n3 4\n"
    );
    assert_eq!(kiln.ok(["expand", "--body", "'$a'", ""]), "''\n\n");
    assert_eq!(kiln.ok(["expand", "--escape", "`", "`$a\\"]), "$a\\\n");
    let said = kiln.fails(["expand", "é${x"]);
    assert_eq!(
        said.err,
        "error: missing `}` of `${`\n  hint: characters 2 to 4 of `é${x`\n"
    );

    let lines = [
        r#"{"word": "$a ${b:-$c}", "env": {"a": "x y"}}"#,
        r#"{"word": "$a $b", "env": {"a": "x y"}, "words": true}"#,
        r#"{"word": "é${x?}"}"#,
        r#"{"word": "'$q'", "quotes": false}"#,
        r#"{"word": "a`$b", "escape": "`"}"#,
        r#"{"word": "", "escape": "x"}"#,
        r#"{"env": {}}"#,
        r#"{"word": ""}"#,
    ];
    let answers = batch(&kiln, "expand", &lines);
    assert_eq!(answers[0], json!({"value": "x y ", "unset": ["c", "b"]}));
    assert_eq!(answers[1], json!({"words": ["x", "y"], "unset": ["b"]}));
    let required = json!({"error": "`x`: is not allowed to be unset", "start": 2, "end": 7});
    assert_eq!(answers[2], required);
    assert_eq!(answers[3], json!({"value": "''", "unset": ["q"]}));
    assert_eq!(answers[4], json!({"value": "a$b", "unset": []}));
    assert!(answers[5]["error"].as_str().unwrap().contains("backtick"));
    assert!(answers[6]["error"].as_str().unwrap().contains("word"));
    assert_eq!(answers[7], json!({"value": "", "unset": []}));
}

#[test]
fn ignore_names_the_line_that_decided() {
    let kiln = Kiln::new();
    let folder = kiln.context("c", &[(".dockerignore", "# logs\n*.log\n!a.log\n")]);
    let mut command = kiln.command(["ignore", "a.log", "b.log", "c d"]);
    let said = kiln_tests::kiln::said(command.current_dir(&folder));
    assert_eq!(
        said.out,
        "included\ta.log\t3\t!a.log\nexcluded\tb.log\t2\t*.log\nincluded\tc d\n"
    );
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    // A folder and a file that is not there are told at once.
    assert!(
        kiln.fails(["ignore", "--file", ".", "x"])
            .err
            .contains("not a regular file")
    );
    assert!(
        kiln.fails(["ignore", "x"])
            .err
            .contains("read `.dockerignore`")
    );

    let lines = [
        r#"{"patterns": ["*.log", "!a.log", "["], "paths": ["a.log", "b.log", "c"]}"#,
        r#"{"text": "a\n", "path": "a/b"}"#,
        r#"{"pattern": "a", "paths": []}"#,
        r#"{"pattern": "a", "text": "a", "path": "a"}"#,
        r#"[]"#,
    ];
    let answers = batch(&kiln, "ignore", &lines);
    assert_eq!(answers[0]["excluded"], json!([false, true, false]));
    let by = json!([{"pattern": "!a.log", "line": 2}, {"pattern": "*.log", "line": 1}, null]);
    assert_eq!(answers[0]["by"], by);
    assert_eq!(answers[0]["problems"][0]["line"], 3);
    assert_eq!(answers[1]["excluded"], json!([true]));
    let nothing = json!({"excluded": [], "by": [], "problems": []});
    assert_eq!(answers[2], nothing);
    assert!(answers[3]["error"].is_string() && answers[4]["error"].is_string());
}

#[test]
fn they_are_not_listed_and_explain_themselves() {
    let kiln = Kiln::new();
    let help = kiln.ok(["--help"]);
    for tool in ["parse", "expand", "ignore"] {
        assert!(
            !help.lines().any(|l| l.trim_start().starts_with(tool)),
            "{help}"
        );
        assert!(kiln.ok([tool, "--help"]).contains("With --batch"));
    }
}
