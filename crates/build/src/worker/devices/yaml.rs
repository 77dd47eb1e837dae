//! A document in YAML (1.2, core schema) as the same in JSON, which is what it is read as. Refuses
//! aliases, by which little text can stand for very much, and more than one document.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

/// How deep things may lie in each other.
const DEPTH: usize = 64;

/// The document that `text` is; nothing is null. An error says what is wrong, and where.
pub(super) fn value(text: &str) -> Result<Value, String> {
    let mut reader = Reader(Parser::new_from_str(text));
    let mut found = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(found.unwrap_or_default()),
            (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::DocumentStart(_), at) if found.is_some() => {
                return Err(told("a second document", at));
            }
            (Event::DocumentStart(_), _) => {
                let next = reader.next()?;
                found = Some(reader.node(next, 0)?);
            }
            (_, at) => return Err(told("what is in no document", at)),
        }
    }
}

struct Reader<'t>(Parser<'t, StrInput<'t>>);

type Next<'t> = (Event<'t>, Span);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Next<'t>, String> {
        match self.0.next() {
            Some(event) => event.map_err(|e: ScanError| e.to_string()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, at): Next<'t>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(told("too much in each other", at));
        }
        match event {
            Event::Scalar(text, ScalarStyle::Plain, _, None) => Ok(plain(&text)),
            Event::Scalar(text, _, _, None) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(_, None) => {
                let mut all = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Value::Array(all)),
                        next => all.push(self.node(next, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, None) => {
                let mut all = Map::new();
                loop {
                    let (name, at) = match self.next()? {
                        (Event::MappingEnd, _) => return Ok(Value::Object(all)),
                        (Event::Scalar(name, _, _, None), at) => (name.into_owned(), at),
                        (_, at) => return Err(told("a name that is no text", at)),
                    };
                    let next = self.next()?;
                    let value = self.node(next, depth + 1)?;
                    if all.insert(name, value).is_some() {
                        return Err(told("a name for the second time", at));
                    }
                }
            }
            Event::Alias(_) => Err(told("an alias, which is not read here", at)),
            _ => Err(told("a tag, which is not read here", at)),
        }
    }
}

/// What a text without quotes means (YAML 1.2, 10.3.2); numbers with a point stay texts.
fn plain(text: &str) -> Value {
    let number = |digits: &str, radix| i64::from_str_radix(digits, radix).map(Value::from);
    let is_signed = |c: char| c.is_ascii_digit() || c == '-' || c == '+';
    let number = match text.get(..2) {
        Some("0x") => number(&text[2..], 16).ok(),
        Some("0o") => number(&text[2..], 8).ok(),
        _ if text.starts_with(is_signed) => number(text, 10).ok(),
        _ => None,
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number.unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn told(what: &str, at: Span) -> String {
    format!("{what}, in line {}", at.start.line())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_what_they_would_be_in_json() {
        for (text, wanted) in [
            ("", json!(null)),
            ("---\n# nothing\n", json!(null)),
            (
                "a: 1\nb: [x, 'y', \"z\\n\", -3]\n",
                json!({"a": 1, "b": ["x", "y", "z\n", -3]}),
            ),
            (
                "---\ndevices:\n- name: \"0\"\n  on: true\n- name: all\n  gid: 0x1f\n  mode: 0o17\n",
                json!({"devices": [{"name": "0", "on": true}, {"name": "all", "gid": 31, "mode": 15}]}),
            ),
            (
                "a: |\n  one\n  two\nb: >\n  one\n  two\n",
                json!({"a": "one\ntwo\n", "b": "one two\n"}),
            ),
            (
                "a: 0.6.0\nb: 0.6\nc: no\nd: ~\ne:\n",
                json!({"a": "0.6.0", "b": "0.6", "c": "no", "d": null, "e": null}),
            ),
            (
                "{\"a\": [{}, null, false]}",
                json!({"a": [{}, null, false]}),
            ),
            ("a: &x 1\n", json!({"a": 1})),
        ] {
            assert_eq!(value(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_told_with_its_line() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for (text, words) in [
            (
                "a: &x 1\nb: *x\n",
                "an alias, which is not read here, in line 2",
            ),
            ("a: !x 1\n", "a tag, which is not read here, in line 1"),
            ("a: 1\n---\nb: 1\n", "a second document, in line 2"),
            (
                "a: 1\nb: 2\na: 3\n",
                "a name for the second time, in line 3",
            ),
            ("[a]: 1\n", "a name that is no text, in line 1"),
            ("a: [1\n", ""),
            ("a: \"b\n", ""),
            (&deep, "too much in each other, in line 1"),
        ] {
            let said = value(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
