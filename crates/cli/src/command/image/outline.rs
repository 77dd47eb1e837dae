//! A layer as people read it: the folders and files that hold most, the rest summed up, and what
//! became of them.

use std::cmp::Reverse;

use kiln_build::layer::usage::{Place, Sum};

use super::{Layer, words};

/// What is worth a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many levels of folders.
    pub(super) depth: usize,
    /// Everything, however small.
    pub(super) all: bool,
}

/// What holds less than this part of its layer is summed up with its like.
const LEAST: u64 = 50;
/// So many are shown of one folder.
const MOST: usize = 8;

/// A line: how much, and what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: u64,
    pub(super) text: String,
}

/// The lines of a layer, without its own.
pub(super) fn lines(layer: Place<'_, '_>, limits: Limits, layers: &[Layer]) -> Vec<Line> {
    let least = match limits.all {
        true => 0,
        false => layer.sum().bytes.div_ceil(LEAST),
    };
    let mut outline = Outline {
        limits,
        least,
        layers,
        lines: Vec::new(),
    };
    outline.inside(layer, 1, "", "");
    outline.lines
}

struct Outline<'l> {
    limits: Limits,
    least: u64,
    layers: &'l [Layer],
    lines: Vec<Line>,
}

impl Outline<'_> {
    /// What is in a folder. `branches` stand before each line; `told` was said of all of it.
    fn inside(&mut self, folder: Place<'_, '_>, level: usize, branches: &str, told: &str) {
        let inside = sorted(folder);
        let shown = self.shown(&inside, level);
        let (shown, rest) = inside.split_at(shown);
        for (index, (place, sum)) in shown.iter().enumerate() {
            let is_last = index + 1 == shown.len() && rest.is_empty();
            let (own, deeper) = match is_last {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            let narrow = place.narrowed();
            let is_one = words::is_gone_as_one(narrow.contents());
            // What is gone as one is not worth more lines.
            let worth = self.limits.all || !is_one;
            let opened = level < self.limits.depth
                && narrow.file().is_none()
                && worth
                && self.shown(&sorted(narrow), level + 1) > 0;
            // Of parts of it, the lines below tell.
            let told_below = opened && !is_one;
            let fate = words::fate(narrow.contents(), self.layers);
            let note = match told_below || fate == told {
                true => "",
                false => &fate,
            };
            let text = format!("{branches}{own}{}", name(narrow, folder));
            self.line(sum.bytes, text, note);
            if opened {
                // What was left to the lines below is not told yet.
                let told = if told_below { "" } else { &fate };
                self.inside(narrow, level + 1, &format!("{branches}{deeper}"), told);
            }
        }
        if !rest.is_empty() {
            let bytes = rest.iter().map(|(_, sum)| sum.bytes).sum();
            let files = rest.iter().map(|(_, sum)| sum.files).sum::<usize>();
            let contents = rest.iter().flat_map(|(place, _)| place.contents());
            let fate = words::fate(contents, self.layers);
            let note = if fate == told { "" } else { &fate };
            let text = format!("{branches}└─ … {files} more files");
            self.line(bytes, text, note);
        }
    }

    /// How many of a folder's parts have a line of their own; the rest is summed up.
    fn shown(&self, inside: &[(Place<'_, '_>, Sum)], level: usize) -> usize {
        if self.limits.all {
            return inside.len();
        }
        let fit = inside.iter().take_while(|(_, sum)| sum.bytes >= self.least);
        // A layer that has something shows something.
        let least = usize::from(level == 1).min(inside.len());
        match fit.take(MOST).count().max(least) {
            // For one more, a line that sums up is no shorter.
            shown if shown + 1 == inside.len() => inside.len(),
            shown => shown,
        }
    }

    fn line(&mut self, bytes: u64, mut text: String, note: &str) {
        if !note.is_empty() {
            text.push_str("  ← ");
            text.push_str(note);
        }
        self.lines.push(Line { bytes, text });
    }
}

/// What is in a folder, the largest first.
fn sorted<'u, 'a>(folder: Place<'u, 'a>) -> Vec<(Place<'u, 'a>, Sum)> {
    let mut inside: Vec<_> = folder.inside().into_iter().map(|p| (p, p.sum())).collect();
    inside.sort_by_key(|(_, sum)| Reverse(sum.bytes));
    inside
}

/// What a place is called in a folder: a file by its name, a folder with a slash behind it.
fn name(place: Place<'_, '_>, folder: Place<'_, '_>) -> String {
    let path = place.path();
    let name = path.strip(&folder.path()).unwrap_or(path);
    match place.file() {
        Some(_) => name.to_string(),
        None => format!("{name}/"),
    }
}
