//! The instructions whose argument is the rest of the line, and `VOLUME`.

use super::{Cx, Statement, copy};
use crate::ast::{Maintainer, StopSignal, User, Volume, Workdir};
use crate::word::Word;

fn rest<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, what: &str, example: &str) -> Option<Word<'a>> {
    st.requires_args(cx, what, example)?;
    Some(cx.word(st.args.clone()))
}

pub(super) fn workdir<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Workdir<'a>> {
    Some(Workdir {
        path: rest(cx, st, "a path", "/app")?,
    })
}

pub(super) fn user<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<User<'a>> {
    Some(User {
        user: rest(cx, st, "a user", "app:app")?,
    })
}

pub(super) fn stop_signal<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<StopSignal<'a>> {
    Some(StopSignal {
        signal: rest(cx, st, "a signal", "SIGTERM")?,
    })
}

pub(super) fn maintainer<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Maintainer<'a>> {
    st.requires_args(cx, "a name", "Jane Doe <jane@example.com>")?;
    Some(Maintainer {
        name: Word::new(st.args.clone(), cx.escape),
    })
}

pub(super) fn volume<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Volume<'a>> {
    st.requires_args(cx, "a path", "/data")?;
    let (words, json) = copy::list(cx, st)?;
    if let Some(blank) = words.iter().find(|word| word.as_str().trim().is_empty()) {
        cx.error(
            "missing-argument",
            blank.span(),
            "VOLUME with a blank path",
            "for example `VOLUME /data`",
        );
        return None;
    }
    if words.is_empty() {
        cx.error(
            "missing-argument",
            st.args.span(),
            "VOLUME needs a path",
            "for example `VOLUME /data`",
        );
        return None;
    }
    Some(Volume {
        paths: words.into_iter().map(|word| cx.word(word)).collect(),
        json,
    })
}
