//! [`Index`]: digests of files that were read before, by what `stat` shows of them. What need not
//! be read again. No IO. It refuses to guess: whatever is in doubt is not in it.
//!
//! ```text
//! "kilnindx" version:u32 looked:i64 count:u64 record* blake3[32]          (little-endian)
//! record = device:u64 inode:u64 size:u64 mtime:i64 mtime_ns:u32 ctime:i64 ctime_ns:u32
//!          age:u8 digest[32] attributes:u16 (name_len:u16 name value_len:u32 value)*
//! ```

mod codec;

use std::collections::BTreeMap;

use kiln_image::{Algorithm, Digest};

use crate::{Error, Time};

/// Digests of files by device, inode, size, mtime and ctime: what need not be read again.
///
/// A file is found only while all five are what they were. The ctime is set by the kernel, at every
/// change, and by nobody else; so a file whose ctime was so young when it was read that a later
/// change could have got the same is not kept. Extended attributes are kept beside the digest,
/// because changing one changes the ctime too.
///
/// Made by [`Folder::scan_with`](crate::Folder::scan_with). For the folders of one machine: the
/// numbers of devices and inodes mean nothing on another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// In order of their keys.
    records: Vec<Record>,
    /// When the youngest of them was looked at, in seconds since 1970.
    looked: i64,
}

/// What `stat` shows of a file that cannot stay the same when the file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) ctime: Time,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) stamp: Stamp,
    pub(crate) digest: [u8; 32],
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many indexes were made since it was last seen.
    age: u8,
}

/// How many times an index is made anew without a file having been seen before it is forgotten: a
/// folder may be scanned by several Dockerfiles that select different files in turn.
const OLDEST: u8 = 16;

/// How many files an index has at most: about 80 MB. The oldest go.
const MOST: usize = 1_000_000;

impl Stamp {
    /// One number for a file of this machine, whatever is in it.
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether its ctime can be one that the kernel at hand has set. That of a whole second is from who
    /// made the file system, most likely: two images that were made alike, one mounted in the place of
    /// the other, show the same stamps whatever is in their files.
    pub(crate) fn is_of_a_clock(&self) -> bool {
        self.ctime.nanos != 0
    }

    /// Whether a change after `now`, when it was looked at, is sure to give another ctime.
    pub(crate) fn is_settled(&self, now: Time) -> bool {
        let nanos = |t: Time| i128::from(t.seconds) * 1_000_000_000 + i128::from(t.nanos);
        // Stamps are from a timer that ticks up to every 10 ms.
        nanos(now) - nanos(self.ctime) >= 100_000_000
    }
}

impl Record {
    /// A file that was read now; `digest` is a BLAKE3.
    pub(crate) fn new(stamp: Stamp, digest: &Digest, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self {
            stamp,
            digest: *digest.bytes(),
            xattrs,
            age: 0,
        }
    }

    /// The digest of the content.
    pub(crate) fn digest(&self) -> Digest {
        Digest::new(Algorithm::Blake3, self.digest)
    }
}

impl Index {
    /// Without any file.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many files it knows.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The index as bytes: versioned, checksummed.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The index that [`Index::encode`] gave as `bytes`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another version,
    /// [`Invalid`](crate::ErrorKind::Invalid) for bytes that were cut or changed. In either case it
    /// is right to go on with an empty one: then all is read again.
    pub fn decode(bytes: &[u8]) -> Result<Index, Error> {
        codec::decode(bytes)
    }

    /// Whether it is from a time that is yet to come: then the clock was set back, and what is young
    /// by it may be old.
    pub(crate) fn is_from_the_future(&self, now: Time) -> bool {
        self.looked > now.seconds
    }

    /// The place of the file with this stamp. `near` is where to look first, and is left behind the
    /// one that was found: files that were made in a row are asked for in a row.
    pub(crate) fn find(&self, stamp: &Stamp, near: &mut usize) -> Option<u32> {
        let is_it = |r: &Record| r.stamp.key() == stamp.key();
        let place = match self.records.get(*near).is_some_and(is_it) {
            true => *near,
            false => {
                let by = |r: &Record| r.stamp.key().cmp(&stamp.key());
                self.records.binary_search_by(by).ok()?
            }
        };
        *near = place + 1;
        let same = self.records[place].stamp == *stamp;
        same.then(|| u32::try_from(place).expect("there are at most `MOST` records"))
    }

    /// The file at a place.
    pub(crate) fn record(&self, place: u32) -> &Record {
        &self.records[place as usize]
    }

    /// This index after a look at `now` at the files in the places `seen`, and at the files `new`.
    pub(crate) fn after(&self, now: Time, seen: &[u32], mut new: Vec<Record>) -> Self {
        let mut old = self.records.clone();
        for record in &mut old {
            record.age = record.age.saturating_add(1);
        }
        for place in seen {
            old[*place as usize].age = 0;
        }
        // Of two with one key the new one comes first, and stays. The sort is stable.
        new.append(&mut old);
        new.sort_by_key(|r| r.stamp.key());
        new.dedup_by_key(|r| r.stamp.key());
        new.retain(|r| r.age <= OLDEST);
        if new.len() > MOST {
            new.sort_by_key(|r| r.age);
            new.truncate(MOST);
            new.sort_by_key(|r| r.stamp.key());
        }
        Self {
            records: new,
            looked: now.seconds.max(self.looked),
        }
    }
}

#[cfg(test)]
mod tests;
