//! What is said of contents and layers: shares, instructions in short, and what became of something.

use std::{cmp::Reverse, collections::BTreeMap};

use kiln_build::layer::{
    LayerPath,
    usage::{Content, Differs, How},
};

use super::Layer;
use crate::{command::history::shorten, units};

/// How many letters of an instruction are shown beside its layer.
const WIDTH: usize = 60;
/// And where it is only named.
const BRIEF: usize = 40;

pub(super) fn size(bytes: u64) -> String {
    units::size(bytes, 3)
}

/// What part of `all` it is: `39.2%`.
pub(super) fn share(bytes: u64, all: u64) -> String {
    #[allow(
        clippy::cast_precision_loss,
        reason = "for people, who see three digits"
    )]
    let percent = if all == 0 {
        0.0
    } else {
        bytes as f64 * 100.0 / all as f64
    };
    format!("{percent:.1}%")
}

pub(super) fn files(count: usize) -> String {
    match count {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    }
}

/// From the root on, a folder with a slash behind it.
pub(super) fn absolute(path: &LayerPath, is_folder: bool) -> String {
    match (path.is_root(), is_folder) {
        (true, _) => "/".to_owned(),
        (_, true) => format!("/{path}/"),
        (_, false) => format!("/{path}"),
    }
}

impl Layer {
    /// The instruction on one line.
    pub(super) fn instruction(&self, whole: bool) -> String {
        let words: Vec<&str> = self.by.split_whitespace().collect();
        match words.join(" ") {
            by if by.is_empty() && self.comment.is_empty() => "(not in the history)".to_owned(),
            by if by.is_empty() => self.comment.clone(),
            by if whole => by,
            by => shorten(&by, WIDTH),
        }
    }

    /// Only what a person wrote of it, in few letters.
    pub(super) fn brief(&self) -> String {
        let by = self.instruction(true);
        let by = by.strip_suffix("# buildkit").unwrap_or(&by).trim_end();
        let by = match by.strip_prefix("/bin/sh -c ") {
            Some(classic) => match classic.strip_prefix("#(nop)") {
                Some(other) => other.trim_start().to_owned(),
                None => format!("RUN {classic}"),
            },
            None => by.replacen("RUN /bin/sh -c ", "RUN ", 1),
        };
        shorten(&by, BRIEF)
    }
}

/// What differs, in words: `with other mode and owner`.
pub(super) fn differs(differs: Differs) -> String {
    let all = [
        (differs.mode, "mode"),
        (differs.owner, "owner"),
        (differs.time, "time"),
        (differs.attributes, "attributes"),
    ];
    let names: Vec<&str> = all
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, n)| n)
        .collect();
    match names.split_last() {
        None => "unchanged".to_owned(),
        Some((last, [])) => format!("with other {last}"),
        Some((last, rest)) => format!("with other {} and {last}", rest.join(", ")),
    }
}

/// What a later layer did with it: `deleted`.
pub(super) fn how(how: How) -> String {
    match how {
        How::Deleted => "deleted".to_owned(),
        How::Moved => "moved".to_owned(),
        How::Changed => "replaced".to_owned(),
        How::Repeated(what) => format!("written again {}", differs(what)),
    }
}

/// Whether all of it was taken away by one layer in one way.
pub(super) fn is_gone_as_one(contents: &[Content<'_>]) -> bool {
    let some = contents.iter().filter(|c| c.file.size > 0);
    let mut ways = some.map(|c| c.gone.map(|g| (g.by, g.how)));
    ways.next()
        .flatten()
        .is_some_and(|first| ways.all(|way| way == Some(first)))
}

/// What became of contents, where not all of them are seen: `12MB deleted by layer 3: RUN rm x`.
pub(super) fn fate<'c, 'a: 'c>(
    contents: impl IntoIterator<Item = &'c Content<'a>>,
    layers: &[Layer],
) -> String {
    let mut groups: BTreeMap<(usize, How), u64> = BTreeMap::new();
    let mut all = 0;
    for content in contents.into_iter().filter(|c| c.file.size > 0) {
        all += content.file.size;
        if let Some(gone) = &content.gone {
            *groups.entry((gone.by, gone.how)).or_default() += content.file.size;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, bytes)| Reverse(*bytes));
    let mut told: Vec<String> = Vec::new();
    for ((by, way), bytes) in groups.iter().take(2) {
        let part = match *bytes == all {
            true => String::new(),
            false => format!("{} ", size(*bytes)),
        };
        let layer = layers.get(*by).map(Layer::brief).unwrap_or_default();
        told.push(format!("{part}{} by layer {}: {layer}", how(*way), by + 1));
    }
    if groups.len() > told.len() {
        told.push("…".to_owned());
    }
    told.join("; ")
}
