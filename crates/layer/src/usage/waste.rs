//! What need not be there: [`Waste`], bytes that nobody sees in the end, and [`Duplicate`], a
//! content that is seen more than once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use kiln_image::Digest;

use super::{Content, How, Place};

/// What one layer took away from another in one way.
#[derive(Clone, Debug)]
pub struct Waste<'a> {
    /// The layer that wrote it.
    pub layer: usize,
    /// The layer that took it away.
    pub by: usize,
    /// How.
    pub how: How,
    /// How many bytes.
    pub bytes: u64,
    /// Which contents, by path.
    pub contents: Vec<Content<'a>>,
}

impl<'a> Waste<'a> {
    /// Where it was: the folders (or files) that hold all of it, at most `most` of them, the
    /// largest first.
    pub fn places(&self, most: usize) -> Vec<Place<'_, 'a>> {
        Place::root(&self.contents).split(most)
    }
}

/// A content that is seen more than once.
#[derive(Clone, Debug)]
pub struct Duplicate<'a> {
    /// How many bytes all but one of them have.
    pub bytes: u64,
    /// Each of them, by layer, then by path.
    pub contents: Vec<Content<'a>>,
}

impl Content<'_> {
    /// Whether its digest says which content it is, and that matters.
    pub(super) fn is_told_apart(&self) -> bool {
        self.file.size > 0 && !self.file.is_unread()
    }
}

pub(super) fn wastes<'a>(contents: &[Content<'a>]) -> Vec<Waste<'a>> {
    let mut groups: BTreeMap<_, Vec<Content<'a>>> = BTreeMap::new();
    for content in contents.iter().filter(|c| c.file.size > 0) {
        if let Some(gone) = &content.gone {
            let group = groups.entry((content.layer, gone.by, gone.how));
            group.or_default().push(*content);
        }
    }
    let waste = |((layer, by, how), contents): (_, Vec<Content<'a>>)| Waste {
        layer,
        by,
        how,
        bytes: contents.iter().map(|c| c.file.size).sum(),
        contents,
    };
    let mut wastes: Vec<_> = groups.into_iter().map(waste).collect();
    wastes.sort_by_key(|w| Reverse(w.bytes));
    wastes
}

pub(super) fn duplicates<'a>(contents: &[Content<'a>]) -> Vec<Duplicate<'a>> {
    let mut same: HashMap<Digest, Vec<Content<'a>>> = HashMap::new();
    let seen = contents.iter().filter(|c| c.gone.is_none());
    for content in seen.filter(|c| c.is_told_apart()) {
        same.entry(content.file.digest).or_default().push(*content);
    }
    let several = same.into_values().filter(|contents| contents.len() > 1);
    let mut duplicates: Vec<_> = several
        .map(|contents| Duplicate {
            bytes: contents.iter().skip(1).map(|c| c.file.size).sum(),
            contents,
        })
        .collect();
    let order = |d: &Duplicate<'a>| {
        let first = &d.contents[0];
        (Reverse(d.bytes), first.layer, first.entry.path.clone())
    };
    duplicates.sort_by_cached_key(order);
    duplicates
}
