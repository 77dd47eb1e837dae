//! What came out, beside what a case asks for: a line for each difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::{
    Result,
    case::Wanted,
    image::{self, Files, Image, Kind, Node},
    line,
};
use crate::kiln::Said;

/// What a failed build says, beside what it should; `words` where ours are asked for.
pub(super) fn failure(wanted: &Wanted, said: &Said, words: bool) -> Vec<String> {
    let Some(error) = &wanted.error else {
        return vec![format!("failed:\n{}", last(&said.err))];
    };
    let mut found = Vec::new();
    if words && !said.err.contains(error) {
        found.push(format!("the error is not `{error}`:\n{}", last(&said.err)));
    }
    if let Some(number) = wanted.line {
        let place = format!("Dockerfile:{number}");
        let named = said.err.match_indices(&place).any(|(at, _)| {
            let next = said.err[at + place.len()..].chars().next();
            !next.is_some_and(|c| c.is_ascii_digit())
        });
        if !named {
            found.push(format!(
                "the error is not in line {number}:\n{}",
                last(&said.err)
            ));
        }
    }
    found
}

/// What a build says, beside what it should.
pub(super) fn words(wanted: &Wanted, said: &Said) -> Vec<String> {
    let missing = wanted.says.iter().filter(|part| !said.err.contains(*part));
    missing
        .map(|part| format!("does not say `{part}`:\n{}", last(&said.err)))
        .collect()
}

fn last(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(14);
    lines[from..]
        .iter()
        .map(|l| format!("      {l}\n"))
        .collect()
}

/// In what the files differ that a build left in `folder`.
pub(super) fn written(wanted: &Wanted, folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    // By the archive, and by nothing for what lies there itself.
    let mut places = BTreeMap::<&str, BTreeMap<String, String>>::new();
    for (path, line) in &wanted.written {
        let (place, path) = path.split_once(':').unwrap_or(("", path));
        let path = format!("/{}", path.trim_start_matches('/'));
        places.entry(place).or_default().insert(path, line.clone());
    }
    for (place, wanted) in places {
        let files = match place {
            "" => image::on_disk(folder)?,
            archive => image::in_archive(&folder.join(archive))?,
        };
        lines(&wanted, &files, place, &mut found);
    }
    Ok(found)
}

fn lines(wanted: &BTreeMap<String, String>, files: &Files, of: &str, found: &mut Vec<String>) {
    for (path, line) in wanted {
        if let Some(how) = line::differs(line, path, files) {
            found.push(format!("{of}{path} {how}"));
        }
    }
}

/// In what an image differs.
pub(super) fn image(wanted: &Wanted, image: &Image) -> Vec<String> {
    let mut found = Vec::new();
    lines(&wanted.files, &image.files, "", &mut found);
    if let Some(changes) = &wanted.changes {
        let real = changed(&image.below, &image.files);
        let more: Vec<_> = real.difference(changes).collect();
        let less: Vec<_> = changes.difference(&real).collect();
        if !(more.is_empty() && less.is_empty()) {
            found.push(format!("changes too much: {more:?}, too little: {less:?}"));
        }
    }
    values(
        "config",
        &wanted.config,
        &image.document["config"],
        &mut found,
    );
    values("image", &wanted.image, &image.document, &mut found);
    if let Some(history) = &wanted.history {
        let line = |(text, layer): &(String, bool)| match layer {
            true => format!("layer: {text}"),
            false => text.clone(),
        };
        let real: Vec<String> = image.history.iter().map(line).collect();
        if real != *history {
            found.push(format!("the history is {real:#?}"));
        }
    }
    found
}

fn values(of: &str, wanted: &BTreeMap<String, Value>, real: &Value, found: &mut Vec<String>) {
    for (key, value) in wanted {
        let real = real.get(key).unwrap_or(&Value::Null);
        let same = match value.as_str() {
            Some("none") => *real == Value::Null,
            _ => real == value,
        };
        if !same {
            found.push(format!("{of}.{key} is {real}"));
        }
    }
}

/// Paths that are not as they were, whatever their times; `-` stands before those that are gone.
fn changed(before: &Files, after: &Files) -> BTreeSet<String> {
    let same = |a: &Node, b: &Node| {
        let kinds = match (&a.kind, &b.kind) {
            (Kind::File { bytes: a, .. }, Kind::File { bytes: b, .. }) => a == b,
            (a, b) => a == b,
        };
        kinds && (a.mode, a.owner, &a.xattrs) == (b.mode, b.owner, &b.xattrs)
    };
    let new = after
        .iter()
        .filter(|(p, n)| !before.get(*p).is_some_and(|b| same(b, n)));
    let gone = before.keys().filter(|p| !after.contains_key(*p));
    new.map(|(p, _)| p.clone())
        .chain(gone.map(|p| format!("-{p}")))
        .collect()
}
