//! Graphs as they are made.

use kiln_graph::{GraphBuilder, Op, Origin, Run};

use crate::counters::{copy, run};

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
