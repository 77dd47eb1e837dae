//! The example that formats: what it changes, and that it changes no meaning.

use kiln_parser::{Diagnostic, Dockerfile, Instruction, parse};
use serde::Serialize;
use serde_json::Value;

#[path = "../../examples/format.rs"]
#[allow(dead_code)]
mod example;

use example::format;

/// What an instruction says: places and the case of keywords do not count, nor how many blanks
/// stand between the words of a shell.
fn meaning<T: Serialize>(instruction: &T) -> Value {
    let mut value = serde_json::to_value(instruction).expect("serialisable");
    strip(&mut value);
    if let Some(Value::String(text)) = value.pointer_mut("/run/command/shell/text") {
        *text = words(text);
    }
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => {
            members.retain(|name, _| {
                !["span", "spans", "as_keyword", "terminator"].contains(&name.as_str())
            });
            members.values_mut().for_each(strip);
        }
        _ => {}
    }
}

fn words(text: &str) -> String {
    let (mut out, mut quote, mut escaped) = (String::new(), None, false);
    for c in text.chars() {
        let free = quote.is_none() && !escaped;
        let c = if c == '\t' && free { ' ' } else { c };
        if free && c == ' ' && out.ends_with(' ') {
            continue;
        }
        match quote {
            _ if escaped => escaped = false,
            _ if c == '\\' && quote != Some('\'') => escaped = true,
            Some(open) if open == c => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => {}
        }
        out.push(c);
    }
    out
}

fn file(file: &Dockerfile<'_>) -> Vec<Value> {
    let set = |name: &str| Some(format!("<{name}>").into());
    let mut all = vec![meaning(&file.directives)];
    all.extend(file.args.iter().map(|node| meaning(&node.instruction)));
    for stage in &file.stages {
        all.push(meaning(&stage.from.instruction));
        all.extend(stage.instructions.iter().map(|node| {
            match &node.instruction {
                Instruction::Env(env) => env
                    .pairs
                    .iter()
                    .map(|p| (p.key.raw().to_owned(), p.value.expand(&set).ok()))
                    .map(|pair| serde_json::to_value(pair).expect("serialisable"))
                    .collect(),
                Instruction::Label(label) => label
                    .pairs
                    .iter()
                    .map(|p| (p.key.raw().to_owned(), p.value.expand(&set).ok()))
                    .map(|pair| serde_json::to_value(pair).expect("serialisable"))
                    .collect(),
                other => meaning(other),
            }
        }));
    }
    all.extend(file.comments.iter().map(|comment| comment.text.into()));
    all
}

/// Formats, and asserts that the meaning stays and that a second time changes nothing.
pub(crate) fn checked(src: &str) -> String {
    let text = format(src).unwrap_or_else(|all| panic!("{all:?} in {src:?}"));
    let (old, new) = (parse(src), parse(&text));
    assert!(!new.diagnostics.iter().any(Diagnostic::is_error), "{text}");
    assert_eq!(file(&old.file), file(&new.file), "{src:?}\n{text:?}");
    assert_eq!(format(&text).expect("no errors"), text, "of {src:?}");
    text
}

#[test]
fn what_it_changes() {
    let rows = [
        (
            "from a as b\nrun  x  \n\n\n\nfrom b\n\n\n",
            "FROM a AS b\nRUN x\n\nFROM b\n",
        ),
        (
            "FROM a\nRUN x && \\\n# why\n  if y; then \\\n    z; \\\n\n\tfi\n# about b\nFROM b",
            "FROM a\nRUN x && \\\n    # why\n    if y; then \\\n      z; \\\n\n      fi\n\n# about b\nFROM b\n",
        ),
        (
            "FROM a\nRUN echo \"b \\\n  c\" \\\n d\n",
            "FROM a\nRUN echo \"b \\\n  c\" \\\n    d\n",
        ),
        (
            "FROM a\nRUN x\\\ny\\\n z\n",
            "FROM a\nRUN x\\\ny\\\n    z\n",
        ),
        (
            "FROM a\nRUN echo x\\ \\\ny\n",
            "FROM a\nRUN echo x\\ \\\ny\n",
        ),
        (
            "FROM a\nENV k v\nENV k  a b\nENV k \"a\" b\nENV k \\$a\n",
            "FROM a\nENV k=v\nENV k=\"a b\"\nENV k \"a\" b\nENV k=\\$a\n",
        ),
        (
            "FROM a\nCMD x \\\n y\nWORKDIR /a \\\n b  \n",
            "FROM a\nCMD x \\\n y\nWORKDIR /a \\\n b\n",
        ),
        (
            "\n# escape=`\nfrom a\n  COPY <<E /x\n  b  \n\n\n\nE\n",
            "\n# escape=`\nFROM a\nCOPY <<E /x\n  b  \n\n\n\nE\n",
        ),
        (
            "arg a\r\nfrom a\r\nrun b \\\r\nc\r\nfrom x\r\n",
            "ARG a\r\nFROM a\r\nRUN b \\\r\n    c\r\n\r\nFROM x\r\n",
        ),
        (
            "FROM a\nSHELL [\"cmd\"]\nRUN echo a \\\n  b\n",
            "FROM a\nSHELL [\"cmd\"]\nRUN echo a \\\n  b\n",
        ),
    ];
    for (src, want) in rows {
        assert_eq!(checked(src), want, "of {src:?}");
    }
    assert!(format("FROM a\nRUM x\n").is_err());
}

#[test]
fn the_whole_corpus_keeps_its_meaning() {
    for (_, src) in crate::corpus::sources("ok") {
        checked(&src);
    }
}
