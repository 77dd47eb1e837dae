//! The tree of a Dockerfile as lines for people: what is there, indented, each with its place.
//! It is drawn from the JSON document, so that both say the same.

use std::fmt::Write as _;

use kiln_build::parser::{Diagnostic, LineIndex, Span};
use serde_json::{Map, Value};

/// Members that repeat what is drawn anyway.
const LEFT_OUT: [&str; 5] = ["lines", "text", "keyword", "as_keyword", "blank_lines"];

/// The file, and below it what is to be said of it.
pub(super) fn draw(name: &str, text: &str, document: &Value, findings: &[Diagnostic]) -> String {
    let mut drawing = Drawing {
        index: LineIndex::new(text),
        out: format!("{name}\n"),
    };
    if let Some(Value::Object(tree)) = document.get("tree") {
        drawing.members(1, tree);
    }
    for finding in findings {
        let severity = if finding.is_error() {
            "error"
        } else {
            "warning"
        };
        let at = drawing.index.position(finding.span.start);
        let (line, column) = (at.line, at.column);
        // Writing to a string cannot fail.
        let _ = writeln!(
            drawing.out,
            "{name}:{line}:{column}: {severity}[{}]: {}",
            finding.code,
            finding.to_string().replace('\n', "\n  ")
        );
    }
    drawing.out
}

struct Drawing<'t> {
    index: LineIndex<'t>,
    out: String,
}

impl Drawing<'_> {
    fn members(&mut self, depth: usize, members: &Map<String, Value>) {
        for (name, value) in members {
            if !LEFT_OUT.contains(&name.as_str()) && name != "span" {
                self.member(depth, name, value);
            }
        }
    }

    fn member(&mut self, depth: usize, name: &str, value: &Value) {
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Array(items) => {
                for item in items {
                    self.member(depth, name, item);
                }
            }
            Value::Object(object) => match self.leaf(object) {
                Some(leaf) => self.line(depth, name, &leaf),
                None => self.branch(depth, name, object),
            },
            other => self.line(depth, name, &other.to_string()),
        }
    }

    fn branch(&mut self, depth: usize, name: &str, object: &Map<String, Value>) {
        // An instruction and its only member say the same thing twice.
        let inner = object.get("instruction");
        let only = match inner {
            Some(Value::Object(inner)) if inner.len() == 1 => inner.iter().next(),
            _ => None,
        };
        let place = object.get("span").and_then(span).map(|s| self.place(s));
        match only {
            Some((kind, body)) if name == "instructions" => {
                self.line(depth, kind, &place.unwrap_or_default());
                self.inside(depth + 1, body);
            }
            _ => {
                self.line(depth, name, &place.unwrap_or_default());
                match inner {
                    Some(inner) => self.inside(depth + 1, inner),
                    None => self.members(depth + 1, object),
                }
            }
        }
        if let (Some(_), Some(comments)) = (inner, object.get("comments")) {
            self.member(depth + 1, "comment", comments);
        }
    }

    fn inside(&mut self, depth: usize, value: &Value) {
        match value {
            Value::Object(members) => self.members(depth, members),
            other => self.member(depth, "value", other),
        }
    }

    /// A word, a comment or a value with its place, in one line.
    fn leaf(&self, object: &Map<String, Value>) -> Option<String> {
        if object.len() != 2 {
            return None;
        }
        let of = |name| object.get(name);
        let (shown, spans) = match (of("text"), of("value"), of("spans"), of("span")) {
            (Some(text), None, Some(Value::Array(spans)), None) => (text, spans.as_slice()),
            (Some(text), None, None, Some(span)) => (text, std::slice::from_ref(span)),
            (None, Some(value), None, Some(span)) if !value.is_object() => {
                (value, std::slice::from_ref(span))
            }
            // A flag: its value is a word.
            (None, Some(Value::Object(word)), None, Some(_)) => return self.leaf(word),
            _ => return None,
        };
        let places: Vec<String> = spans
            .iter()
            .filter_map(span)
            .map(|s| self.place(s))
            .collect();
        Some(format!("{shown} {}", places.join("+")))
    }

    fn place(&self, span: Span) -> String {
        let (from, to) = (
            self.index.position(span.start),
            self.index.position(span.end),
        );
        format!("{}:{}-{}:{}", from.line, from.column, to.line, to.column)
    }

    fn line(&mut self, depth: usize, name: &str, rest: &str) {
        let indent = "  ".repeat(depth);
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{}", format!("{indent}{name} {rest}").trim_end());
    }
}

fn span(value: &Value) -> Option<Span> {
    let number = |name| u32::try_from(value.get(name)?.as_u64()?).ok();
    Some(Span::new(number("start")?, number("end")?))
}
