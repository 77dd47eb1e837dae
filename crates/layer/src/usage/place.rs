//! [`Place`]: a folder or a file of a layer, with all contents in it.

use super::{Content, Sum};
use crate::LayerPath;

/// A folder of a layer and the contents in it, or one file.
#[derive(Clone, Copy, Debug)]
pub struct Place<'u, 'a> {
    /// Those in it, by path.
    contents: &'u [Content<'a>],
    depth: usize,
}

impl<'u, 'a> Place<'u, 'a> {
    /// The root, with `contents` (by path) in it.
    pub(super) fn root(contents: &'u [Content<'a>]) -> Self {
        Self { contents, depth: 0 }
    }

    /// Where it is. The root for a layer without contents.
    pub fn path(&self) -> LayerPath {
        let Some(first) = self.contents.first() else {
            return LayerPath::root();
        };
        let path = &first.entry.path;
        let above = path.ancestors().nth(self.depth);
        above.unwrap_or_else(|| path.clone())
    }

    /// The content, where it is a file and no folder.
    pub fn file(&self) -> Option<&'u Content<'a>> {
        let first = self.contents.first()?;
        (first.entry.path.depth() <= self.depth).then_some(first)
    }

    /// The contents in it, by path.
    pub fn contents(&self) -> &'u [Content<'a>] {
        self.contents
    }

    /// How many bytes it holds, and what became of them.
    pub fn sum(&self) -> Sum {
        self.contents.iter().collect()
    }

    /// What is directly in it, by path; nothing in a file. Folders without contents are left out.
    pub fn inside(&self) -> Vec<Self> {
        if self.file().is_some() {
            return Vec::new();
        }
        let chunks = self.contents.chunk_by(|a, b| {
            let (mut a, mut b) = (a.entry.path.components(), b.entry.path.components());
            a.nth(self.depth) == b.nth(self.depth)
        });
        let depth = self.depth + 1;
        chunks.map(|contents| Self { contents, depth }).collect()
    }

    /// The first folder on the way down that holds more than one thing, or the one file.
    #[must_use]
    pub fn narrowed(mut self) -> Self {
        // By paths the first and the last are the furthest apart.
        let [first, .., last] = self.contents else {
            let only = self.contents.first();
            self.depth = only.map_or(self.depth, |c| c.entry.path.depth());
            return self;
        };
        let (first, last) = (&first.entry.path, &last.entry.path);
        let pairs = first.components().zip(last.components());
        self.depth = pairs.take_while(|(a, b)| a == b).count();
        self
    }

    /// As many places as can be told apart, at most `most`, that hold all of it, the largest first:
    /// these are looked into before others.
    pub(super) fn split(self, most: usize) -> Vec<Self> {
        let mut done = Vec::new();
        let mut open = vec![self.narrowed()];
        while let Some(largest) = take_largest(&mut open) {
            let inside = largest.inside();
            match inside.is_empty() || done.len() + open.len() + inside.len() > most {
                true => done.push(largest),
                false => open.extend(inside.into_iter().map(Self::narrowed)),
            }
        }
        done
    }
}

fn take_largest<'u, 'a>(places: &mut Vec<Place<'u, 'a>>) -> Option<Place<'u, 'a>> {
    let all = places.iter().enumerate();
    let (largest, _) = all.max_by_key(|(i, p)| (p.sum().bytes, std::cmp::Reverse(*i)))?;
    Some(places.remove(largest))
}
