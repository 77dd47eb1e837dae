//! What is found again, and what is not.

use kiln_graph::{Answer, By, Event, Fresh, Graph, GraphBuilder, NodeId, Op, SolveErrorKind};

use crate::counters::{Bench, Counters, Trick, copy, hold, run};

/// `COPY a`, `RUN one`, `COPY b`, `RUN two`, upon nothing; and another stage that one of them uses.
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
fn a_full_hit_executes_nothing_and_asks_once() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let x = files("1", "1");
    let first = bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps(), ["copy a /", "copy b /", "run one", "run two"]);

    let again = files("1", "1");
    let plan = bench.plan(&graph, steps[3], &again);
    assert!(plan.is_full_hit(), "{plan}");
    assert_eq!(plan.answer(steps[3]), Answer::Hit(By::Definition));
    assert_eq!(plan.answer(steps[2]), Answer::Skipped);
    let second = bench.build(&graph, steps[3], &again).unwrap();
    assert_eq!(second.output(steps[3]), first.output(steps[3]));
    assert!(hold(&again.executed).is_empty(), "leaves included");
    assert_eq!(again.loads.into_inner(), 2, "one a plan");
}

#[test]
fn a_changed_file_runs_what_depends_on_it() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    bench.build(&graph, steps[3], &files("1", "1")).unwrap();
    let x = files("1", "2");
    let plan = bench.plan(&graph, steps[3], &x);
    let answers: Vec<_> = steps.iter().map(|s| plan.answer(*s)).collect();
    let hit = Answer::Hit(By::Definition);
    assert_eq!(
        answers,
        [Answer::Skipped, hit, Answer::Runs, Answer::Depends]
    );
    assert_eq!(
        plan.to_string(),
        "   0  not needed            scratch\n   1  not needed            context a\n   \
         2  not needed            copy a /\n   3  hit                   run one\n   \
         4  is brought            context b\n   5  runs                  copy b /\n   \
         6  depends on what runs  run two\n"
    );
    bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps(), ["copy b /", "run two"]);
}

#[test]
fn a_step_that_gave_the_same_saves_what_stands_on_it() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let same = |b| files("1", b).trick("copy b /", Trick::Give("same"));
    bench.build(&graph, steps[3], &same("1")).unwrap();
    hold(&bench.events).clear();
    let x = same("2");
    bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps(), ["copy b /"]);
    let content = Event::Hit(steps[3], By::Content);
    assert!(hold(&bench.events).contains(&content));
    assert_eq!(*hold(&x.loaded_upon), [["same"]]);
    // What was found by content is from then on found by definition.
    assert!(bench.plan(&graph, steps[3], &same("2")).is_full_hit());
}

#[test]
fn the_plan_asks_by_content_where_all_is_there() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let stages: Vec<_> = ["one", "two"]
        .map(|name| run(&mut g, &[scratch], name))
        .into();
    let tops: Vec<_> = stages.iter().map(|s| run(&mut g, &[*s], "top")).collect();
    let graph = g.finish();
    let x = Counters::default()
        .trick("run one", Trick::Give("same"))
        .trick("run two", Trick::Give("same"));
    let bench = Bench::default();
    bench.build(&graph, tops[0], &x).unwrap();
    bench.build(&graph, stages[1], &x).unwrap();
    let plan = bench.plan(&graph, tops[1], &x);
    assert_eq!(plan.answer(tops[1]), Answer::Hit(By::Content));
    hold(&x.executed).clear();
    bench.build(&graph, tops[1], &x).unwrap();
    assert!(x.steps().is_empty());
    assert_eq!(hold(&x.loaded_upon)[0], ["same"]);
    let plan = bench.plan(&graph, tops[1], &x);
    assert_eq!(plan.answer(tops[1]), Answer::Hit(By::Definition));
}

#[test]
fn a_build_that_failed_starts_where_it_failed() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let broken = files("1", "1").trick("run two", Trick::Fail);
    let error = bench.build(&graph, steps[3], &broken).unwrap_err();
    assert_eq!(error.node(), Some(steps[3]));
    assert!(matches!(error.kind(), SolveErrorKind::Failed(e) if e == "run two failed"));
    let mended = files("1", "1");
    bench.build(&graph, steps[3], &mended).unwrap();
    assert_eq!(mended.steps(), ["run two"]);
}

#[test]
fn no_cache_looks_nothing_up_and_still_writes() {
    let (graph, steps) = chain();
    let mut bench = Bench::default();
    bench.build(&graph, steps[3], &files("1", "1")).unwrap();
    bench.settings.fresh = Fresh::Everything;
    let x = files("1", "1");
    bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps().len(), 4);
    assert_eq!(x.loads.into_inner(), 0);

    let fresh = Bench {
        settings: bench.settings.clone(),
        ..Bench::default()
    };
    fresh.build(&graph, steps[3], &files("1", "1")).unwrap();
    let settings = Default::default();
    let x = files("1", "1");
    assert!(
        Bench { settings, ..fresh }
            .plan(&graph, steps[3], &x)
            .is_full_hit()
    );
}

#[test]
fn fresh_nodes_are_carried_out_and_save_those_upon_them_by_what_they_give() {
    let (graph, steps) = chain();
    let mut bench = Bench::default();
    bench.build(&graph, steps[3], &files("1", "1")).unwrap();
    bench.settings.fresh = Fresh::Nodes([steps[1]].into());
    let x = files("1", "1");
    let plan = bench.plan(&graph, steps[3], &x);
    let answers: Vec<_> = steps.iter().map(|s| plan.answer(*s)).collect();
    let hit = Answer::Hit(By::Definition);
    assert_eq!(
        answers,
        [hit, Answer::Runs, Answer::Depends, Answer::Depends]
    );
    bench.build(&graph, steps[3], &x).unwrap();
    assert_eq!(x.steps(), ["run one"], "it gave what it gave before");

    let other = files("1", "1").trick("run one", Trick::Give("other"));
    bench.build(&graph, steps[3], &other).unwrap();
    assert_eq!(other.steps(), ["copy b /", "run one", "run two"]);

    // What was found out is the rule from now on.
    bench.settings.fresh = Fresh::Nothing;
    assert!(bench.plan(&graph, steps[3], &files("1", "1")).is_full_hit());
}

#[test]
fn what_is_gone_is_a_miss_and_what_it_stood_on_is_asked() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let first = files("1", "1");
    let solved = bench.build(&graph, steps[3], &first).unwrap();
    let gone = |which: &[usize]| {
        let x = files("1", "1");
        for i in which {
            let output = solved.output(steps[*i]).unwrap().clone();
            hold(&x.gone).insert(output);
        }
        bench.build(&graph, steps[3], &x).unwrap();
        x.steps()
    };
    assert_eq!(gone(&[3]), ["run two"]);
    assert_eq!(gone(&[2, 3]), ["copy b /", "run two"]);
    assert_eq!(gone(&[0, 1, 2]), [""; 0]);
    assert_eq!(gone(&[0, 1, 2, 3]).len(), 4);
}

#[test]
fn a_context_that_cannot_be_read_fails_the_plan_at_its_node() {
    let (graph, steps) = chain();
    let bench = Bench::default();
    let x = Counters::default().file("a", "1");
    let settings = &bench.settings;
    let error = kiln_graph::plan(&graph, &[steps[3]], &x, &bench.records, settings).unwrap_err();
    assert!(matches!(error.kind(), SolveErrorKind::Failed(e) if e == "no `b`"));
    assert_eq!(error.to_string(), "`context b` failed");
}
