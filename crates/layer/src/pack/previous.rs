//! Contents from a tar that was packed before, instead of from the files. Trusts nothing of it: what
//! is taken has the digest that is asked for, and headers are always written anew.
//!
//! Checking costs about as much as the SHA-256 of the same bytes, on other cores; reading the files
//! costs twice as much. Without it, a tar that was damaged on disk would come into a new layer whose
//! tree, and whose place in the build cache, say something else.

use std::fs::File;

use super::{Previous, jobs::Item};
use crate::{disk::read_at, tree::blake3_of};

/// How much is read at once.
const WINDOW: u64 = 256 << 10;
/// How much may lie between two contents that are read at once: headers, or a few files that went.
const GAP: u64 = 16 << 10;

/// Says of each item where the previous tar has its content: under the same path, with the same size
/// and the same digest.
pub(super) fn find(items: &mut [Item<'_>], previous: &Previous<'_>) {
    let mut old = previous.tree.iter().peekable();
    for item in items {
        let Some(file) = item.entry.file() else {
            continue;
        };
        while old.next_if(|o| o.path < item.entry.path).is_some() {}
        let Some(there) = old.next_if(|o| o.path == item.entry.path) else {
            continue;
        };
        item.previous = there
            .file()
            .filter(|o| o.size == file.size && o.digest == file.digest)
            .filter(|o| !o.is_unread() && !o.is_sparse())
            .map(|o| o.offset);
    }
}

/// What was read of the tar last.
pub(super) struct Window<'a> {
    tar: &'a File,
    bytes: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(tar: &'a File) -> Self {
        Self {
            tar,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Puts the content of the first of `items` into `to`, which is as long, if the tar has it. What
    /// is known of the other items says how much to read at once.
    pub(super) fn take(&mut self, items: &[Item<'_>], to: &mut [u8]) -> bool {
        let Some((offset, digest)) = items
            .first()
            .and_then(|item| Some((item.previous?, item.entry.file()?.digest)))
        else {
            return false;
        };
        if self.within(offset, to.len()).is_none() {
            self.read(offset, items);
        }
        let Some(found) = self.within(offset, to.len()) else {
            return false;
        };
        to.copy_from_slice(found);
        blake3_of(to) == digest
    }

    fn within(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..at.checked_add(len)?)
    }

    /// Reads from `offset` to the end of the last item that is close enough, or as far as it can.
    fn read(&mut self, offset: u64, items: &[Item<'_>]) {
        let mut end = offset;
        for item in items {
            let (Some(at), Some(file)) = (item.previous, item.entry.file()) else {
                continue;
            };
            let near = end..=end.saturating_add(GAP);
            let after = at.saturating_add(file.size);
            if !near.contains(&at) || (end > offset && after - offset > WINDOW) {
                break;
            }
            end = after;
        }
        let want = usize::try_from(end - offset).unwrap_or(0);
        self.start = offset;
        self.bytes.resize(want, 0);
        let mut filled = 0;
        while filled < want {
            match read_at(self.tar, &mut self.bytes[filled..], offset + filled as u64) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // The file itself is still there.
                Ok(0) | Err(_) => break,
                Ok(n) => filled += n,
            }
        }
        self.bytes.truncate(filled);
    }
}
