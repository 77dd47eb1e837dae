//! `SOURCE_DATE_EPOCH`: what its names mean.

use kiln_frontend::{Epoch, epoch};
use kiln_graph::Op;
use kiln_parser::parse;

use crate::given::{lowered, options};

/// What it comes to, in a line.
fn shown(source: &str, wishes: &str) -> String {
    let (file, _) = parse(source).into_result().unwrap();
    match epoch(&file, &options(wishes)) {
        Ok(Epoch::None) => "none".to_owned(),
        Ok(Epoch::At(time)) => time.to_string(),
        Ok(Epoch::Of { op, .. }) => match *op {
            Op::Http(http) => format!("file {}", http.url),
            Op::Git(git) => format!("git {}#{}", git.remote, git.reference),
            other => format!("{other:?}"),
        },
        Err(errors) => errors[0].message.clone(),
    }
}

#[test]
fn names() {
    let given = "build-arg SOURCE_DATE_EPOCH=src";
    for (source, wishes, want) in [
        ("FROM scratch", "", "none"),
        ("FROM scratch", "build-arg SOURCE_DATE_EPOCH=", "none"),
        ("ARG SOURCE_DATE_EPOCH=5\nFROM scratch", "", "5"),
        (
            "ARG SOURCE_DATE_EPOCH=5\nFROM scratch",
            "build-arg SOURCE_DATE_EPOCH=6",
            "6",
        ),
        (
            "FROM scratch",
            "build-arg SOURCE_DATE_EPOCH=context\ncontext-time 7",
            "7",
        ),
        (
            "FROM scratch",
            "build-arg SOURCE_DATE_EPOCH=context",
            "none",
        ),
        // A number is a number, whatever stages there are.
        (
            "FROM scratch\nFROM scratch",
            "build-arg SOURCE_DATE_EPOCH=0",
            "0",
        ),
        // A context before a stage; one that is an image, or a folder, has no time.
        (
            "FROM scratch AS src\nRUN x\nFROM scratch",
            "build-arg SOURCE_DATE_EPOCH=src\ncontext src=https://h/x\ntime-of src=8",
            "8",
        ),
        (
            "FROM scratch AS src\nRUN x\nFROM scratch",
            "build-arg SOURCE_DATE_EPOCH=src\ncontext src=docker-image://x",
            "none",
        ),
        (
            "FROM scratch AS other\nADD https://h/f /\nFROM scratch",
            "build-arg SOURCE_DATE_EPOCH=src\ncontext src=target:other",
            "file https://h/f",
        ),
        (
            "ARG V=1\nFROM scratch AS src\nARG V\nARG N=f-$V\nADD https://h/$N /\nFROM scratch",
            given,
            "file https://h/f-1",
        ),
        (
            "FROM scratch AS SRC\nADD --chown=1 --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://h/f /x\nFROM scratch",
            given,
            "file https://h/f",
        ),
        (
            "ARG B=scratch\nFROM $B AS src\nADD https://h/r.git#v1 /\nFROM scratch",
            given,
            "git https://h/r.git#v1",
        ),
        // Also where nobody builds it.
        (
            "FROM scratch AS a\nFROM scratch AS src\nADD --link https://h/f /",
            "build-arg SOURCE_DATE_EPOCH=src\ntarget a",
            "file https://h/f",
        ),
    ] {
        assert_eq!(shown(source, wishes), want, "{source} {wishes}");
    }
}

#[test]
fn stages_that_are_more_than_a_download() {
    let stage = "`SOURCE_DATE_EPOCH` is the time of the stage `src`, ";
    for (body, want) in [
        ("FROM scratch AS src", "which has no ADD, or more than one"),
        (
            "FROM scratch AS src\nADD https://h/a /\nADD https://h/b /",
            "which has no ADD, or more than one",
        ),
        (
            "FROM scratch AS src\nADD https://h/a /\nLABEL a=b",
            "which does more than ADD",
        ),
        ("FROM scratch AS src\nCOPY a /", "which does more than ADD"),
        (
            "FROM scratch AS src\nADD https://h/a https://h/b /",
            "whose ADD takes more than one thing from elsewhere",
        ),
        (
            "FROM scratch AS src\nADD https://h/a https://h/a /",
            "whose ADD takes more than one thing from elsewhere",
        ),
        (
            "FROM scratch AS src\nADD local /",
            "whose ADD takes more than one thing from elsewhere",
        ),
        (
            "FROM scratch AS src\nADD <<E /\nE",
            "whose ADD takes more than one thing from elsewhere",
        ),
        (
            "FROM busybox AS src\nADD https://h/a /",
            "which is not `FROM scratch`",
        ),
        (
            "FROM scratch AS b\nFROM b AS src\nADD https://h/a /",
            "which is not `FROM scratch`",
        ),
    ] {
        let source = format!("{body}\nFROM scratch");
        let found = shown(&source, "build-arg SOURCE_DATE_EPOCH=src");
        assert_eq!(found, format!("{stage}{want}"), "{source}");
    }
    let found = shown("FROM scratch", "build-arg SOURCE_DATE_EPOCH=soon");
    assert_eq!(
        found,
        "`SOURCE_DATE_EPOCH` is `soon`, which is no number and no name"
    );
}

#[test]
fn an_arg_has_the_number() {
    let source = "ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL e=$SOURCE_DATE_EPOCH";
    let label = |wishes: &str| {
        let lowered = lowered(source, &options(wishes));
        (lowered.epoch, lowered.config.config.labels["e"].clone())
    };
    assert_eq!(label("context-time 7"), (Some(7), "7".to_owned()));
    assert_eq!(label(""), (None, String::new()));
    assert_eq!(
        label("build-arg SOURCE_DATE_EPOCH=9"),
        (Some(9), "9".to_owned())
    );
}
