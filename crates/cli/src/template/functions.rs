//! The functions of templates: those of docker and the common ones of Go.

use serde_json::Value;

use super::{Error, error};

/// A value as Go prints it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(s) => s.clone(),
        Value::Array(list) => {
            let inner: Vec<String> = list.iter().map(show).collect();
            format!("[{}]", inner.join(" "))
        }
        Value::Object(map) => {
            let mut pairs: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", show(v)))
                .collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// Whether a value counts as true: not zero, not empty, not nothing.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match (name, arguments) {
        ("json", [v]) => Ok(Value::from(v.to_string())),
        ("lower", [v]) => Ok(Value::from(show(v).to_lowercase())),
        ("upper", [v]) => Ok(Value::from(show(v).to_uppercase())),
        ("title", [v]) => Ok(Value::from(title(&show(v)))),
        ("split", [v, by]) => Ok(show(v).split(&show(by)).collect()),
        ("join", [Value::Array(list), by]) => {
            let items: Vec<String> = list.iter().map(show).collect();
            Ok(Value::from(items.join(&show(by))))
        }
        ("join", [Value::Null, _]) => Ok(Value::from("")),
        ("truncate", [v, n]) => Ok(Value::from(
            show(v).chars().take(count(n)?).collect::<String>(),
        )),
        ("pad", [v, left, right]) => {
            let (left, right) = (" ".repeat(count(left)?), " ".repeat(count(right)?));
            Ok(Value::from(format!("{left}{}{right}", show(v))))
        }
        ("println", _) => Ok(Value::from(format!("{}\n", spaced(arguments)))),
        ("print", _) => Ok(Value::from(spaced(arguments))),
        ("printf", [format, rest @ ..]) => printf(&show(format), rest).map(Value::from),
        ("len", [v]) => length(v),
        ("index", [v, keys @ ..]) => index(v, keys),
        ("not", [v]) => Ok(Value::from(!truth(v))),
        ("and", [_, ..]) => Ok(pick(arguments, false)),
        ("or", [_, ..]) => Ok(pick(arguments, true)),
        ("eq", [v, others @ ..]) if !others.is_empty() => {
            Ok(Value::from(others.iter().any(|o| same(v, o))))
        }
        ("ne", [a, b]) => Ok(Value::from(!same(a, b))),
        ("lt" | "le" | "gt" | "ge", [a, b]) => compare(name, a, b),
        (
            "json" | "lower" | "upper" | "title" | "split" | "join" | "truncate" | "pad" | "printf"
            | "len" | "index" | "not" | "and" | "or" | "eq" | "ne" | "lt" | "le" | "gt" | "ge",
            _,
        ) => error(format!("wrong arguments for `{name}`")),
        _ => error(format!("function `{name}` is not defined")),
    }
}

fn spaced(arguments: &[Value]) -> String {
    arguments.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn title(s: &str) -> String {
    let mut start = true;
    s.chars()
        .map(|c| {
            let upper = start && c.is_alphabetic();
            start = c.is_whitespace();
            if upper { c.to_ascii_uppercase() } else { c }
        })
        .collect()
}

fn count(value: &Value) -> Result<usize, Error> {
    let n = value.as_u64().and_then(|n| usize::try_from(n).ok());
    match n.filter(|n| *n <= 1 << 16) {
        Some(n) => Ok(n),
        None => error(format!("`{}` is not a width", show(value))),
    }
}

fn length(value: &Value) -> Result<Value, Error> {
    match value {
        Value::String(s) => Ok(Value::from(s.len())),
        Value::Array(list) => Ok(Value::from(list.len())),
        Value::Object(map) => Ok(Value::from(map.len())),
        Value::Null => Ok(Value::from(0)),
        other => error(format!("`{}` has no length", show(other))),
    }
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, Error> {
    let mut at = value.clone();
    for key in keys {
        at = match (&at, key) {
            (Value::Array(list), Value::Number(n)) => {
                let i = n.as_u64().and_then(|n| usize::try_from(n).ok());
                match i.and_then(|i| list.get(i)) {
                    Some(item) => item.clone(),
                    None => return error(format!("index {n} is out of range")),
                }
            }
            // As Go has it for a map of strings: what is not there is the empty string.
            (Value::Object(map), key) => match map.get(&show(key)) {
                Some(item) => item.clone(),
                None if map.values().all(Value::is_string) => Value::from(""),
                None => Value::Null,
            },
            (Value::Null, _) => Value::Null,
            (other, key) => {
                return error(format!("`{}` has no index `{}`", show(other), show(key)));
            }
        };
    }
    Ok(at)
}

/// The first argument that decides, else the last.
fn pick(arguments: &[Value], deciding: bool) -> Value {
    let decides = |v: &&Value| truth(v) == deciding;
    let chosen = arguments.iter().find(decides).or(arguments.last());
    chosen.cloned().unwrap_or(Value::Null)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn compare(name: &str, a: &Value, b: &Value) -> Result<Value, Error> {
    let order = match (a, b) {
        (Value::Number(x), Value::Number(y)) => x.as_f64().partial_cmp(&y.as_f64()),
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        _ => None,
    };
    let Some(order) = order else {
        return error(format!("`{}` and `{}` do not compare", show(a), show(b)));
    };
    Ok(Value::from(match name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// `%s`, `%v`, `%d`, `%q`, `%%`, with a width.
fn printf(format: &str, arguments: &[Value]) -> Result<String, Error> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '-');
        let (width, after) = after.split_at(end.unwrap_or(after.len()));
        let Some(verb) = after.chars().next() else {
            return error("a verb is missing after `%`");
        };
        rest = &after[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = arguments.next() else {
            return error(format!("`%{verb}` has no argument"));
        };
        let text = match verb {
            's' | 'v' | 'd' => show(value),
            'q' => Value::from(show(value)).to_string(),
            other => return error(format!("`%{other}` is not known")),
        };
        let wide = count(&Value::from(
            width.trim_start_matches('-').parse::<u64>().unwrap_or(0),
        ))?;
        match width.starts_with('-') {
            true => out.push_str(&format!("{text:<wide$}")),
            false => out.push_str(&format!("{text:>wide$}")),
        }
    }
    out.push_str(rest);
    Ok(out)
}
