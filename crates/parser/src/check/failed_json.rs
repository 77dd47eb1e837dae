//! `CMD ['a']`: meant as JSON, but it is none, and builders fall back without a word.

use crate::diagnostic::Diagnostic;
use crate::grammar::Cx;
use crate::json;
use crate::text::Text;

/// Warns of arguments that look like a JSON array and are not. Says whether it did.
pub(crate) fn failed_json<'a>(cx: &mut Cx<'a>, name: &str, args: &Text<'a>) -> bool {
    let raw = args.as_str();
    let is_list = matches!(name, "COPY" | "ADD" | "VOLUME");
    if !looks_like_json(raw, is_list) {
        return false;
    }
    let name = if name == "HEALTHCHECK" {
        "HEALTHCHECK CMD"
    } else {
        name
    };
    let read_as = if is_list {
        format!("{name} takes the words between blanks for paths, brackets and all")
    } else {
        format!("{name} hands it to the shell as it is")
    };
    let message = format!("this is no JSON array, so {read_as}");
    let help = match json::repaired(raw) {
        _ if behind_array(raw).is_some_and(|rest| rest.starts_with('#')) => {
            "a comment needs a line of its own: `#` behind an instruction is a part of it"
                .to_owned()
        }
        Some(meant) => format!("did you mean `{name} {meant}`?"),
        None => {
            "a JSON array has its strings in double quotes, with commas between them".to_owned()
        }
    };
    let warning = Diagnostic::warning("not-json", args.span(), message);
    cx.diagnostics.push(warning.with_help(help));
    true
}

/// What follows the array, where there is a good one at the start.
fn behind_array(raw: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(raw).into_iter::<Vec<String>>();
    values.next()?.ok()?;
    Some(raw[values.byte_offset()..].trim_start())
}

fn looks_like_json(raw: &str, is_list: bool) -> bool {
    let Some(inner) = raw.strip_prefix('[') else {
        return false;
    };
    let first = inner.trim_start();
    let begins_with_quote = first.starts_with(['"', '\'', '“', '”', '‘', '’', '„']);
    let closed = inner.trim_end().ends_with(']');
    let comma = inner.contains(',');
    // `[ "$x" = y ]` and `[[ … ]]` are commands of the shell, `[abc]*` is a pattern.
    let blank_behind = inner.starts_with(char::is_whitespace);
    if begins_with_quote {
        return !blank_behind || is_list || (comma && !first.contains(['=', '&', '|']));
    }
    closed && comma && !is_list && !blank_behind && !inner.starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::looks_like_json;

    #[test]
    fn commands_of_the_shell_do_not_look_like_json() {
        for (raw, want) in [
            ("['a']", true),
            ("[\"a\", \"b\",]", true),
            ("[“a”]", true),
            ("[node, app.js]", true),
            ("[ 'a', 'b' ]", true),
            ("[ -f /x ] && echo yes", false),
            ("[ \"$x\" = y ]", false),
            ("[[ a = b ]]", false),
            ("echo ['a']", false),
        ] {
            assert_eq!(looks_like_json(raw, false), want, "{raw}");
        }
        assert!(!looks_like_json("[abc]*.txt /x", true));
    }
}
