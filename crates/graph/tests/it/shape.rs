//! Graphs as they are made.

use kiln_graph::{GraphBuilder, Op, Origin, Run};

use crate::counters::{Bench, Counters, copy, run};

#[test]
fn equal_nodes_are_one_node() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let a = copy(&mut g, scratch, "a");
    let line = |line| {
        let file = "Dockerfile".to_owned();
        let span = (0, 1);
        Some(Origin { file, span, line })
    };
    let one = g.add(Op::Run(Run::default()), &[a], line(3));
    assert_eq!(one, g.add(Op::Run(Run::default()), &[a], line(7)));
    assert_ne!(one, g.add(Op::Run(Run::default()), &[one], None));
    assert_eq!(a, copy(&mut g, scratch, "a"));
    g.name(one, "RUN");
    let g = g.finish();
    assert_eq!(g.len(), 5);
    assert_eq!(g.node(one).origin.as_ref().unwrap().line, 3);
    assert_eq!(g.node(one).name, "RUN");
    assert_eq!(g.node(a).name, "copy a /");
}

#[test]
#[should_panic(expected = "a node of the same graph")]
fn an_input_comes_first() {
    let mut larger = GraphBuilder::new();
    let scratch = larger.add(Op::Scratch, &[], None);
    let stranger = run(&mut larger, &[scratch], "a");
    run(&mut GraphBuilder::new(), &[stranger], "b");
}

#[test]
fn operations_survive_json() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    copy(&mut g, scratch, "a");
    for (_, node) in g.finish().iter() {
        let text = serde_json::to_string(&node.op).unwrap();
        assert_eq!(serde_json::from_str::<Op>(&text).unwrap(), node.op);
    }
}

#[test]
fn who_will_stand_on_a_node() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let under = copy(&mut g, scratch, "under");
    let ran = run(&mut g, &[under], "ran");
    let last = copy(&mut g, ran, "last");
    // Takes files from `last`, and stands on `alone`.
    let alone = copy(&mut g, scratch, "alone");
    let from = g.add(Op::Copy(kiln_graph::Copy::default()), &[alone, last], None);
    let graph = g.finish();
    let x = ["under", "last", "alone"]
        .into_iter()
        .fold(Counters::default(), |x, f| x.file(f, f));
    let bench = Bench::default();
    let roots = |bench: &Bench| {
        let plan = bench.plan(&graph, from, &x);
        plan.is_root_of(|op| matches!(op, Op::Run(_)))
    };
    let is = roots(&bench);
    assert!(is[under.index()] && is[scratch.index()]);
    assert!(!is[ran.index()] && !is[last.index()] && !is[alone.index()]);
    // What is found does not run.
    bench.build(&graph, ran, &x).unwrap();
    assert!(!roots(&bench)[under.index()]);
}
