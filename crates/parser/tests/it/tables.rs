//! What words expand to, what ignore files leave and which options a mount has, as a builder that is known decides it: a row a
//! line, in `tests/tables`.

use std::borrow::Cow;

use kiln_parser::{Diagnostic, Instruction, ignore::Ignore, parse};
use serde_json::Value;

fn rows(text: &str) -> (Value, Vec<Value>) {
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let head = lines.next().expect("a first line");
    (head, lines.collect())
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(Value::as_str).collect()
}

/// The value of `LABEL l <word>`.
fn value(word: &str, escape: &str, variables: &Value) -> Result<String, String> {
    let src = format!("# escape={escape}\nFROM a\nLABEL l {word}\n");
    let (file, _) = parse(&src)
        .into_result()
        .map_err(|all| format!("{all:?}"))?;
    let Instruction::Label(label) = &file.stages[0].instructions[0].instruction else {
        panic!("LABEL")
    };
    let lookup = |name: &str| variables[name].as_str().map(Cow::Borrowed);
    let expanded = label.pairs[0].value.expand(&lookup);
    expanded.map_err(|e| e.to_string())
}

#[test]
fn words_expand() {
    let (head, rows) = rows(include_str!("../tables/expand.jsonl"));
    let mut wrong = Vec::new();
    for row in &rows {
        let word = row["word"].as_str().expect("a word");
        let escape = row["escape"].as_str().unwrap_or("\\");
        let got = value(word, escape, &head["variables"]);
        if got.as_deref().ok() != row["value"].as_str() {
            wrong.push(format!("{row}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Which options are taken, from their text and with values.
#[test]
fn mounts_are_taken_or_refused() {
    let (head, rows) = rows(include_str!("../tables/mount.jsonl"));
    let lookup = |name: &str| head["variables"][name].as_str().map(Cow::Borrowed);
    let mut wrong = Vec::new();
    for row in &rows {
        let options = row["options"].as_str().expect("options");
        let src = format!("FROM a\nRUN --mount={options} true\n");
        let problem = match parse(&src).into_result() {
            Err(all) => all.into_iter().find(Diagnostic::is_error),
            Ok((file, _)) => match &file.stages[0].instructions[0].instruction {
                Instruction::Run(run) => run.mounts[0].resolve(&lookup).err(),
                other => panic!("{other:?}"),
            },
        };
        if problem.is_some() != (row["refused"] == true) {
            wrong.push(format!("{row}: {problem:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ignore_files_exclude() {
    let (head, rows) = rows(include_str!("../tables/ignore.jsonl"));
    let paths = strings(&head["paths"]);
    let mut wrong = Vec::new();
    for row in &rows {
        let (ignore, problems) = Ignore::parse(row["file"].as_str().expect("a file"));
        let refused = problems.iter().any(Diagnostic::is_error);
        let excluded = |path: &&str| ignore.excludes(path, false);
        let good = match (row.get("keeps"), row.get("excludes")) {
            _ if refused => row["refused"] == true,
            (Some(kept), _) => paths
                .iter()
                .all(|p| strings(kept).contains(p) != excluded(p)),
            (_, Some(out)) => paths
                .iter()
                .all(|p| strings(out).contains(p) == excluded(p)),
            _ => false,
        };
        if !good {
            let out: Vec<_> = paths.iter().filter(|p| excluded(p)).collect();
            wrong.push(format!("{row}: excludes {out:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
