use std::sync::Arc;

use kiln_frontend::{Lowered, StageBase};

use super::*;
use crate::job::assemble::tests::{assembly, lowered, slots};

/// What a tracker is to know of the steps of a Dockerfile.
fn tracked(lowered: &Lowered) -> Vec<Tracked> {
    let assembly = assembly(lowered, None);
    let of = |(i, step): (usize, &kiln_frontend::Step)| {
        let stage = &lowered.stages[step.stage];
        let from_image = i == stage.steps.start && !matches!(stage.base, StageBase::Stage(_));
        Tracked {
            node: step.node,
            own: step.makes_layer || from_image,
            upper: lowered.graph.node(step.node).upper(),
            made: assembly.made(i),
            before: assembly.before(i),
            id: i.to_string(),
        }
    };
    lowered.steps.iter().enumerate().map(of).collect()
}

/// Has `play` tell a tracker what happens to nodes, and gives what it told of steps.
fn told(text: &str, play: impl Fn(&Tracker<'_>, &dyn Fn(usize) -> NodeId)) -> Vec<String> {
    let lowered = lowered(text);
    let told = Mutex::new(Vec::new());
    let on = |event: Event<'_>| {
        let text = match event {
            Event::Started { step, .. } => format!("{step} started"),
            Event::Output { step, .. } => format!("{step} wrote"),
            Event::Finished {
                step, how, layer, ..
            } => {
                let size = layer.map_or_else(String::new, |(_, size)| format!(" {size}"));
                format!("{step} {how:?}{size}")
            }
            Event::Failed { step } => format!("{step} failed"),
            Event::Canceled { step } => format!("{step} canceled"),
            _ => return,
        };
        told.lock().unwrap().push(text);
    };
    let tracker = Tracker::new(tracked(&lowered), None, &|_| 7, &on);
    play(&tracker, &|step| lowered.steps[step].node);
    told.into_inner().unwrap()
}

const CHAIN: &str = "FROM base\nENV a=b\nRUN one\nLABEL c=d\nRUN two\nCMD x\n";

#[test]
fn a_hit_stands_for_all_the_steps_beneath_it() {
    let told = told(CHAIN, |tracker, node| {
        let top = node(4);
        tracker.ready(top, &Arc::new(slots(&[("one", 1), ("two", 2)])));
        tracker.event(kiln_graph::Event::Hit(top, By::Definition));
    });
    let want = [
        "0 Cached",
        "1 Cached",
        "2 Cached 7",
        "3 Cached",
        "4 Cached 7",
        "5 started",
        "5 Config",
    ];
    assert_eq!(told, want);
}

#[test]
fn what_only_changes_the_config_is_done_as_soon_as_what_it_stands_on_is() {
    let told = told(CHAIN, |tracker, node| {
        let (base, one) = (node(0), node(2));
        tracker.ready(base, &Arc::new(slots(&[])));
        tracker.event(kiln_graph::Event::Finished(base));
        tracker.event(kiln_graph::Event::Started(one));
        tracker.output(one, Stream::Stdout, b"x");
        tracker.ready(one, &Arc::new(slots(&[("", 1)])));
        tracker.event(kiln_graph::Event::Finished(one));
        tracker.event(kiln_graph::Event::Started(node(4)));
        tracker.event(kiln_graph::Event::Failed(node(4)));
    });
    let want = [
        "0 Ran",
        "1 started",
        "1 Config",
        "2 started",
        "2 wrote",
        "2 Ran",
        "3 started",
        "3 Config",
        "4 started",
        "4 failed",
    ];
    assert_eq!(told, want);
}

#[test]
fn a_node_that_is_two_steps_tells_of_both_and_writes_once() {
    let text = "FROM base AS a\nRUN same\nFROM base AS b\nRUN same\nFROM a\nCOPY --from=b /x /\n";
    let told = told(text, |tracker, node| {
        assert_eq!(node(1), node(3));
        tracker.ready(node(0), &Arc::new(slots(&[])));
        tracker.event(kiln_graph::Event::Hit(node(0), By::Definition));
        tracker.event(kiln_graph::Event::Started(node(1)));
        tracker.output(node(1), Stream::Stderr, b"x");
        tracker.event(kiln_graph::Event::Canceled(node(1)));
    });
    let want = [
        "0 Cached",
        "2 Cached",
        "1 started",
        "3 started",
        "1 wrote",
        "1 canceled",
        "3 canceled",
    ];
    assert_eq!(told, want);
}

#[test]
fn a_layer_that_was_found_is_cached_on_any_root() {
    let text = "FROM base\nCOPY --link x /\nCOPY --link y /\n";
    let lowered = lowered(text);
    let upper = |step: usize| {
        lowered
            .graph
            .node(lowered.steps[step].node)
            .upper()
            .unwrap()
    };
    let (x, y) = (upper(1), upper(2));
    let told = told(text, |tracker, node| {
        let play = |node, slots: &[(&str, i64)], event: &dyn Fn(NodeId) -> kiln_graph::Event| {
            tracker.ready(node, &Arc::new(self::slots(slots)));
            tracker.event(event(node));
        };
        let finished = |node| kiln_graph::Event::Finished(node);
        play(node(0), &[], &finished);
        play(x, &[("x", 1)], &|node| {
            kiln_graph::Event::Hit(node, By::Definition)
        });
        play(node(1), &[("x", 1)], &finished);
        play(y, &[("y", 1)], &finished);
        play(node(2), &[("x", 1), ("y", 1)], &finished);
    });
    assert_eq!(told, ["0 Ran", "1 Cached 7", "2 Ran 7"]);
}
