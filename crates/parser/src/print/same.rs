//! Whether two trees say the same, whatever their places, comments and letters of keywords are.
//!
//! The serialised form is compared, so that nothing that is added to the tree is forgotten here.

use serde::Serialize;
use serde_json::Value;

use crate::ast::{Dockerfile, Instruction, Stage};

/// Members that say where something stands or how a keyword is written.
const PLACES: [&str; 4] = ["span", "spans", "as_keyword", "terminator"];

/// What a value says.
fn meaning<T: Serialize>(value: &T) -> Option<Value> {
    let mut value = serde_json::to_value(value).ok()?;
    strip(&mut value);
    Some(value)
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => {
            members.retain(|name, _| !PLACES.contains(&name.as_str()));
            members.values_mut().for_each(strip);
        }
        _ => {}
    }
}

fn same<T: Serialize, U: Serialize>(a: &T, b: &U) -> bool {
    // What cannot be serialised is equal to nothing.
    meaning(a).is_some_and(|a| meaning(b) == Some(a))
}

pub(super) fn instructions(a: &Instruction<'_>, b: &Instruction<'_>) -> bool {
    same(a, b)
}

fn stages(a: &Stage<'_>, b: &Stage<'_>) -> bool {
    a.instructions.len() == b.instructions.len()
        && same(&a.from.instruction, &b.from.instruction)
        && a.instructions
            .iter()
            .zip(&b.instructions)
            .all(|(a, b)| instructions(&a.instruction, &b.instruction))
}

pub(super) fn files(a: &Dockerfile<'_>, b: &Dockerfile<'_>) -> bool {
    a.args.len() == b.args.len()
        && a.stages.len() == b.stages.len()
        && same(&a.directives, &b.directives)
        && a.args
            .iter()
            .zip(&b.args)
            .all(|(a, b)| same(&a.instruction, &b.instruction))
        && a.stages.iter().zip(&b.stages).all(|(a, b)| stages(a, b))
}

/// The keyword of the first instruction in which two files differ.
pub(super) fn first_difference(a: &Dockerfile<'_>, b: &Dockerfile<'_>) -> &'static str {
    for (at, stage) in a.stages.iter().enumerate() {
        let Some(other) = b.stages.get(at) else {
            return "FROM";
        };
        if !same(&stage.from.instruction, &other.from.instruction) {
            return "FROM";
        }
        for (at, node) in stage.instructions.iter().enumerate() {
            let other = other.instructions.get(at);
            if !other.is_some_and(|other| instructions(&node.instruction, &other.instruction)) {
                return node.instruction.keyword();
            }
        }
    }
    "ARG"
}
