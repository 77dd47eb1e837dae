//! Golden files: `tests/corpus/{ok,err}/<case>/Dockerfile` and what comes of it in `expected`.
//! `UPDATE_GOLDEN=1` writes them anew.

// The crate does no input and output; its golden files have to come from somewhere.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kiln_parser::{Diagnostic, LineIndex, Node, Parse, Span, parse};
use serde::Serialize;
use serde_json::Value;

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(kind);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    cases.sort();
    cases
}

/// The names and texts of all cases of a kind.
pub(crate) fn sources(kind: &str) -> Vec<(PathBuf, String)> {
    let read = |case: PathBuf| {
        let text = std::fs::read_to_string(case.join("Dockerfile")).expect("a Dockerfile");
        (case, text)
    };
    cases(kind).into_iter().map(read).collect()
}

/// Compares every case of a kind; all that differ are told at once.
fn compare(kind: &str, show: fn(&str, &Parse<'_>) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases(kind);
    assert!(!cases.is_empty());
    let mut differ = Vec::new();
    for case in cases {
        let src = std::fs::read_to_string(case.join("Dockerfile")).expect("a Dockerfile");
        let got = show(&src, &parse(&src));
        let expected = case.join("expected");
        if update {
            std::fs::write(&expected, &got).expect("writable");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            differ.push(format!("{}:\n{got}", case.display()));
        }
    }
    assert!(
        differ.is_empty(),
        "not as expected (UPDATE_GOLDEN=1 writes anew):\n{}",
        differ.join("\n")
    );
}

#[test]
fn trees() {
    compare("ok", |src, parse| {
        assert!(
            !parse.diagnostics.iter().any(Diagnostic::is_error),
            "{:?}",
            parse.diagnostics
        );
        let index = LineIndex::new(src);
        let mut out = String::new();
        for directive in &parse.file.directives {
            line(&mut out, &index, "", "directive", directive);
        }
        for arg in &parse.file.args {
            node(&mut out, &index, "", arg);
        }
        for stage in &parse.file.stages {
            node(&mut out, &index, "", &stage.from);
            for instruction in &stage.instructions {
                node(&mut out, &index, "  ", instruction);
            }
        }
        for comment in &parse.file.comments {
            line(&mut out, &index, "", "comment", comment);
        }
        diagnostics(&mut out, src, &parse.diagnostics);
        out
    });
}

#[test]
fn findings() {
    compare("err", |src, parse| {
        assert!(!parse.diagnostics.is_empty(), "nothing found in {src}");
        let mut out = String::new();
        diagnostics(&mut out, src, &parse.diagnostics);
        let read: Vec<&str> = parse
            .file
            .args
            .iter()
            .map(|_| "ARG")
            .chain(parse.file.stages.iter().flat_map(|stage| {
                let inner = stage
                    .instructions
                    .iter()
                    .map(|node| node.instruction.keyword());
                ["FROM"].into_iter().chain(inner)
            }))
            .collect();
        writeln!(out, "read: {}", read.join(" ")).expect("to a string");
        out
    });
}

fn diagnostics(out: &mut String, src: &str, diagnostics: &[Diagnostic]) {
    let index = LineIndex::new(src);
    for d in diagnostics {
        let at = index.position(d.span.start);
        let severity = if d.is_error() { "error" } else { "warning" };
        writeln!(
            out,
            "{}:{}: {severity}[{}]: {}",
            at.line, at.column, d.code, d.message
        )
        .expect("to a string");
        let text = index.text(at.line);
        let end = index.position(d.span.end);
        let last = if end.line == at.line {
            end.column
        } else {
            text.chars().count() as u32 + 1
        };
        let caret = "^".repeat((last.saturating_sub(at.column)).max(1) as usize);
        writeln!(out, "  | {}", text.replace('\t', " ")).expect("to a string");
        writeln!(out, "  | {}{caret}", " ".repeat(at.column as usize - 1)).expect("to a string");
        if let Some(help) = &d.help {
            writeln!(out, "  = {help}").expect("to a string");
        }
    }
}

fn node<T: Serialize>(out: &mut String, index: &LineIndex<'_>, indent: &str, node: &Node<'_, T>) {
    let (first, last) = node.lines;
    writeln!(
        out,
        "{indent}{first}..{last} {} {:?}",
        place(index, node.span),
        node.text
    )
    .expect("to a string");
    for comment in &node.comments {
        writeln!(out, "{indent}  # {}", comment.text).expect("to a string");
    }
    if !node.blank_lines.is_empty() {
        writeln!(out, "{indent}  blank lines: {}", node.blank_lines.len()).expect("to a string");
    }
    line(out, index, &format!("{indent}  "), "", &node.instruction);
}

fn line<T: Serialize>(
    out: &mut String,
    index: &LineIndex<'_>,
    indent: &str,
    label: &str,
    value: &T,
) {
    let mut value = serde_json::to_value(value).expect("serialisable");
    shorten(index, &mut value);
    writeln!(
        out,
        "{indent}{label}{}{value}",
        if label.is_empty() { "" } else { " " }
    )
    .expect("to a string");
}

fn place(index: &LineIndex<'_>, span: Span) -> String {
    let (start, end) = (index.position(span.start), index.position(span.end));
    format!(
        "{}:{}-{}:{}",
        start.line, start.column, end.line, end.column
    )
}

/// Spans become line and column, words a text with its places; absent values go.
fn shorten(index: &LineIndex<'_>, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(index, item)),
        Value::Object(map) => {
            if let (Some(start), Some(end), 2) =
                (number(map.get("start")), number(map.get("end")), map.len())
            {
                *value = Value::String(place(index, Span::new(start, end)));
                return;
            }
            map.retain(|_, inner| {
                !inner.is_null() && inner.as_array().is_none_or(|items| !items.is_empty())
            });
            map.values_mut().for_each(|inner| shorten(index, inner));
            let of = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
            if let (Some(text), Some(Value::Array(spans)), 2) =
                (of("text"), map.get("spans"), map.len())
            {
                let spans: Vec<&str> = spans.iter().filter_map(Value::as_str).collect();
                *value = Value::String(format!("{text} @{}", spans.join("+")));
            } else if let (Some(text), Some(span), 2) = (of("value"), of("span"), map.len()) {
                *value = Value::String(format!("{text} @{span}"));
            }
        }
        _ => {}
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    value
        .and_then(Value::as_u64)
        .and_then(|n| u32::try_from(n).ok())
}
