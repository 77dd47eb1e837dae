//! What is asked for, and when.

use kiln_frontend::{Bases, Lowering, lower};
use kiln_parser::parse;

use crate::given::{amd64, outcome};

#[test]
fn stages_that_the_target_does_not_reach_ask_for_nothing() {
    let source = "FROM a AS one\nFROM b AS two\nFROM one\nCOPY --from=c / /c\n";
    let asked = |target: Option<&str>| {
        let mut options = amd64();
        options.target = target.map(str::to_owned);
        let rounds = outcome(source, &options).rounds;
        let names = rounds.iter().flatten().map(|b| b.reference.familiar());
        names.collect::<Vec<_>>()
    };
    assert_eq!(asked(None), ["a:latest", "c:latest"]);
    assert_eq!(asked(Some("two")), ["b:latest"]);
    assert_eq!(asked(Some("0")), ["a:latest"]);
    assert_eq!(asked(Some("TWO")), ["b:latest"]);
}

#[test]
fn triggers_ask_in_a_round_of_their_own() {
    let source = "FROM builder:1 AS unused\nFROM trigger:2\n";
    let rounds = outcome(source, &amd64()).rounds;
    let names = rounds.iter().map(|round| {
        let names = round.iter().map(|b| b.reference.familiar());
        names.collect::<Vec<_>>()
    });
    let names: Vec<_> = names.collect();
    assert_eq!(names, [["trigger:2"], ["tools:5"]]);
}

#[test]
fn an_image_is_asked_for_once_and_by_its_whole_name() {
    let source = "FROM a AS one\nFROM docker.io/library/a:latest\nCOPY --from=one / /\n";
    let (file, _) = parse(source).into_result().unwrap();
    let (options, bases) = (amd64(), Bases::new());
    let Ok(Lowering::Need(needs)) = lower(&file, &options, &bases) else {
        panic!("nothing is known yet");
    };
    assert_eq!(needs.len(), 1);
    assert_eq!(needs[0].reference.to_string(), "docker.io/library/a:latest");
    assert_eq!(needs[0].span.of(source), "docker.io/library/a:latest");
}
