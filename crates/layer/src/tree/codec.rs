//! The stored form of a [`Tree`]: varints, paths by what they share with the one before, a BLAKE3
//! at the end. Decoding trusts nothing, the checksum included.
//!
//! ```text
//! "kilntree" version:u32le count entry* blake3[32]
//! entry = shared_len rest_len rest mode uid gid seconds(zigzag) nanos
//!         xattrs_count (name_len name value_len value)* kind:u8 fields
//! ```

use std::sync::Arc;

use kiln_image::{Algorithm, Digest};

use super::{Tree, blake3_of};
use crate::{Entry, Error, ErrorKind, File, Kind, LayerPath, Meta, Time};

const MAGIC: &[u8; 8] = b"kilntree";
const VERSION: u32 = 1;
const SUM: usize = 32;

mod tag {
    pub(super) const FILE: u8 = 0;
    pub(super) const FILE_INLINE: u8 = 1;
    pub(super) const DIR: u8 = 2;
    pub(super) const DIR_OPAQUE: u8 = 3;
    pub(super) const SYMLINK: u8 = 4;
    pub(super) const HARDLINK: u8 = 5;
    pub(super) const CHAR: u8 = 6;
    pub(super) const BLOCK: u8 = 7;
    pub(super) const FIFO: u8 = 8;
    pub(super) const WHITEOUT: u8 = 9;
}

pub(super) fn encode(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + tree.len() * 72);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    number(&mut out, tree.len() as u64);
    let mut before = LayerPath::root();
    for entry in tree.iter() {
        let (a, b) = (before.as_bytes(), entry.path.as_bytes());
        let shared = a.iter().zip(b).take_while(|(x, y)| x == y).count();
        number(&mut out, shared as u64);
        bytes(&mut out, &b[shared..]);
        meta(&mut out, &entry.meta);
        kind(&mut out, &entry.kind);
        before = entry.path.clone();
    }
    let sum = blake3_of(&out);
    out.extend_from_slice(sum.bytes());
    out
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, b: &[u8]) {
    number(out, b.len() as u64);
    out.extend_from_slice(b);
}

fn meta(out: &mut Vec<u8>, m: &Meta) {
    number(out, u64::from(m.mode));
    number(out, u64::from(m.uid));
    number(out, u64::from(m.gid));
    let s = m.mtime.seconds;
    number(out, ((s << 1) ^ (s >> 63)) as u64);
    number(out, u64::from(m.mtime.nanos));
    number(out, m.xattrs.len() as u64);
    for (name, value) in &m.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
}

fn kind(out: &mut Vec<u8>, k: &Kind) {
    let device = |out: &mut Vec<u8>, tag, major: u32, minor: u32| {
        out.push(tag);
        number(out, u64::from(major));
        number(out, u64::from(minor));
    };
    match k {
        Kind::File(file) => {
            out.push(match file.inline {
                Some(_) => tag::FILE_INLINE,
                None => tag::FILE,
            });
            number(out, file.size);
            number(out, file.offset);
            out.push(match file.digest.algorithm() {
                Algorithm::Sha256 => 1,
                _ => 0,
            });
            out.extend_from_slice(file.digest.bytes());
            if let Some(content) = &file.inline {
                bytes(out, content);
            }
        }
        Kind::Dir { opaque: false } => out.push(tag::DIR),
        Kind::Dir { opaque: true } => out.push(tag::DIR_OPAQUE),
        Kind::Symlink { target } => {
            out.push(tag::SYMLINK);
            bytes(out, target);
        }
        Kind::Hardlink { target } => {
            out.push(tag::HARDLINK);
            bytes(out, target.as_bytes());
        }
        Kind::Char { major, minor } => device(out, tag::CHAR, *major, *minor),
        Kind::Block { major, minor } => device(out, tag::BLOCK, *major, *minor),
        Kind::Fifo => out.push(tag::FIFO),
        Kind::Whiteout => out.push(tag::WHITEOUT),
    }
}

pub(super) fn decode(all: &[u8]) -> Result<Tree, Error> {
    let head = MAGIC.len() + 4;
    if all.len() < head + SUM || !all.starts_with(MAGIC) {
        return Err(invalid("it does not begin as one"));
    }
    let version: [u8; 4] = all[MAGIC.len()..head]
        .try_into()
        .expect("the slice is four bytes long");
    let version = u32::from_le_bytes(version);
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("stored tree of version {version}; known is {VERSION}"),
        ));
    }
    let (body, sum) = all.split_at(all.len() - SUM);
    if blake3_of(body).bytes() != sum {
        return Err(invalid("its checksum is not that of its bytes"));
    }
    let mut input = Input(&body[head..]);
    let count = input.number()?;
    let mut entries: Vec<Entry> = Vec::with_capacity(usize::try_from(count).map_or(0, |n| {
        // No entry takes fewer than nine bytes.
        n.min(body.len() / 9)
    }));
    for _ in 0..count {
        let before = entries.last().map(|e| e.path.clone());
        let entry = input.entry(before.as_ref())?;
        if before.is_some_and(|b| b >= entry.path) {
            return Err(invalid("its paths are out of order"));
        }
        entries.push(entry);
    }
    if !input.0.is_empty() {
        return Err(invalid("there is more behind its last entry"));
    }
    Ok(entries.into_iter().collect())
}

fn invalid(why: &str) -> Error {
    Error::invalid(format!("stored tree: {why}"))
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| invalid("it ends in the middle of an entry"))?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            if b & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(invalid("a number is too large"))
    }

    fn number32(&mut self) -> Result<u32, Error> {
        u32::try_from(self.number()?).map_err(|_| invalid("a number is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let n = usize::try_from(self.number()?).map_err(|_| invalid("a length is too large"))?;
        self.take(n)
    }

    fn entry(&mut self, before: Option<&LayerPath>) -> Result<Entry, Error> {
        let shared = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let shared = before
            .map_or(&[][..], LayerPath::as_bytes)
            .get(..shared)
            .ok_or_else(|| invalid("a path shares more than there is"))?;
        let text = [shared, self.bytes()?].concat();
        let path = strict(&text)?;
        Ok(Entry {
            path,
            meta: self.meta()?,
            kind: self.kind()?,
        })
    }

    fn meta(&mut self) -> Result<Meta, Error> {
        let (mode, uid, gid) = (self.number32()?, self.number32()?, self.number32()?);
        let seconds = self.number()?;
        let nanos = self.number32()?;
        if mode > 0o7777 || nanos >= 1_000_000_000 {
            return Err(invalid("a mode or time is out of range"));
        }
        let mut meta = Meta {
            mode,
            uid,
            gid,
            mtime: Time {
                seconds: (seconds >> 1) as i64 ^ -((seconds & 1) as i64),
                nanos,
            },
            ..Meta::default()
        };
        for _ in 0..self.number()? {
            let (name, value) = (self.bytes()?, self.bytes()?);
            meta.xattrs.insert(name.to_vec(), value.to_vec());
        }
        Ok(meta)
    }

    fn kind(&mut self) -> Result<Kind, Error> {
        Ok(match self.byte()? {
            tag @ (tag::FILE | tag::FILE_INLINE) => {
                let (size, offset) = (self.number()?, self.number()?);
                let algorithm = match self.byte()? {
                    0 => Algorithm::Blake3,
                    1 => Algorithm::Sha256,
                    _ => return Err(invalid("a digest is of an unknown kind")),
                };
                let digest: [u8; 32] = self
                    .take(32)?
                    .try_into()
                    .expect("the slice is 32 bytes long");
                let inline = match tag {
                    tag::FILE => None,
                    _ => Some(Arc::from(self.bytes()?)),
                };
                Kind::File(File {
                    size,
                    digest: Digest::new(algorithm, digest),
                    offset,
                    inline,
                })
            }
            tag::DIR => Kind::Dir { opaque: false },
            tag::DIR_OPAQUE => Kind::Dir { opaque: true },
            tag::SYMLINK => Kind::Symlink {
                target: self.bytes()?.to_vec(),
            },
            tag::HARDLINK => Kind::Hardlink {
                target: strict(self.bytes()?)?,
            },
            tag::CHAR => Kind::Char {
                major: self.number32()?,
                minor: self.number32()?,
            },
            tag::BLOCK => Kind::Block {
                major: self.number32()?,
                minor: self.number32()?,
            },
            tag::FIFO => Kind::Fifo,
            tag::WHITEOUT => Kind::Whiteout,
            _ => return Err(invalid("an entry is of an unknown kind")),
        })
    }
}

/// A path that is written as it was encoded, and in no other way.
fn strict(text: &[u8]) -> Result<LayerPath, Error> {
    let path = LayerPath::parse(text)?;
    if path.as_bytes() != text {
        return Err(invalid("a path is not normalised"));
    }
    Ok(path)
}
