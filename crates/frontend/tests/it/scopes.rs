//! Which variable has which value where: tables.

use kiln_graph::Op;

use crate::given::{lowered, options};

/// What a RUN at the end of `source` finds in its environment, PATH left out.
fn environment(source: &str, wishes: &str) -> String {
    let lowered = lowered(&format!("{source}\nRUN end"), &options(wishes));
    let Op::Run(run) = &lowered.graph.node(lowered.target).op else {
        panic!("the last instruction is a RUN");
    };
    let pairs = run.env.iter().filter(|(name, _)| name != "PATH");
    let pairs: Vec<_> = pairs.map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(" ")
}

#[test]
fn arguments_and_environment() {
    let given = "build-arg A=given";
    for (what, source, wishes, want) in [
        ("default", "FROM scratch\nARG A=1", "", "A=1"),
        ("given", "FROM scratch\nARG A=1", given, "A=given"),
        ("bare, given", "FROM scratch\nARG A", given, "A=given"),
        ("bare", "FROM scratch\nARG A", "", ""),
        ("not declared", "FROM scratch", given, ""),
        ("global alone", "ARG A=g\nFROM scratch", "", ""),
        ("global imported", "ARG A=g\nFROM scratch\nARG A", "", "A=g"),
        (
            "global given",
            "ARG A=g\nFROM scratch\nARG A",
            given,
            "A=given",
        ),
        (
            "global and default",
            "ARG A=g\nFROM scratch\nARG A=1",
            "",
            "A=1",
        ),
        ("empty default", "ARG A=g\nFROM scratch\nARG A=", "", "A="),
        ("the last wins", "FROM scratch\nENV A=e\nARG A=1", "", "A=1"),
        ("ENV, ARG bare", "FROM scratch\nENV A=e\nARG A", "", "A=e"),
        (
            "ENV, ARG, ENV",
            "FROM scratch\nENV A=e\nARG A=1\nENV A=f",
            "",
            "A=f",
        ),
        (
            "ENV again in a stage upon it",
            "FROM scratch AS a\nENV A=e\nARG A=1\nFROM a",
            "",
            "A=e",
        ),
        (
            "global over ENV of the stage below",
            "ARG A=g\nFROM scratch AS a\nENV A=e\nFROM a\nARG A",
            "",
            "A=g",
        ),
        (
            "ENV wins later",
            "FROM scratch\nARG A=1\nENV A=e",
            "",
            "A=e",
        ),
        (
            "given over ENV before",
            "FROM scratch\nENV A=e\nARG A=1",
            given,
            "A=given",
        ),
        (
            "over ENV of the base",
            "FROM debian\nARG LANG=x",
            "",
            "LANG=x",
        ),
        ("twice", "FROM scratch\nARG A=1\nARG A=2", "", "A=2"),
        (
            "twice, then bare",
            "FROM scratch\nARG A=1\nARG A",
            "",
            "A=1",
        ),
        (
            "pairs see those before",
            "FROM scratch\nARG A=1 B=$A",
            "",
            "A=1 B=1",
        ),
        (
            "ENV sees what was",
            "FROM scratch\nENV A=1\nENV A=2 B=$A",
            "",
            "A=2 B=1",
        ),
        (
            "ENV in place",
            "FROM scratch\nENV A=1 B=2\nENV A=3",
            "",
            "A=3 B=2",
        ),
        (
            "ARG from ENV",
            "FROM scratch\nENV E=e\nARG A=$E",
            "",
            "E=e A=e",
        ),
        (
            "ENV from ARG",
            "FROM scratch\nARG A=1\nENV E=${A:-x}",
            "",
            "E=1 A=1",
        ),
        ("unset in ENV", "FROM scratch\nENV E=x${A}y", "", "E=xy"),
        (
            "global not in a stage",
            "ARG A=g\nFROM scratch\nENV E=$A.",
            "",
            "E=.",
        ),
        (
            "stage on stage",
            "FROM scratch AS a\nARG A=1\nFROM a",
            "",
            "A=1",
        ),
        (
            "stage beside",
            "FROM scratch AS a\nARG A=1\nFROM scratch\nCOPY --from=a / /",
            "",
            "",
        ),
        (
            "no redeclaring",
            "FROM scratch AS a\nENV E=1\nARG A=1\nFROM a\nENV E=2",
            "",
            "E=2 A=1",
        ),
        ("case counts", "FROM scratch\nARG a=1 A=2", "", "a=1 A=2"),
    ] {
        assert_eq!(environment(source, wishes), want, "{what}");
    }
}

#[test]
fn platforms() {
    let arm = "platform linux/arm/v7";
    for (source, wishes, want) in [
        (
            "FROM scratch\nARG TARGETPLATFORM",
            "",
            "TARGETPLATFORM=linux/amd64",
        ),
        (
            "FROM scratch\nARG TARGETPLATFORM",
            arm,
            "TARGETPLATFORM=linux/arm/v7",
        ),
        (
            "FROM scratch\nARG TARGETOS TARGETARCH TARGETVARIANT BUILDARCH",
            arm,
            "TARGETOS=linux TARGETARCH=arm TARGETVARIANT=v7 BUILDARCH=amd64",
        ),
        ("FROM scratch\nARG TARGETVARIANT", "", "TARGETVARIANT="),
        ("FROM scratch", arm, ""),
        (
            "FROM scratch\nARG TARGETARCH",
            "build-arg TARGETARCH=mine",
            "TARGETARCH=mine",
        ),
        ("FROM scratch\nARG TARGETARCH=mine", "", "TARGETARCH=mine"),
        (
            "FROM scratch AS last\nARG TARGETSTAGE",
            "",
            "TARGETSTAGE=last",
        ),
        ("FROM scratch\nARG TARGETSTAGE", "", "TARGETSTAGE=default"),
        (
            "FROM scratch\nARG SOURCE_DATE_EPOCH",
            "build-arg SOURCE_DATE_EPOCH=7",
            "SOURCE_DATE_EPOCH=7",
        ),
    ] {
        assert_eq!(environment(source, wishes), want, "{source} {wishes}");
    }
}

#[test]
fn names_of_bases() {
    for (source, wishes, want) in [
        ("FROM debian:13", "", "debian:13"),
        ("ARG V=12\nFROM debian:$V", "", "debian:12"),
        ("ARG V=12\nFROM debian:$V", "build-arg V=13", "debian:13"),
        ("ARG A=deb B=${A}ian\nFROM $B", "", "debian:latest"),
        ("ARG B=debian\nFROM ${B}:${V:-9}", "", "debian:9"),
        ("FROM x/$TARGETARCH", "", "x/amd64:latest"),
        ("FROM debian AS b\nFROM B", "", "debian:latest"),
    ] {
        let outcome = crate::given::outcome(source, &options(wishes));
        let asked = outcome.rounds[0][0].reference.familiar();
        assert_eq!(asked, want, "{source}");
    }
}

#[test]
fn proxies_are_given_and_leave_no_trace() {
    let wishes = "build-arg http_proxy=http://p\nbuild-arg NO_PROXY=x";
    let hidden = |source: &str| {
        let lowered = lowered(source, &options(wishes));
        assert!(lowered.warnings.is_empty(), "{:?}", lowered.warnings);
        let Op::Run(run) = &lowered.graph.node(lowered.target).op else {
            panic!("the last instruction is a RUN");
        };
        let history = lowered.steps.last().unwrap().history.clone().unwrap();
        (run.hidden_env.clone(), history.created_by.unwrap())
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (all, history) = hidden("FROM scratch\nRUN [\"a\"]");
    let expected = [
        pair("HTTP_PROXY", "http://p"),
        pair("http_proxy", "http://p"),
        pair("NO_PROXY", "x"),
        pair("no_proxy", "x"),
    ];
    assert_eq!(all, expected);
    assert_eq!(history, "RUN a # buildkit");
    let (rest, history) = hidden("FROM scratch\nARG NO_PROXY\nENV http_proxy=\nRUN [\"a\"]");
    assert_eq!(rest, [expected[0].clone(), expected[3].clone()]);
    assert_eq!(history, "RUN |1 NO_PROXY=x a # buildkit");
}
