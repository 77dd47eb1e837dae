//! Commands: exec form, shell form, and what looks like the one but is the other.

use super::{Cx, Statement};
use crate::ast::{Command, Shell};
use crate::check;
use crate::diagnostic::Diagnostic;
use crate::json::{self, Json};
use crate::span::Spanned;
use crate::text::Text;
use crate::word::Word;

/// Reads `args` in one of the two forms. `None` after an error.
pub(crate) fn command<'a>(cx: &mut Cx<'a>, name: &str, args: &Text<'a>) -> Option<Command<'a>> {
    match json::array(args) {
        Json::Strings(items) => {
            for item in &items {
                check::typography(cx, item);
            }
            Some(Command::Exec(items.into_iter().map(owned).collect()))
        }
        Json::NotStrings(span) => {
            not_strings(cx, span);
            None
        }
        Json::No => {
            if !check::failed_json(cx, name, args) {
                check::typography(cx, args);
            }
            check::assignment(cx, name, args);
            Some(Command::Shell(Word::new(args.clone(), cx.escape)))
        }
    }
}

pub(crate) fn not_strings(cx: &mut Cx<'_>, span: crate::Span) {
    let shown: String = span.of(cx.src).chars().take(20).collect();
    let message = format!("only strings are allowed in the JSON form, not `{shown}`");
    cx.error(
        "json-not-strings",
        span,
        message,
        format!("write it in quotes: `{}`", serde_json::Value::from(shown)),
    );
}

fn owned(item: Text<'_>) -> Spanned<String> {
    let span = item.span();
    Spanned::new(item.into_cow().into_owned(), span)
}

/// `CMD` and `ENTRYPOINT`.
pub(super) fn program<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Command<'a>> {
    let help = format!("`{} []` takes away what the base image has", st.name);
    given(cx, st, &help)
}

/// The command of an instruction. With nothing behind the keyword, it is the shell form of
/// nothing: `help` says what to write instead.
pub(super) fn given<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, help: &str) -> Option<Command<'a>> {
    if st.args.as_str().is_empty() {
        if st.flags.refused {
            return None; // perhaps what is missing was taken for a flag
        }
        let name = &st.name;
        let message = format!("{name} without a command: the shell is started with an empty one");
        let warning = Diagnostic::warning("empty-command", st.keyword.span, message);
        cx.diagnostics.push(warning.with_help(help));
    }
    command(cx, &st.name, &st.args)
}

/// `SHELL`: the exec form and no other.
pub(super) fn shell<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Shell> {
    st.requires_args(cx, "a JSON array", "[\"/bin/bash\", \"-c\"]")?;
    match json::array(&st.args) {
        Json::Strings(items) if !items.is_empty() => Some(Shell {
            args: items.into_iter().map(owned).collect(),
        }),
        Json::Strings(_) => {
            cx.error(
                "missing-argument",
                st.args.span(),
                "SHELL needs a program",
                "for example `SHELL [\"/bin/bash\", \"-c\"]`",
            );
            None
        }
        Json::NotStrings(span) => {
            not_strings(cx, span);
            None
        }
        Json::No => {
            let raw = st.args.as_str();
            let words = || {
                let words: Vec<_> = raw
                    .split_whitespace()
                    .map(|w| serde_json::Value::from(w).to_string())
                    .collect();
                format!("[{}]", words.join(", "))
            };
            let meant = json::repaired(raw).unwrap_or_else(words);
            cx.error(
                "shell-not-json",
                st.args.span(),
                "SHELL takes a JSON array",
                format!("did you mean `SHELL {meant}`?"),
            );
            None
        }
    }
}
