//! The JSON form of arguments: an array of strings, each with its place.

use crate::span::Span;
use crate::text::Text;

/// What a text that might be a JSON array turned out to be.
pub(crate) enum Json<'a> {
    /// An array of strings.
    Strings(Vec<Text<'a>>),
    /// An array with something else in it, which is at the span.
    NotStrings(Span),
    /// No JSON array: builders read it by their other rules.
    No,
}

/// Reads `text`, which is trimmed.
pub(crate) fn array<'a>(text: &Text<'a>) -> Json<'a> {
    let raw = text.as_str();
    if !raw.starts_with('[') {
        return Json::No;
    }
    let read = |raw: &str| serde_json::from_str::<Vec<serde_json::Value>>(raw);
    let Some(values) = read(raw)
        .ok()
        .or_else(|| read(&without_lone_surrogates(raw)?).ok())
    else {
        return Json::No;
    };
    let mut strings = Vec::new();
    let mut at = 1;
    for value in values {
        let serde_json::Value::String(value) = value else {
            let start = at
                + raw[at..]
                    .find(|c: char| !c.is_whitespace() && c != ',')
                    .unwrap_or(0);
            let len = raw[start..].find([',', ']', ' ']).unwrap_or(0).max(1);
            let end = (start..=raw.len()).find(|i| *i >= start + len && raw.is_char_boundary(*i));
            return Json::NotStrings(text.span_of(start..end.unwrap_or(raw.len())));
        };
        // It is valid JSON, so the next quote opens this string.
        let start = at + raw[at..].find('"').unwrap_or(0);
        let end = start + string_len(&raw[start..]);
        let span = text.span_of(start..end);
        let plain = raw.get(start + 1..end.saturating_sub(1)) == Some(value.as_str());
        strings.push(if plain {
            text.slice(start + 1..end - 1)
        } else {
            Text::decoded(value, span)
        });
        at = end;
    }
    Json::Strings(strings)
}

/// The text with U+FFFD for each half of a surrogate pair, `\ud83d`, that has lost the other, as
/// Go reads it; `None` where there is none.
fn without_lone_surrogates(raw: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = raw.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(next) = raw[at..].find('\\') {
        at += next;
        match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 12,
            (Some(0xD800..=0xDFFF), _) => {
                out.push_str(&raw[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            // The character behind it is escaped, a backslash perhaps.
            _ => at += 1 + raw[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    (copied > 0).then(|| out + &raw[copied..])
}

/// The length of a JSON string with its quotes.
fn string_len(raw: &str) -> usize {
    let mut escaped = false;
    for (i, b) in raw.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    raw.len()
}

/// A JSON array that the text was probably meant to be, if it can be guessed.
pub(crate) fn repaired(raw: &str) -> Option<String> {
    let inner = raw.trim().strip_prefix('[')?;
    let inner = inner.trim_end().strip_suffix(']').unwrap_or(inner);
    let mut items: Vec<String> = Vec::new();
    let mut item = String::new();
    let mut quote = None;
    let mut was_quoted = false;
    for c in inner.chars() {
        match quote {
            Some(open) if closes(open, c) => quote = None,
            Some(_) => item.push(c),
            None if is_quote(c) => {
                if was_quoted {
                    items.push(std::mem::take(&mut item));
                }
                (quote, was_quoted) = (Some(c), true);
            }
            None if c == ',' => {
                items.push(std::mem::take(&mut item));
                was_quoted = false;
            }
            None if c.is_whitespace() => {}
            None if was_quoted => return None, // text right behind a string: no guess
            None => item.push(c),
        }
    }
    if was_quoted || !item.is_empty() {
        items.push(item);
    }
    if items.is_empty() || quote.is_some() {
        return None;
    }
    let items: Vec<String> = items
        .iter()
        .map(|item| serde_json::Value::from(item.as_str()).to_string())
        .collect();
    Some(format!("[{}]", items.join(", ")))
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '«' | '»' | '`'
    )
}

fn closes(open: char, c: char) -> bool {
    match open {
        '“' | '”' | '„' => matches!(c, '“' | '”' | '"'),
        '‘' | '’' => matches!(c, '‘' | '’' | '\''),
        '«' | '»' => matches!(c, '«' | '»'),
        _ => c == open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        let rows = [
            ("['a', 'b']", Some(r#"["a", "b"]"#)),
            (r#"["a", "b",]"#, Some(r#"["a", "b"]"#)),
            (r#"["a" "b"]"#, Some(r#"["a", "b"]"#)),
            ("[“a”]", Some(r#"["a"]"#)),
            (r#"["a", "b""#, Some(r#"["a", "b"]"#)),
            ("[node, app.js]", Some(r#"["node", "app.js"]"#)),
            (r#"["a\d"]"#, Some(r#"["a\\d"]"#)),
            ("[]", None),
            ("['a", None),
        ];
        for (raw, want) in rows {
            assert_eq!(repaired(raw).as_deref(), want, "{raw}");
        }
    }
}
