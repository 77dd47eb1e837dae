//! Files of a layer that have the content of those below, and differ in nothing but mode, owner, time
//! or attributes: what a `chmod -R` or `chown -R` of big files costs. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use kiln_layer::{Entry, Meta, Root, Tree, keeps_attribute};

/// Content that a layer has although the layers below have it at the same paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// How many files it is in.
    pub files: u64,
    /// How much it is, in bytes.
    pub bytes: u64,
    /// Whether a mode is another than below.
    pub mode: bool,
    /// Whether an owner or group is.
    pub owner: bool,
    /// Whether a time is.
    pub time: bool,
    /// Whether an extended attribute is.
    pub attributes: bool,
}

impl Repeated {
    /// From how many bytes on it is worth telling: 10 MiB.
    pub const LEAST: u64 = 10 << 20;

    /// What `layer` repeats of `lower`, where that is worth telling.
    pub(crate) fn of(layer: &Tree, lower: &Root) -> Option<Self> {
        let size = |entry: &Entry| entry.file().map_or(0, |file| file.size);
        if layer.iter().map(size).sum::<u64>() < Self::LEAST {
            return None;
        }
        let mut repeated = Self::default();
        for entry in layer.iter() {
            let Some(file) = entry.file().filter(|file| file.size > 0) else {
                continue;
            };
            let Some(below) = lower.lookup(&entry.path) else {
                continue;
            };
            let known = below.file().is_some_and(|it| it.digest == file.digest);
            if known {
                repeated.add(file.size, &entry.meta, &below.meta);
            }
        }
        (repeated.bytes >= Self::LEAST).then_some(repeated)
    }

    fn add(&mut self, size: u64, meta: &Meta, below: &Meta) {
        self.files += 1;
        self.bytes += size;
        self.mode |= meta.mode != below.mode;
        self.owner |= (meta.uid, meta.gid) != (below.uid, below.gid);
        self.time |= meta.mtime != below.mtime;
        self.attributes |= kept(meta) != kept(below);
    }
}

/// The attributes that a layer can get from a disk.
fn kept(meta: &Meta) -> BTreeMap<&[u8], &[u8]> {
    let all = meta.xattrs.iter();
    let kept = all.filter(|(name, _)| keeps_attribute(name));
    kept.map(|(name, value)| (&name[..], &value[..])).collect()
}
