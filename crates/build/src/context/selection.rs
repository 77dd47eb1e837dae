//! Which paths a COPY's patterns mean: while a folder is scanned, and in a tree that was. Patterns
//! match component by component; `**` is one for a COPY with `--parents` only. Knows no disk.

mod exclude;
mod pattern;
mod seen;

use kiln_graph::Select;
use kiln_layer::{Files, Keep, LayerPath, Root};
use kiln_parser::glob::has_magic;

use crate::{Error, ErrorKind};
pub(crate) use exclude::Exclude;
use pattern::Pattern;
pub(crate) use seen::digest;

/// Patterns, ready to match.
#[derive(Debug)]
pub(crate) struct Selection {
    patterns: Vec<Pattern>,
    /// What the selected ones led to by links: nothing of it is left out.
    more: Vec<Pattern>,
    exclude: Exclude,
    deep: bool,
}

/// How a path stands to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is selected, and so is what is in it.
    Selected,
    /// Something in it may be.
    Above,
    /// Neither.
    Outside,
}

impl Selection {
    /// From what an instruction selects, where no pattern selects everything; and paths and patterns
    /// that are selected besides.
    pub(crate) fn new(select: &Select, more: &[String]) -> Result<Self, Error> {
        let parse = |p: &String| Pattern::new(p, select.deep);
        let patterns: Vec<Pattern> = select
            .patterns
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patterns: match patterns.is_empty() {
                true => vec![Pattern::default()],
                false => patterns,
            },
            more: more.iter().map(parse).collect::<Result<_, _>>()?,
            exclude: Exclude::new(&select.exclude)?,
            deep: select.deep,
        })
    }

    /// Whether all paths are selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.exclude.is_empty() && self.patterns.iter().any(Pattern::is_root)
    }

    /// How `path` stands to it.
    pub(crate) fn fit(&self, path: &LayerPath, is_folder: bool) -> Fit {
        let mut best = Fit::Outside;
        for pattern in &self.patterns {
            match pattern.fit(path) {
                (Fit::Selected, depth) => match self.left_out(pattern, path, depth, is_folder) {
                    Keep::Yes => return Fit::Selected,
                    Keep::Look => best = Fit::Above,
                    Keep::No => {}
                },
                (Fit::Above, _) => best = Fit::Above,
                (Fit::Outside, _) => {}
            }
        }
        for pattern in &self.more {
            match pattern.fit(path).0 {
                Fit::Selected => return Fit::Selected,
                Fit::Above => best = Fit::Above,
                Fit::Outside => {}
            }
        }
        best
    }

    /// Whether a path beneath what a pattern matches is taken. What matches itself always is: by
    /// which name it is known is seen when it is copied.
    fn left_out(&self, of: &Pattern, path: &LayerPath, depth: usize, is_folder: bool) -> Keep {
        if self.exclude.is_empty() {
            return Keep::Yes;
        }
        let above = match self.deep {
            true => of.fixed_base(),
            false => Some(depth),
        };
        let inner = above.and_then(|above| beneath(path, above));
        match inner {
            Some(inner) if path.depth() > depth => self.exclude.keep(&inner, is_folder),
            _ => Keep::Yes,
        }
    }
}

/// What remains of a path without its first components; `None` where nothing does.
fn beneath(path: &LayerPath, components: usize) -> Option<LayerPath> {
    let names: Vec<&[u8]> = path.components().skip(components).collect();
    LayerPath::parse(names.join(&b'/'))
        .ok()
        .filter(|p| !p.is_root())
}

/// Whether a pattern has a wildcard.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern.split('/').any(has_magic)
}

/// The folders that a pattern begins with before its first wildcard, and the rest of its text.
pub(crate) fn literal_part(pattern: &str) -> (LayerPath, String) {
    let mut names = pattern
        .split('/')
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .peekable();
    let mut literal = LayerPath::root();
    while let Some(name) = names.next_if(|name| !has_magic(name)) {
        // One that is too long is of no path: what is not found is told where it is asked for.
        literal = literal.join(name).unwrap_or(literal);
    }
    (literal, names.collect::<Vec<_>>().join("/"))
}

/// A name as a pattern that means it. What is no UTF-8 in it becomes a wildcard.
pub(crate) fn literally(name: &[u8]) -> String {
    let mut pattern = String::new();
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '*' | '?' | '[' | '\\' => pattern.extend(['\\', c]),
            char::REPLACEMENT_CHARACTER => pattern.push('?'),
            c => pattern.push(c),
        }
    }
    pattern
}

/// A path that a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The path, as the pattern has it: links on the way are not followed.
    pub(crate) path: LayerPath,
    /// Of a deep pattern: the folder from which on its names are kept.
    pub(crate) base: Option<LayerPath>,
}

/// The paths of `root` that one source of a COPY means: itself where it has no wildcard, else all
/// that match, in order. A literal is not looked up. Links are followed in the folders that are
/// written out, and nowhere else.
pub(crate) fn expand(root: &Root, source: &str, deep: bool) -> Result<Vec<Found>, Error> {
    let pattern = Pattern::new(source, deep)?;
    let literal = pattern.literal().map_err(|e| {
        Error::new(ErrorKind::Input, format!("path `{source}`")).because(e.to_string())
    })?;
    let found = |path: LayerPath| -> Result<Found, Error> {
        let base = deep.then(|| first(&path, pattern.base_of(&path)));
        Ok(Found { path, base })
    };
    if !pattern.is_magic() {
        return Ok(vec![found(literal)?]);
    }
    let Ok(above) = root.resolve(&literal) else {
        return Ok(Vec::new());
    };
    let mut all: Vec<Found> = Vec::new();
    for entry in root.tree().within(&above.path) {
        let Some(inner) = entry.path.strip(&above.path) else {
            continue;
        };
        let path = literal.append(&inner)?;
        // What is in a folder that matches comes with it.
        if let (Fit::Selected, depth) = pattern.fit(&path)
            && depth == path.depth()
        {
            all.push(found(path)?);
        }
    }
    Ok(all)
}

/// The first components of a path.
fn first(path: &LayerPath, components: usize) -> LayerPath {
    path.ancestors()
        .find(|above| above.depth() == components)
        .unwrap_or_else(|| path.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
