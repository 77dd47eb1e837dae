//! Threads: limits, order, failures, requests to stop.

use std::{num::NonZeroUsize, sync::mpsc, time::Duration};

use kiln_graph::{
    Answer, Class, Event, Graph, GraphBuilder, Limits, NodeId, Op, Settings, SolveErrorKind,
};
use proptest::prelude::*;

use crate::counters::{Bench, Counters, Trick, copy, hold, most, run};

fn bench(workers: usize) -> Bench {
    let limits = Limits::all(NonZeroUsize::new(workers).unwrap());
    Bench {
        settings: Settings {
            limits,
            ..Settings::default()
        },
        ..Bench::default()
    }
}

/// Branches that have nothing to do with each other, and one that needs them all.
fn fan(names: &[&str]) -> (Graph, Vec<NodeId>, NodeId) {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let branches: Vec<_> = names.iter().map(|n| run(&mut g, &[scratch], n)).collect();
    let top = run(&mut g, &branches, "top");
    (g.finish(), branches, top)
}

#[test]
fn limits_hold_for_each_class() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let mut all: Vec<_> = names.iter().map(|n| run(&mut g, &[scratch], n)).collect();
    all.extend(names.iter().map(|n| copy(&mut g, scratch, n)));
    let top = run(&mut g, &all, "top");
    let graph = g.finish();
    let mut x = Counters {
        pace: Duration::from_millis(2),
        ..Counters::default()
    };
    for name in &names {
        x = x.file(name, name);
    }
    let mut bench = bench(2);
    bench.settings.limits.process = NonZeroUsize::new(3).unwrap();
    bench.build(&graph, top, &x).unwrap();
    assert!(most(&x, Class::Process) <= 3);
    assert!(most(&x, Class::Cpu) <= 2);
    assert_eq!(x.steps().len(), 25);
}

#[test]
fn branches_run_beside_each_other() {
    // Each waits for the other: with one at a time this would never end.
    let x = Counters::default()
        .trick("run a", Trick::Wait)
        .trick("run b", Trick::FailBeside("run a"));
    let (graph, branches, top) = fan(&["a", "b"]);
    let bench = bench(2);
    let error = bench.build(&graph, top, &x).unwrap_err();
    assert_eq!(error.node(), Some(branches[1]), "{error}");
    let events = hold(&bench.events).clone();
    assert!(events.contains(&Event::Failed(branches[1])));
    assert!(events.contains(&Event::Canceled(branches[0])));
    assert!(!events.contains(&Event::Started(top)));
    assert!(!bench.cancel.is_canceled(), "the caller's is the caller's");
}

#[test]
fn canceling_reaches_a_running_node() {
    let x = Counters::default().trick("run a", Trick::Wait);
    let (graph, branches, top) = fan(&["a"]);
    let bench = bench(1);
    let cancel = bench.cancel.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while hold(&x.waiting).is_empty() {
                std::thread::yield_now();
            }
            cancel.cancel();
        });
        let error = bench.build(&graph, top, &x).unwrap_err();
        assert!(matches!(error.kind(), SolveErrorKind::Canceled), "{error}");
    });
    assert!(hold(&bench.events).contains(&Event::Canceled(branches[0])));
    assert_eq!(x.steps(), ["run a"]);

    let x = Counters::default();
    let error = bench.build(&graph, top, &x).unwrap_err();
    assert!(matches!(error.kind(), SolveErrorKind::Canceled));
    assert!(hold(&x.executed).is_empty(), "canceled before it began");
}

#[test]
fn what_was_done_before_a_failure_is_kept() {
    let x = Counters::default().trick("run b", Trick::Fail);
    let (graph, _, top) = fan(&["a", "b"]);
    let bench = bench(1);
    bench.build(&graph, top, &x).unwrap_err();
    let x = Counters::default();
    bench.build(&graph, top, &x).unwrap();
    assert_eq!(x.steps(), ["run b", "run top"]);
}

/// Whether `work` comes to an end by itself.
fn ends(work: impl FnOnce() + Send + 'static) -> bool {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(60)).is_ok()
}

#[test]
fn a_panic_is_a_failure() {
    assert!(ends(|| {
        for workers in 1..4 {
            let x = Counters::default()
                .trick("run b", Trick::Panic)
                .trick("run a", Trick::Give("a"));
            let (graph, branches, top) = fan(&["a", "b", "c"]);
            let error = bench(workers).build(&graph, top, &x).unwrap_err();
            assert_eq!(error.node(), Some(branches[1]));
            assert!(
                error
                    .to_string()
                    .contains("`run b` panicked: run b panicked")
            );
        }
    }));
}

/// A random graph: for each node, which of those before it are its inputs.
fn shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(0..1000_usize, 1..4), 1..30)
}

fn graph_of(shape: &[Vec<usize>]) -> (Graph, Vec<NodeId>) {
    let mut g = GraphBuilder::new();
    let mut nodes = vec![g.add(Op::Scratch, &[], None)];
    for (n, inputs) in shape.iter().enumerate() {
        let inputs: Vec<_> = inputs.iter().map(|i| nodes[i % nodes.len()]).collect();
        nodes.push(run(&mut g, &inputs, &n.to_string()));
    }
    (g.finish(), nodes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_answer_for_any_number_of_workers(shape in shapes()) {
        let (graph, nodes) = graph_of(&shape);
        let target = nodes[nodes.len() - 1];
        let mut answers = Vec::new();
        for workers in 1..=8 {
            let x = Counters::default();
            let bench = bench(workers);
            let solved = bench.build(&graph, target, &x).unwrap();
            let outputs: Vec<_> = nodes.iter().map(|n| solved.output(*n).cloned()).collect();
            answers.push((outputs, x.steps()));
            // Whatever order it ran in, no node came before what it stands on.
            let events = hold(&bench.events).clone();
            let at = |e: Event| events.iter().position(|other| *other == e);
            for (id, node) in graph.iter() {
                if let Some(started) = at(Event::Started(id)) {
                    for input in &node.inputs {
                        prop_assert!(at(Event::Finished(*input)).is_some_and(|f| f < started));
                    }
                }
            }
        }
        prop_assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_failure_anywhere_ends_and_loses_nothing_done(
        shape in shapes(), at in 0..1000_usize, panics: bool, workers in 1..=8_usize,
    ) {
        let (graph, nodes) = graph_of(&shape);
        let target = nodes[nodes.len() - 1];
        let bench = bench(workers);
        let broken = graph.node(nodes[1 + at % (nodes.len() - 1)]).op.to_string();
        let x = Counters::default().trick(&broken, if panics { Trick::Panic } else { Trick::Fail });
        let plan = bench.plan(&graph, target, &x);
        let needed = graph.iter().any(|(id, n)| {
            n.op.to_string() == broken && plan.answer(id) != Answer::Skipped
        });
        prop_assert_eq!(bench.build(&graph, target, &x).is_err(), needed);
        let again = Counters::default();
        bench.build(&graph, target, &again).unwrap();
        let twice: Vec<_> = again.steps().into_iter().filter(|s| x.steps().contains(s)).collect();
        prop_assert_eq!(twice, if needed { vec![broken] } else { vec![] });
    }
}
