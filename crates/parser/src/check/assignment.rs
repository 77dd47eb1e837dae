//! `ENTRYPOINT FLASK_APP-/opt/app.py flask run`: a first word that was to be an assignment.

use crate::diagnostic::Diagnostic;
use crate::grammar::Cx;
use crate::split::first_word;
use crate::text::Text;

/// Looks at the first word of a command for the shell.
pub(crate) fn assignment<'a>(cx: &mut Cx<'a>, name: &str, args: &Text<'a>) {
    let (word, rest) = first_word(args.as_str());
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let Some(end) = word.find(|c: char| !is_name(c)) else {
        return;
    };
    let (variable, value) = word.split_at(end);
    let Some(value) = value.strip_prefix(['-', ':']) else {
        return;
    };
    let is_path = ["/", "./", "../", "~/", "$"]
        .iter()
        .any(|start| value.starts_with(start));
    let begins_as_name = variable.starts_with(|c: char| c.is_ascii_uppercase());
    // A lone word such as `X-/y` may be a program; with a command behind it, hardly.
    if !begins_as_name || variable.len() < 2 || !is_path || rest.is_empty() {
        return;
    }
    let message =
        format!("{name} starts a program called `{word}`, which looks like an assignment");
    let span = cx.part(args, word).span();
    let help = format!("did you mean `{variable}={value}`?");
    cx.diagnostics
        .push(Diagnostic::warning("looks-like-assignment", span, message).with_help(help));
}
