//! Where variables are replaced and where they are not: a row of `tests/tables/expansion.jsonl` for
//! each instruction and each flag. `$v` has a value there, by an ARG of the stage (`line`) or of the
//! whole file (`global`); what the line comes to shows it (`shows`), or what was written.

use std::fmt::Write;

use kiln_graph::Op;
use serde_json::Value;

use crate::given::{amd64, outcome};

/// Everything that the instructions came to, but for the arguments themselves.
fn seen(source: &str, in_history: bool) -> Result<String, String> {
    let outcome = outcome(source, &amd64());
    let lowered = outcome.end.map_err(|errors| format!("{errors:?}"))?;
    let mut all = String::new();
    for base in outcome.rounds.iter().flatten() {
        writeln!(all, "{} {}", base.reference, base.platform).unwrap();
    }
    for (_, node) in lowered.graph.iter() {
        let arguments = ["env v", "env $v"];
        let parts = node.op.parts();
        let parts = parts
            .iter()
            .filter(|(name, _)| !arguments.contains(&&**name));
        parts.for_each(|(name, value)| writeln!(all, "{name}={value}").unwrap());
        match &node.op {
            Op::Inline(inline) => writeln!(all, "{inline:?}").unwrap(),
            Op::Http(http) => writeln!(all, "{http:?}").unwrap(),
            _ => {}
        }
    }
    let mut config = lowered.config;
    let last = config
        .history
        .last()
        .and_then(|entry| entry.created_by.clone());
    config.history.clear();
    match in_history {
        true => Ok(last.unwrap()),
        false => Ok(all + &serde_json::to_string(&config).unwrap()),
    }
}

#[test]
fn each_place() {
    let rows = include_str!("../tables/expansion.jsonl").lines();
    let mut wrong = Vec::new();
    for row in rows {
        let row: Value = serde_json::from_str(row).unwrap();
        let text = |name: &str| row[name].as_str();
        let value = text("value").unwrap_or("mark7");
        let source = match (text("line"), text("global")) {
            (Some(line), _) => format!("FROM scratch\nARG v=\"{value}\"\n{line}\n"),
            (None, Some(lines)) => format!("ARG v=\"{value}\"\n{lines}\n"),
            (None, None) => panic!("{row}"),
        };
        let found = seen(&source, text("in") == Some("history"));
        let want = text("want").unwrap_or(value);
        let good = match &found {
            Err(_) => row["refused"] == true,
            Ok(_) if row["refused"] == true => false,
            Ok(all) if row["shows"] == true => all.contains(want) && !all.contains("$v"),
            Ok(all) => !all.contains(value) && all.contains(text("want").unwrap_or("$v")),
        };
        if !good {
            wrong.push(format!("{row}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
