//! Characters that word processors and web pages put in the place of ASCII ones.

use crate::diagnostic::Diagnostic;
use crate::grammar::Cx;
use crate::text::Text;

/// The character as a person would call it.
pub(crate) fn describe(c: char) -> String {
    let name = match c {
        '\u{2010}' | '\u{2011}' => "a typographic hyphen",
        '\u{2012}' => "a figure dash",
        '\u{2013}' => "an en dash",
        '\u{2014}' | '\u{2015}' => "an em dash",
        '\u{2212}' => "a minus sign",
        '“' | '”' | '„' | '‟' => "a typographic double quote",
        '‘' | '’' | '‚' | '‛' => "a typographic single quote",
        '\u{a0}' | '\u{202f}' | '\u{2007}' => "a non-breaking space",
        '\u{200b}' | '\u{feff}' => "a zero-width space",
        _ => "an unusual blank",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

/// The ASCII character that was meant.
fn meant(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2010}'..='\u{2013}' | '\u{2212}' => "-",
        '\u{2014}' | '\u{2015}' => "--",
        '“' | '”' | '„' | '‟' => "\"",
        '‘' | '’' | '‚' | '‛' => "'",
        '\u{a0}' | '\u{202f}' | '\u{2007}' => " ",
        '\u{200b}' | '\u{feff}' => "",
        _ => return None,
    })
}

/// Warns of each kind of such a character once, where it can hardly be wanted: dashes that
/// begin an option, quotes and blanks outside of ASCII quotes.
pub(crate) fn typography<'a>(cx: &mut Cx<'a>, text: &Text<'a>) {
    let raw = text.as_str();
    if raw.is_ascii() {
        return;
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut before = ' ';
    for (at, c) in raw.char_indices() {
        let last = std::mem::replace(&mut before, c);
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' if quote != Some('\'') => escaped = true,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            '\'' | '"' if quote == Some(c) => quote = None,
            _ => {}
        }
        let Some(ascii) = meant(c) else { continue };
        let next = raw[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        let suspicious = match ascii {
            "-" | "--" => {
                (last.is_whitespace() || last == c || matches!(last, '"' | '\''))
                    && next.is_alphanumeric()
            }
            "'" if last.is_alphanumeric() && next.is_alphanumeric() => false,
            _ => quote.is_none(),
        };
        if suspicious && !seen.contains(&ascii) {
            seen.push(ascii);
            warn(cx, text, at, c, ascii);
        }
    }
}

fn warn<'a>(cx: &mut Cx<'a>, text: &Text<'a>, at: usize, c: char, ascii: &str) {
    let raw = text.as_str();
    let span = text.span_of(at..at + c.len_utf8());
    let column = cx.index.position(span.start).column;
    let instead = match ascii {
        "-" => ", not a hyphen",
        "--" => ", not two hyphens",
        " " => ", not a blank",
        "" => ", which cannot be seen",
        _ => ", which the shell does not take for a quote",
    };
    let shown = if c.is_whitespace() || ascii.is_empty() {
        String::new()
    } else {
        format!("`{c}` ")
    };
    let message = format!("{shown}in column {column} is {}{instead}", describe(c));
    let start = raw[..at]
        .rfind(char::is_whitespace)
        .map_or(0, |i| i + raw[i..].chars().next().map_or(1, char::len_utf8));
    let behind = at + c.len_utf8();
    let end = raw[behind..]
        .find(char::is_whitespace)
        .map_or(raw.len(), |i| behind + i);
    let word: String = raw[start..end]
        .chars()
        .map(|c| meant(c).map_or_else(|| c.to_string(), str::to_owned))
        .collect();
    let help = if ascii == " " || word.len() > 60 {
        "type it anew".to_owned()
    } else {
        format!("did you mean `{word}`?")
    };
    cx.diagnostics
        .push(Diagnostic::warning("typographic-character", span, message).with_help(help));
}
