//! `COPY` and `ADD`.

use super::{Cx, Statement, command};
use crate::ast::{Add, AddFlags, Copy, CopyFlags, Flag, Heredoc, Source};
use crate::check;
use crate::heredoc;
use crate::json::{self, Json};
use crate::text::Text;
use crate::word::Word;

pub(super) fn copy<'a>(
    cx: &mut Cx<'a>,
    st: &Statement<'a>,
    docs: Vec<Heredoc<'a>>,
) -> Option<Copy<'a>> {
    let flags = CopyFlags {
        from: from(cx, st),
        chown: flag(cx, st, "chown"),
        chmod: flag(cx, st, "chmod"),
        link: st.flags.boolean("link"),
        parents: st.flags.boolean("parents"),
        exclude: exclude(cx, st),
    };
    let Files {
        sources,
        dest,
        json,
    } = files(cx, st, docs)?;
    Some(Copy {
        flags,
        sources,
        dest,
        json,
    })
}

pub(super) fn add<'a>(
    cx: &mut Cx<'a>,
    st: &Statement<'a>,
    docs: Vec<Heredoc<'a>>,
) -> Option<Add<'a>> {
    let flags = AddFlags {
        chown: flag(cx, st, "chown"),
        chmod: flag(cx, st, "chmod"),
        link: st.flags.boolean("link"),
        keep_git_dir: st.flags.boolean("keep-git-dir"),
        checksum: flag(cx, st, "checksum"),
        unpack: st.flags.boolean("unpack"),
        exclude: exclude(cx, st),
    };
    let Files {
        sources,
        dest,
        json,
    } = files(cx, st, docs)?;
    Some(Add {
        flags,
        sources,
        dest,
        json,
    })
}

/// A flag in whose value variables are replaced.
fn flag<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, name: &str) -> Option<Flag<'a>> {
    let flag = st.flags.text(name)?;
    cx.check(&flag.value);
    Some(flag)
}

fn exclude<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Vec<Flag<'a>> {
    st.flags
        .texts("exclude")
        .inspect(|flag| cx.check(&flag.value))
        .collect()
}

/// `--from` is known before any variable has a value.
fn from<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Flag<'a>> {
    let flag = st.flags.text("from")?;
    if flag.value.has_variables() {
        no_variables(cx, "--from", &flag.value);
        return None;
    }
    Some(flag)
}

pub(super) fn no_variables<'a>(cx: &mut Cx<'a>, what: &str, value: &Word<'a>) {
    let message = format!("`{what}` does not take variables: `{}`", value.raw());
    let help = format!(
        "name a stage instead: `FROM {} AS source`, then `source` here",
        value.raw()
    );
    cx.error("variable-not-allowed", value.span(), message, help);
}

struct Files<'a> {
    sources: Vec<Source<'a>>,
    dest: Word<'a>,
    json: bool,
}

fn files<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, docs: Vec<Heredoc<'a>>) -> Option<Files<'a>> {
    let (mut words, json) = list(cx, st)?;
    let dest = words.pop().filter(|_| !words.is_empty());
    let Some(dest) = dest else {
        let message = format!("{} needs at least one source and a destination", st.name);
        cx.error(
            "missing-argument",
            st.keyword.span,
            message,
            format!("for example `{} . /app`", st.name),
        );
        return None;
    };
    if !json && heredoc::marker(dest.as_str()).is_some() {
        let message = format!("a heredoc cannot be the destination of {}", st.name);
        cx.error(
            "heredoc-destination",
            dest.span(),
            message,
            format!("name a path behind it: `{} <<EOF /path`", st.name),
        );
        return None;
    }
    let lost = |doc: &&Heredoc<'_>| !words.iter().any(|word| word.span() == doc.span);
    if let Some(doc) = docs.iter().find(lost) {
        let message = format!("the marker of a heredoc has no blanks in {}", st.name);
        let help = match doc.name.as_str() {
            name if name.contains(char::is_whitespace) => {
                "give it a name without blanks".to_owned()
            }
            name => format!("did you mean `<<{name}`?"),
        };
        cx.error("heredoc-blank", doc.span, message, help);
        return None;
    }
    let mut docs = docs.into_iter().peekable();
    let mut sources = Vec::new();
    for word in words {
        let span = word.span();
        match docs.next_if(|doc| doc.span == span) {
            Some(doc) => sources.push(Source::Heredoc(doc)),
            None => sources.push(Source::Path(cx.word(word))),
        }
    }
    Some(Files {
        sources,
        dest: cx.word(dest),
        json,
    })
}

/// The arguments of COPY, ADD and VOLUME: a JSON array, or words between blanks.
pub(super) fn list<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<(Vec<Text<'a>>, bool)> {
    match json::array(&st.args) {
        Json::Strings(items) => Some((items, true)),
        Json::NotStrings(span) => {
            command::not_strings(cx, span);
            None
        }
        Json::No => {
            check::failed_json(cx, &st.name, &st.args);
            Some((st.plain_words(cx), false))
        }
    }
}
