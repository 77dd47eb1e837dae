//! A stored tree as it lies in a file: checked whole when it is loaded, decoded block by block when
//! it is looked at. Trusts nothing, the checksum included.
//!
//! ```text
//! "kilntree" version:u32le count:u64le tidy:u8 block* (offset:u64le)* blake3[32]
//! block = up to 64 entries; the first shares nothing with what is before the block
//! entry = head:u8 shared_len rest_len rest mode:u16le [uid gid] seconds [nanos:u32le] [xattrs] fields
//! head  = kind:4 owner:1 nanos:1 xattrs:1
//! ```
//!
//! Numbers and lengths are varints, as short as they can be. An owner is written where it is another
//! than that of the entry before; seconds are the difference to it; a file's offset is the difference
//! to where a tar without extended headers would have it. There is one way to write a tree: every
//! other is refused, so that equal trees have equal bytes.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    ops::Deref,
};

use kiln_image::{Algorithm, Digest};

use super::{
    blocks::BLOCK,
    check::{Check, Found},
    read::{Block, Input},
};
use crate::{Entry, Error};

pub(super) const MAGIC: &[u8; 8] = b"kilntree";
pub(super) const VERSION: u32 = 2;
/// Magic, version, count, tidy.
pub(super) const HEAD: usize = 8 + 4 + 8 + 1;
pub(super) const SUM: usize = 32;
/// A file of fewer bytes is read: a mapping costs more.
const MAPPED: u64 = 64 << 10;

/// The bytes of a file that nobody writes to, or of somebody who gave them.
#[derive(Debug)]
pub(super) enum Bytes {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Bytes {
    pub(super) fn of(mut file: &File) -> Result<Self, Error> {
        let on = |e| Error::io("read a stored tree", e);
        let size = file.metadata().map_err(on)?.len();
        if size < MAPPED {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
            file.rewind().map_err(on)?;
            file.read_to_end(&mut bytes).map_err(on)?;
            return Ok(Bytes::Read(bytes));
        }
        // All of it is looked at now, for its checksum: one call instead of a fault a page.
        #[allow(unsafe_code, reason = "a mapping, whose file must not change")]
        // SAFETY: the caller of `Tree::map` vouches for the file: it was renamed into its place when
        // it was whole, and is never written or cut afterwards, only replaced or removed.
        let map = unsafe { memmap2::MmapOptions::new().populate().map(file) };
        Ok(Bytes::Mapped(map.map_err(on)?))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

/// The bytes of a stored tree, checked.
#[derive(Debug)]
pub(super) struct Stored {
    bytes: Bytes,
    /// The BLAKE3 of all bytes.
    pub(super) digest: Digest,
    pub(super) is_tidy: bool,
    pub(super) len: usize,
    /// Where the table of blocks begins; it reaches to the checksum.
    table: usize,
}

impl Stored {
    /// Checks `bytes`, which begin as a tree of this version. Whether a tidy tree has what its links
    /// name is left to the caller.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when they are not what was written.
    pub(super) fn check(bytes: Bytes) -> Result<(Self, Found), Error> {
        let digest = summed(&bytes)?;
        let body = bytes.len() - SUM;
        let head = bytes
            .get(..HEAD)
            .ok_or_else(|| invalid("it is cut short"))?;
        let (count, tidy) = (&head[12..20], head[20]);
        let len = usize::try_from(u64_of(count)).map_err(|_| invalid("it claims too much"))?;
        let table = len.div_ceil(BLOCK).checked_mul(8);
        let table = table.and_then(|size| body.checked_sub(size));
        let table = table.filter(|at| *at >= HEAD);
        let table = table.ok_or_else(|| invalid("it claims more entries than it has"))?;
        let stored = Self {
            bytes,
            digest,
            is_tidy: tidy == 1,
            len,
            table,
        };
        if tidy > 1 {
            return Err(invalid("it is of an unknown kind"));
        }
        let found = stored.check_blocks().map_err(invalid)?;
        Ok((stored, found))
    }

    fn check_blocks(&self) -> Result<Found, &'static str> {
        let mut check = Check::default();
        let mut at = HEAD;
        for i in 0..self.blocks() {
            if self.offset(i) != Some(at) {
                return Err("its table of blocks does not fit");
            }
            let mut block = Block::new(&self.bytes[at..self.table]);
            for n in 0..BLOCK.min(self.len - i * BLOCK) {
                check.entry(&block.next()?, n == 0)?;
            }
            at = self.table - block.left();
        }
        if at != self.table {
            return Err("there is more behind its last entry");
        }
        Ok(check.finish())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }

    fn offset(&self, block: usize) -> Option<usize> {
        let at = self.table + block * 8;
        usize::try_from(u64_of(&self.bytes[at..at + 8])).ok()
    }

    /// A block's bytes, and more behind them.
    fn from(&self, block: usize) -> &[u8] {
        let at = self.offset(block).unwrap_or(self.table);
        self.bytes.get(at..self.table).unwrap_or_default()
    }

    /// The path of a block's first entry.
    pub(super) fn first(&self, block: usize) -> &[u8] {
        // The head, and that it shares nothing, are a byte each.
        let mut input = Input(self.from(block).get(2..).unwrap_or_default());
        input.bytes().unwrap_or_default()
    }

    /// The entries of a block.
    pub(super) fn block(&self, block: usize) -> Vec<Entry> {
        let mut input = Block::new(self.from(block));
        let mut path = Vec::new();
        (0..BLOCK.min(self.len - block * BLOCK))
            .map(|_| {
                let raw = input.next();
                let raw = raw.expect("it was checked when it was loaded, and nobody writes to it");
                raw.path(&mut path);
                raw.entry(&path)
            })
            .collect()
    }
}

/// The BLAKE3 of all `bytes`, whose last 32 are that of those before.
pub(super) fn summed(bytes: &[u8]) -> Result<Digest, Error> {
    let body = bytes.len().checked_sub(SUM);
    let (body, sum) = bytes.split_at(body.ok_or_else(|| invalid("it is cut short"))?);
    let mut hasher = blake3::Hasher::new();
    hasher.update(body);
    if hasher.finalize().as_bytes() != sum {
        return Err(invalid("its checksum is not that of its bytes"));
    }
    hasher.update(sum);
    Ok(Digest::new(
        Algorithm::Blake3,
        *hasher.finalize().as_bytes(),
    ))
}

fn u64_of(bytes: &[u8]) -> u64 {
    let bytes = bytes.first_chunk().expect("the slice is eight bytes long");
    u64::from_le_bytes(*bytes)
}

pub(super) fn invalid(why: &str) -> Error {
    Error::invalid(format!("stored tree: {why}"))
}
