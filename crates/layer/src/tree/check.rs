//! Whether the paths of a stored tree are paths, in order, and as much shared as can be; and what else
//! is to be known of a tree as a whole. Allocates for hard links only.

use super::read::{Bad, Raw, RawKind};
use crate::path::{are_names, is_within, order, rank};

/// Looks at all entries of a tree in turn.
#[derive(Default)]
pub(super) struct Check {
    path: Vec<u8>,
    /// Whether the entry before is something, and nothing can be inside it.
    is_leaf: bool,
    is_behind: bool,
    is_untidy: bool,
    links: Vec<Vec<u8>>,
}

impl Check {
    /// Takes the next entry, the first of a block or not.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[inline]
    pub(super) fn entry(&mut self, raw: &Raw<'_>, is_first: bool) -> Result<(), Bad> {
        let shared = raw.shared;
        if is_first {
            if shared != 0 {
                return Err("a block shares a path with the one before");
            }
            if self.is_behind && order(&self.path, raw.rest).is_ge() {
                return Err("its paths are out of order");
            }
            self.is_untidy |= self.is_leaf && is_within(raw.rest, &self.path);
        } else {
            // That the next bytes differ is both: in order, and as much shared as can be.
            let next = (self.path.get(shared), raw.rest.first());
            match next {
                (None, Some(b)) if shared == self.path.len() => {
                    let is_inside = *b == b'/' || self.path.is_empty();
                    self.is_untidy |= self.is_leaf && is_inside;
                }
                (Some(a), Some(b)) if rank(*a) < rank(*b) => {}
                _ => return Err("its paths are out of order"),
            }
        }
        raw.path(&mut self.path);
        self.names(shared)?;
        self.is_behind = true;
        self.kind(&raw.kind)
    }

    /// The components from that on in which the byte `from` is.
    #[inline]
    fn names(&self, from: usize) -> Result<(), Bad> {
        let path = &self.path[..];
        let start = path[..from].iter().rposition(|b| *b == b'/');
        let start = start.map_or(0, |slash| slash + 1);
        match path.is_empty() || are_names(path, start) {
            true => Ok(()),
            false => Err("a path is not normalised, or beyond the limits"),
        }
    }

    #[inline]
    fn kind(&mut self, kind: &RawKind<'_>) -> Result<(), Bad> {
        self.is_leaf = !matches!(kind, RawKind::Dir { .. });
        self.is_untidy |= self.is_leaf && self.path.is_empty();
        if let RawKind::Hardlink(target) = kind {
            if !target.is_empty() && !are_names(target, 0) {
                return Err("a path is not normalised, or beyond the limits");
            }
            self.is_untidy |= order(target, &self.path).is_ge();
            self.links.push(target.to_vec());
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Found {
        Found {
            is_tidy: !self.is_untidy,
            links: self.links,
        }
    }
}

/// What was seen of a tree that is well-formed.
pub(super) struct Found {
    /// Whether nothing lies inside what is not a folder, and links come after what they name.
    pub(super) is_tidy: bool,
    /// What its hard links name.
    pub(super) links: Vec<Vec<u8>>,
}
