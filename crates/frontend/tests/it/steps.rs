//! Steps: a real image for each.

use kiln_graph::NodeId;

use crate::given::{amd64, lowered};

const SOURCE: &str = "ARG V=1\nFROM debian:$V AS one\nENV A=1\nRUN a\nMAINTAINER me\n\
    FROM one\nRUN b\nCMD [\"x\"]\nFROM two\nRUN c\n";

#[test]
fn the_last_step_is_the_image() {
    let mut options = amd64();
    options.target = Some("1".to_owned());
    let lowered = lowered(SOURCE, &options);
    let last = lowered.steps.len() - 1;
    assert_eq!(lowered.config_at(last), lowered.config);
    assert_eq!(lowered.steps[last].node, lowered.target);
    assert_eq!(
        lowered.total, 8,
        "the unused stage does not count, the global ARG does"
    );
}

#[test]
fn each_step_has_the_image_so_far() {
    let mut options = amd64();
    options.target = Some("1".to_owned());
    let lowered = lowered(SOURCE, &options);
    let texts: Vec<_> = lowered.steps.iter().map(|s| s.text.as_str()).collect();
    let expected = [
        "FROM debian:$V AS one",
        "ENV A=1",
        "RUN a",
        "MAINTAINER me",
        "FROM one",
        "RUN b",
        "CMD [\"x\"]",
    ];
    assert_eq!(texts, expected);
    let env = |step| lowered.config_at(step).config.env("A").map(str::to_owned);
    assert_eq!((env(0), env(1)), (None, Some("1".to_owned())));
    let author = |step| lowered.config_at(step).author;
    let some = |name: &str| Some(name.to_owned());
    assert_eq!((author(2), author(3)), (some("somebody"), some("me")));
    // The base's three, and one for each instruction.
    let histories: Vec<_> = (0..7).map(|s| lowered.config_at(s).history.len()).collect();
    assert_eq!(histories, [3, 4, 5, 6, 6, 7, 8]);
    // Layers of the base, and those that the history names, are as many as the nodes make.
    let nodes: Vec<NodeId> = lowered.steps.iter().map(|s| s.node).collect();
    for (step, pair) in lowered.steps[1..].iter().zip(nodes.windows(2)) {
        assert_eq!(step.makes_layer, pair[0] != pair[1], "{}", step.text);
    }
    let numbers: Vec<_> = lowered.steps.iter().map(|s| s.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(lowered.steps[2].origin.to_string(), "Dockerfile:4");
}

#[test]
fn equal_stages_are_carried_out_once() {
    let source = "FROM scratch AS a\nCOPY x /\nFROM scratch AS b\nCOPY x /\n\
        FROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n";
    let lowered = lowered(source, &amd64());
    assert_eq!(lowered.stages[0].node, lowered.stages[1].node);
    assert_eq!(lowered.graph.len(), 5);
}
