//! One pattern of a COPY: matched component by component, as Go's `filepath.Match` does; where it is
//! deep, `**` stands for any number of folders. Knows no disk.

use kiln_layer::LayerPath;
use kiln_parser::glob;

use super::Fit;
use crate::{Error, ErrorKind};

/// A pattern, ready to match.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// How many of the parts are before its `/./`.
    base: usize,
}

#[derive(Debug)]
enum Part {
    Literal(Vec<u8>),
    Magic(glob::Pattern),
    /// `**`
    Deep,
}

impl Pattern {
    /// From its text; `..` stays at the root.
    pub(super) fn new(text: &str, deep: bool) -> Result<Self, Error> {
        let mut pattern = Self::default();
        for name in text.split('/') {
            match name {
                "." if deep && pattern.base == 0 => pattern.base = pattern.parts.len(),
                "" | "." | ".." => {}
                "**" if deep => pattern.parts.push(Part::Deep),
                name => pattern.parts.push(Part::new(name, text)?),
            }
        }
        // What is in a folder, and not the folder itself.
        if let Some(Part::Deep) = pattern.parts.last() {
            pattern.parts.push(Part::new("*", text)?);
        }
        Ok(pattern)
    }

    /// Whether it is the root itself.
    pub(super) fn is_root(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether it has a wildcard.
    pub(super) fn is_magic(&self) -> bool {
        !self.parts.iter().all(|p| matches!(p, Part::Literal(_)))
    }

    /// The folders, or the path, that it begins with before the first wildcard.
    pub(super) fn literal(&self) -> Result<LayerPath, Error> {
        let mut path = LayerPath::root();
        for part in &self.parts {
            match part {
                Part::Literal(name) => path = path.join(name)?,
                _ => break,
            }
        }
        Ok(path)
    }

    /// How `path` stands to it; where it is selected, also how many of its components are the match.
    pub(super) fn fit(&self, path: &LayerPath) -> (Fit, usize) {
        match self.parts.iter().any(|part| matches!(part, Part::Deep)) {
            true => self.fit_deep(path),
            false => self.fit_flat(path),
        }
    }

    fn fit_flat(&self, path: &LayerPath) -> (Fit, usize) {
        let mut parts = self.parts.iter();
        for name in path.components() {
            match parts.next() {
                None => return (Fit::Selected, self.parts.len()),
                Some(part) if part.matches(name) => {}
                Some(_) => return (Fit::Outside, 0),
            }
        }
        match parts.next() {
            None => (Fit::Selected, self.parts.len()),
            Some(_) => (Fit::Above, 0),
        }
    }

    fn fit_deep(&self, path: &LayerPath) -> (Fit, usize) {
        let mut states = States::at_first(&self.parts);
        for (depth, name) in path.components().enumerate() {
            if states.are_last() {
                return (Fit::Selected, depth);
            }
            states.step(name);
            if states.is_empty() {
                return (Fit::Outside, 0);
            }
        }
        match states.are_last() {
            true => (Fit::Selected, path.depth()),
            false => (Fit::Above, 0),
        }
    }

    /// How many components of `path`, which it matches, are before the `/./`: as few as can be.
    pub(super) fn base_of(&self, path: &LayerPath) -> usize {
        let (base, rest) = self.parts.split_at(self.base);
        let names: Vec<&[u8]> = path.components().collect();
        let all = |parts, names: &[&[u8]]| {
            let mut states = States::at_first(parts);
            names.iter().for_each(|name| states.step(name));
            states.are_last()
        };
        let fits = |n: &usize| all(base, &names[..*n]) && all(rest, &names[*n..]);
        (0..=names.len()).find(fits).unwrap_or(0)
    }

    /// How many components are before its `/./`, where that is the same for all paths.
    pub(super) fn fixed_base(&self) -> Option<usize> {
        let base = &self.parts[..self.base];
        let is_deep = |part: &Part| matches!(part, Part::Deep);
        (!base.iter().any(is_deep)).then_some(self.base)
    }
}

impl Part {
    fn new(part: &str, pattern: &str) -> Result<Self, Error> {
        if !glob::has_magic(part) {
            return Ok(Part::Literal(part.as_bytes().to_vec()));
        }
        glob::Pattern::new(part).map(Part::Magic).map_err(|e| {
            Error::new(ErrorKind::Input, format!("pattern `{pattern}`")).because(e.to_string())
        })
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Part::Literal(literal) => literal == name,
            Part::Magic(pattern) => pattern.matches(&String::from_utf8_lossy(name)),
            Part::Deep => true,
        }
    }
}

/// The places in a pattern at which a path may be: before which of the parts.
struct States<'a> {
    parts: &'a [Part],
    /// In order, each once.
    at: Vec<usize>,
}

impl<'a> States<'a> {
    fn at_first(parts: &'a [Part]) -> Self {
        let mut states = Self {
            parts,
            at: Vec::new(),
        };
        states.put(0);
        states
    }

    /// Puts a place, and those behind a `**`, which may stand for nothing.
    fn put(&mut self, mut at: usize) {
        loop {
            if !self.at.contains(&at) {
                self.at.push(at);
            }
            match self.parts.get(at) {
                Some(Part::Deep) => at += 1,
                _ => return,
            }
        }
    }

    fn step(&mut self, name: &[u8]) {
        for at in std::mem::take(&mut self.at) {
            match self.parts.get(at) {
                Some(Part::Deep) => self.put(at),
                Some(part) if part.matches(name) => self.put(at + 1),
                _ => {}
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Whether all of the pattern matched.
    fn are_last(&self) -> bool {
        self.at.contains(&self.parts.len())
    }
}
