//! Leaves whose content is not known before somebody who stands on them has read it.

use kiln_graph::{Answer, By, Event, Fresh, Graph, GraphBuilder, NodeId, Op};
use proptest::prelude::*;

use crate::counters::{Bench, Counters, Trick, copy, hold, run};

/// `COPY a`, `RUN one`, `COPY b`, `RUN two`, upon nothing.
fn chain() -> (Graph, Vec<NodeId>) {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let a = copy(&mut g, scratch, "a");
    let one = run(&mut g, &[a], "one");
    let b = copy(&mut g, one, "b");
    let two = run(&mut g, &[b], "two");
    (g.finish(), vec![a, one, b, two])
}

fn files(a: &str, b: &str) -> Counters {
    Counters::default().file("a", a).file("b", b)
}

#[test]
fn what_was_read_late_is_found_by_those_who_know_it_first() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let late = files("1", "1").read_late();
    let plan = bench.plan(&graph, steps[3], &late);
    assert_eq!(plan.answer(steps[0]), Answer::Runs);
    bench.build(&graph, steps[3], &late).unwrap();
    let plan = bench.plan(&graph, steps[3], &files("1", "1"));
    assert_eq!(plan.answer(steps[3]), Answer::Hit(By::Definition), "{plan}");
    for step in &steps[..3] {
        let plan = bench.plan(&graph, *step, &files("1", "1"));
        assert!(plan.is_full_hit(), "{plan}");
    }
    assert!(!bench.plan(&graph, steps[3], &files("1", "2")).is_full_hit());
}

#[test]
fn a_record_wins_over_what_was_just_made() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let first = bench.build(&graph, steps[3], &files("1", "1")).unwrap();
    hold(&bench.events).clear();
    // The copies are made again; nobody who stands on them is.
    let late = files("1", "1").read_late();
    let late = late
        .trick("run one", Trick::Fail)
        .trick("run two", Trick::Fail);
    let second = bench.build(&graph, steps[3], &late).unwrap();
    assert_eq!(late.steps(), ["copy a /", "copy b /"]);
    for step in &steps {
        assert_eq!(first.output(*step), second.output(*step));
        let hit = Event::Hit(*step, By::Content);
        assert!(hold(&bench.events).contains(&hit), "{step}");
    }
    assert!(!hold(&bench.events).contains(&Event::Finished(steps[0])));
}

#[test]
fn a_leaf_that_stays_unknown_is_carried_out_each_time() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let a = copy(&mut g, scratch, "a");
    let graph = g.finish();
    let bench = Bench::default();
    for _ in 0..2 {
        // Nobody says that it was read.
        let x = files("1", "1")
            .read_late()
            .trick("copy a /", Trick::Give("same"));
        bench.build(&graph, a, &x).unwrap();
        assert_eq!(x.steps(), ["copy a /"]);
    }
}

#[test]
fn without_the_cache_nothing_is_found_late_either() {
    let (graph, steps) = chain();
    let mut bench = Bench::default();
    bench.build(&graph, steps[3], &files("1", "1")).unwrap();
    bench.settings.fresh = Fresh::Everything;
    let x = files("1", "1").read_late();
    bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps().len(), 4);
}

/// For each node, which of those before it is its root, and which file it copies if any.
fn shapes() -> impl Strategy<Value = Vec<(usize, Option<u8>)>> {
    proptest::collection::vec((0..1000_usize, proptest::option::of(0..4_u8)), 1..20)
}

fn graph_of(shape: &[(usize, Option<u8>)]) -> (Graph, Vec<NodeId>) {
    let mut g = GraphBuilder::new();
    let mut nodes = vec![g.add(Op::Scratch, &[], None)];
    for (n, (root, file)) in shape.iter().enumerate() {
        let root = nodes[root % nodes.len()];
        nodes.push(match file {
            Some(file) => copy(&mut g, root, &file.to_string()),
            None => run(&mut g, &[root], &n.to_string()),
        });
    }
    (g.finish(), nodes)
}

fn four() -> Counters {
    (0..4).fold(Counters::default(), |x, n| {
        x.file(&n.to_string(), &n.to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn when_it_was_read_makes_no_difference(shape in shapes(), workers in 1..=8_usize) {
        let (graph, nodes) = graph_of(&shape);
        let target = nodes[nodes.len() - 1];
        let mut bench = Bench::default();
        bench.settings.limits = kiln_graph::Limits::all(workers.try_into().unwrap());
        let late = bench.build(&graph, target, &four().read_late()).unwrap();
        let other = Bench::default();
        let early = other.build(&graph, target, &four()).unwrap();
        prop_assert_eq!(late.output(target), early.output(target));
        prop_assert!(bench.plan(&graph, target, &four()).is_full_hit());
        // And the other way round: only copies run again, each is then found.
        let again = four().read_late();
        let found = other.build(&graph, target, &again).unwrap();
        prop_assert_eq!(found.output(target), early.output(target));
        prop_assert!(again.steps().iter().all(|s| s.starts_with("copy")));
    }
}
