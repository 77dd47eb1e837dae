//! Every case of the corpus: a Dockerfile, perhaps options, and what came of it as text.
//! `UPDATE_GOLDEN=1` writes the texts anew.

use std::{fmt::Write, fs};

use kiln_frontend::{Lowered, StageBase};
use kiln_graph::{Node, Op};
use kiln_parser::{Diagnostic, LineIndex, Span};

use crate::given::{Outcome, corpus, options, outcome};

#[test]
fn every_case_of_the_corpus() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut cases: Vec<_> = fs::read_dir(corpus())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    for case in cases.iter().filter(|case| case.join("Dockerfile").exists()) {
        let source = fs::read_to_string(case.join("Dockerfile")).unwrap();
        let wishes = fs::read_to_string(case.join("options")).unwrap_or_default();
        let found = show(&source, &outcome(&source, &options(&wishes)));
        let golden = case.join("expected.txt");
        if update {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!(
                "{}:\n{}",
                case.display(),
                difference(&expected, &found)
            ));
        }
        count += 1;
    }
    assert!(count > 30, "the corpus is not where it was: {count} cases");
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE_GOLDEN=1 writes them anew",
        wrong.join("\n")
    );
}

fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let gone = old
        .iter()
        .filter(|l| !new.contains(l))
        .map(|l| format!("- {l}\n"));
    let come = new
        .iter()
        .filter(|l| !old.contains(l))
        .map(|l| format!("+ {l}\n"));
    gone.chain(come).collect()
}

fn show(source: &str, outcome: &Outcome) -> String {
    let mut out = String::new();
    for (round, bases) in (1..).zip(&outcome.rounds) {
        for base in bases {
            let place = place(source, base.span);
            writeln!(
                out,
                "need {round}: {} for {} at {place}",
                base.reference, base.platform
            )
            .unwrap();
            if let Some(hint) = &base.hint {
                writeln!(out, "  hint: {hint}").unwrap();
            }
        }
    }
    match &outcome.end {
        Ok(lowered) => show_lowered(&mut out, source, lowered),
        Err(errors) => errors
            .iter()
            .for_each(|e| show_diagnostic(&mut out, source, e)),
    }
    out
}

fn place(source: &str, span: Span) -> String {
    if span == Span::default() {
        return "nowhere".to_owned();
    }
    let at = LineIndex::new(source).position(span.start);
    format!(
        "{}:{} `{}`",
        at.line,
        at.column,
        span.of(source).escape_default()
    )
}

fn show_diagnostic(out: &mut String, source: &str, d: &Diagnostic) {
    let severity = if d.is_error() { "error" } else { "warning" };
    writeln!(out, "{severity} {}: {}", d.code, d.message).unwrap();
    writeln!(out, "  at {}", place(source, d.span)).unwrap();
    if let Some(help) = &d.help {
        writeln!(out, "  help: {help}").unwrap();
    }
}

fn show_lowered(out: &mut String, source: &str, lowered: &Lowered) {
    // What docker's rules find has cases of its own.
    let dockers = |code| kiln_parser::lint::rule(code).is_some_and(|rule| !rule.is_own());
    let warnings = lowered.warnings.iter();
    warnings
        .filter(|w| !dockers(w.code) || w.code == "InvalidBaseImagePlatform")
        .for_each(|w| show_diagnostic(out, source, w));
    if let Some(epoch) = lowered.epoch {
        writeln!(out, "epoch {epoch}").unwrap();
    }
    writeln!(out, "\ngraph").unwrap();
    for (id, node) in lowered.graph.iter() {
        show_node(out, &id.to_string(), node);
    }
    writeln!(out, "target #{}", lowered.target).unwrap();
    for stage in &lowered.stages {
        let base = match &stage.base {
            StageBase::Scratch => "scratch".to_owned(),
            StageBase::Context(name) => format!("context {name}"),
            StageBase::Image { reference, .. } => reference.familiar(),
            StageBase::Stage(at) => format!("stage {}", lowered.stages[*at].index),
        };
        let name = stage.name.as_deref().unwrap_or("-");
        writeln!(
            out,
            "\nstage {} {name} on {base}, ends with #{}",
            stage.index, stage.node
        )
        .unwrap();
        for step in &lowered.steps[stage.steps.clone()] {
            let mark = if step.trigger { " (trigger)" } else { "" };
            let layer = if step.makes_layer { ", a layer" } else { "" };
            let text = &step.text;
            writeln!(out, "  {}/{}{mark} {text}", step.number, lowered.total).unwrap();
            writeln!(out, "    line {}, #{}{layer}", step.origin.line, step.node).unwrap();
            if let Some(entry) = &step.history {
                assert_eq!(entry.empty_layer, !step.makes_layer, "{text}");
                writeln!(out, "    {}", entry.created_by.as_deref().unwrap()).unwrap();
            }
        }
    }
    for (number, text) in (1..).zip(&lowered.preamble) {
        writeln!(out, "before the stages: {number}/{} {text}", lowered.total).unwrap();
    }
    let mut config = lowered.config.clone();
    config
        .history
        .retain(|entry| entry.comment.as_deref() != Some("buildkit.dockerfile.v0"));
    let config = serde_json::to_string_pretty(&config).unwrap();
    writeln!(out, "\nconfig, history of the base only\n{config}").unwrap();
}

fn show_node(out: &mut String, id: &str, node: &Node) {
    let inputs: Vec<_> = node.inputs.iter().map(|i| format!(" #{i}")).collect();
    let kind = node.op.to_string();
    let kind = kind.split(' ').next().unwrap();
    writeln!(out, "  #{id} {kind}{}   {}", inputs.concat(), node.name).unwrap();
    for (name, value) in node.op.parts().iter().skip(1) {
        writeln!(out, "       {name} = {value}").unwrap();
    }
    if let Op::Run(run) = &node.op {
        for (name, value) in &run.hidden_env {
            writeln!(out, "       hidden {name} = {value}").unwrap();
        }
    }
    let details: Vec<String> = match &node.op {
        Op::Inline(inline) => inline
            .files
            .iter()
            .map(|f| format!("{:o} {} {:?}", f.mode, f.name, f.text))
            .collect(),
        Op::Git(git) => vec![format!("{git:?}")],
        Op::Http(http) => vec![format!("{http:?}")],
        Op::Context { select, .. } if !select.exclude.is_empty() => {
            vec![format!("without {:?}", select.exclude)]
        }
        _ => Vec::new(),
    };
    for detail in details {
        writeln!(out, "       {detail}").unwrap();
    }
    if let Op::Image { platform, .. } = &node.op {
        writeln!(out, "       for {platform}").unwrap();
    }
}
