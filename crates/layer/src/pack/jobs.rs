//! What there is to pack, cut into jobs: neighbours together, so that threads hand over pieces of the
//! tar and not files. No IO. The cut depends on the entries alone.

use std::ops::Range;

use super::{header::BLOCK, not_before, out_of_order, refuse_mark};
use crate::{Entry, Error, Kind, LayerPath};

/// One entry to pack.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) entry: &'a Entry,
    /// In which of the inputs its content is, and where in it.
    pub(super) input: usize,
    pub(super) source: &'a LayerPath,
    /// Where the same content is in the previous tar.
    pub(super) previous: Option<u64>,
}

impl<'a> Item<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        Self {
            entry,
            input: 0,
            source: &entry.path,
            previous: None,
        }
    }

    /// About how many bytes it becomes.
    pub(super) fn weight(&self) -> u64 {
        let size = self.entry.file().map_or(0, |file| file.size);
        (2 * BLOCK as u64).saturating_add(size)
    }
}

/// Cuts the items into jobs of about `most` bytes; a larger file has one of its own.
pub(super) fn cut(items: &[Item<'_>], most: u64) -> Vec<Range<usize>> {
    let mut jobs = Vec::new();
    let (mut start, mut sum) = (0, 0_u64);
    for (i, item) in items.iter().enumerate() {
        let weight = item.weight();
        if i > start && sum.saturating_add(weight) > most {
            jobs.push(start..i);
            (start, sum) = (i, 0);
        }
        sum = sum.saturating_add(weight);
    }
    if start < items.len() {
        jobs.push(start..items.len());
    }
    jobs
}

/// Refuses what cannot be an item of a tar at this place.
pub(super) fn check(items: &[Item<'_>], i: usize) -> Result<(), Error> {
    let (before, entry) = (&items[..i], items[i].entry);
    if before.last().is_some_and(|b| b.entry.path >= entry.path) {
        return Err(out_of_order(&entry.path));
    }
    refuse_mark(&entry.path)?;
    if let Kind::Hardlink { target } = &entry.kind {
        let found = before.binary_search_by(|item| item.entry.path.cmp(target));
        if found.map_or(true, |at| before[at].entry.file().is_none()) {
            return Err(not_before(target, &entry.path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{File, Meta};

    #[test]
    fn jobs_have_about_one_size_and_all_items() {
        let entries: Vec<_> = [0, 100, 600, 5000, 0, 1, u64::MAX, 3]
            .iter()
            .enumerate()
            .map(|(i, size)| Entry {
                path: format!("f{i}").parse().unwrap(),
                meta: Meta::default(),
                kind: Kind::File(File::unread(*size)),
            })
            .collect();
        let items: Vec<_> = entries.iter().map(Item::of).collect();
        let jobs = cut(&items, 2560);
        assert_eq!(jobs, [0..2, 2..3, 3..4, 4..6, 6..7, 7..8]);
        assert!(cut(&[], 1).is_empty());
    }
}
