//! `ENV`, `LABEL` and `ARG`: words of the form `key=value`.

use super::{Cx, Statement};
use crate::ast::{Arg, ArgPair, Env, Label, Pair};
use crate::diagnostic::Diagnostic;
use crate::split::{first_word, quoted_words};
use crate::text::Text;
use crate::word::Word;

pub(super) fn env<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Env<'a>> {
    let (pairs, legacy) = pairs(cx, st)?;
    Some(Env { pairs, legacy })
}

pub(super) fn label<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Label<'a>> {
    let (pairs, legacy) = pairs(cx, st)?;
    Some(Label { pairs, legacy })
}

/// The pairs, and whether they are one pair in the old form.
fn pairs<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<(Vec<Pair<'a>>, bool)> {
    st.requires_args(cx, "a name and a value", "name=value")?;
    let raw = st.args.as_str();
    let words = quoted_words(raw, cx.escape);
    let first = *words.first()?;
    if !first.contains('=') {
        return Some((vec![legacy(cx, st)?], true));
    }
    let mut found = Vec::new();
    for word in words {
        let text = cx.part(&st.args, word);
        match word.find('=') {
            Some(0) => blank_name(cx, st, &text),
            Some(at) => {
                let key = cx.word(text.slice_of(cx.src, 0..at));
                let value = cx.word(text.slice_of(cx.src, at + 1..word.len()));
                found.push(Pair { key, value });
            }
            None => {
                let message = format!("can't find `=` in `{word}`: {} takes `name=value`", st.name);
                cx.error(
                    "missing-equals",
                    text.span(),
                    message,
                    "a value with blanks needs quotes: `name=\"a value\"`",
                );
            }
        }
    }
    Some((found, false))
}

fn blank_name<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, text: &Text<'a>) {
    let message = format!("{} without a name: `{}`", st.name, text.as_str());
    cx.error(
        "blank-name",
        text.span(),
        message,
        "write it as `name=value`, without blanks around `=`",
    );
}

/// `ENV key value`: everything behind the first blanks is the value.
fn legacy<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Pair<'a>> {
    let raw = st.args.as_str();
    let (key, value) = first_word(raw);
    if value.is_empty() {
        let message = format!("{} `{key}` has no value", st.name);
        cx.error(
            "missing-value",
            st.args.span(),
            message,
            format!("write `{} {key}=value`", st.name),
        );
        return None;
    }
    if let Some(rest) = value.strip_prefix('=') {
        let message = format!("`{key}` becomes `{value}`, with the `=`");
        let warning = Diagnostic::warning("blank-before-equals", st.args.span(), message);
        let help = format!(
            "did you mean `{key}={}`, without blanks around `=`?",
            rest.trim_start()
        );
        cx.diagnostics.push(warning.with_help(help));
    }
    let (key, value) = (cx.part(&st.args, key), cx.part(&st.args, value));
    Some(Pair {
        key: cx.word(key),
        value: cx.word(value),
    })
}

pub(super) fn arg<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Arg<'a>> {
    st.requires_args(cx, "a name", "VERSION=1.0")?;
    let mut pairs = Vec::new();
    for word in quoted_words(st.args.as_str(), cx.escape) {
        let text = cx.part(&st.args, word);
        match word.find('=') {
            Some(0) => blank_name(cx, st, &text),
            Some(at) => {
                // A name is taken as it is written: `$` and quotes are parts of it.
                let name = Word::new(text.slice_of(cx.src, 0..at), cx.escape);
                let default = cx.word(text.slice_of(cx.src, at + 1..word.len()));
                pairs.push(ArgPair {
                    name,
                    default: Some(default),
                });
            }
            None => pairs.push(ArgPair {
                name: Word::new(text, cx.escape),
                default: None,
            }),
        }
    }
    (!pairs.is_empty()).then_some(Arg { pairs })
}
