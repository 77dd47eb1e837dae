//! The entries of a stored tree's block: what is written, and the [`Entry`] that it is. Never panics,
//! whatever the bytes are; makes nothing before it is asked to. Leaves paths to
//! [`check`](super::check).

use std::sync::Arc;

use kiln_image::{Algorithm, Digest};

use crate::{Entry, File, Kind, LayerPath, Meta, Time};

/// What is wrong with the bytes.
pub(super) type Bad = &'static str;

/// The low bits of an entry's head.
pub(super) mod tag {
    pub(crate) const FILE: u8 = 0;
    pub(crate) const FILE_INLINE: u8 = 1;
    pub(crate) const DIR: u8 = 2;
    pub(crate) const DIR_OPAQUE: u8 = 3;
    pub(crate) const SYMLINK: u8 = 4;
    pub(crate) const HARDLINK: u8 = 5;
    pub(crate) const CHAR: u8 = 6;
    pub(crate) const BLOCK: u8 = 7;
    pub(crate) const FIFO: u8 = 8;
    pub(crate) const WHITEOUT: u8 = 9;
    /// Added to that of a file: its digest is a SHA-256.
    pub(crate) const SHA256: u8 = 10;

    pub(crate) const KIND: u8 = 0x0f;
    pub(crate) const OWNER: u8 = 0x10;
    pub(crate) const NANOS: u8 = 0x20;
    pub(crate) const XATTRS: u8 = 0x40;
    pub(crate) const NONE: u8 = 0x80;
}

pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let split = self.0.split_at_checked(n);
        let (head, rest) = split.ok_or("it ends in the middle of an entry")?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], Bad> {
        let split = self.0.split_first_chunk();
        let (head, rest) = split.ok_or("it ends in the middle of an entry")?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        self.fixed::<1>().map(|[b]| *b)
    }

    pub(super) fn number(&mut self) -> Result<u64, Bad> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut n = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let b = self.byte()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            match b {
                0 => return Err("a number is longer than it need be"),
                1..0x80 => return Ok(n),
                _ => {}
            }
        }
        Err("a number is too large")
    }

    pub(super) fn number32(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.number()?).map_err(|_| "a number is too large")
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let n = usize::try_from(self.number()?).map_err(|_| "a length is too large")?;
        self.take(n)
    }
}

/// What entries are written as the difference to.
#[derive(Default)]
pub(super) struct Before {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) seconds: i64,
    /// Where the next file's content would begin.
    pub(super) content: u64,
}

impl Before {
    /// After a file's content: it is padded, and another header comes.
    pub(super) fn content(&mut self, offset: u64, size: u64) {
        self.content = offset.wrapping_add(size.wrapping_add(511) & !511);
        self.content = self.content.wrapping_add(512);
    }
}

/// A signed number with the sign in its lowest bit.
pub(super) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

pub(super) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Goes through the entries of a block.
pub(super) struct Block<'a> {
    input: Input<'a>,
    before: Before,
}

/// One entry, as it is written.
pub(super) struct Raw<'a> {
    pub(super) shared: usize,
    pub(super) rest: &'a [u8],
    meta: RawMeta<'a>,
    pub(super) kind: RawKind<'a>,
}

struct RawMeta<'a> {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Time,
    xattrs: &'a [u8],
}

pub(super) enum RawKind<'a> {
    File(RawFile<'a>),
    Dir { opaque: bool },
    Symlink(&'a [u8]),
    Hardlink(&'a [u8]),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
    Whiteout,
}

pub(super) struct RawFile<'a> {
    size: u64,
    offset: u64,
    algorithm: Algorithm,
    digest: &'a [u8; 32],
    inline: Option<&'a [u8]>,
}

impl<'a> Block<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input(bytes),
            before: Before::default(),
        }
    }

    /// How many bytes are behind the last entry.
    pub(super) fn left(&self) -> usize {
        self.input.0.len()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Raw<'a>, Bad> {
        let head = self.input.byte()?;
        if head & tag::NONE != 0 {
            return Err("an entry is of an unknown kind");
        }
        let shared = usize::try_from(self.input.number()?).unwrap_or(usize::MAX);
        Ok(Raw {
            shared,
            rest: self.input.bytes()?,
            meta: self.meta(head)?,
            kind: self.kind(head & tag::KIND)?,
        })
    }

    #[inline]
    fn meta(&mut self, head: u8) -> Result<RawMeta<'a>, Bad> {
        let (input, before) = (&mut self.input, &mut self.before);
        let mode = u32::from(u16::from_le_bytes(*input.fixed()?));
        if head & tag::OWNER != 0 {
            let owner = (input.number32()?, input.number32()?);
            if owner == (before.uid, before.gid) {
                return Err("an owner is written twice");
            }
            (before.uid, before.gid) = owner;
        }
        let difference = unzigzag(input.number()?);
        before.seconds = before.seconds.wrapping_add(difference);
        let mut nanos = 0;
        if head & tag::NANOS != 0 {
            nanos = u32::from_le_bytes(*input.fixed()?);
            if nanos == 0 {
                return Err("a time is longer than it need be");
            }
        }
        if mode > 0o7777 || nanos >= 1_000_000_000 {
            return Err("a mode or time is out of range");
        }
        let xattrs = match head & tag::XATTRS {
            0 => &[][..],
            _ => xattrs(input)?,
        };
        Ok(RawMeta {
            mode,
            uid: before.uid,
            gid: before.gid,
            mtime: Time {
                seconds: before.seconds,
                nanos,
            },
            xattrs,
        })
    }

    #[inline]
    fn kind(&mut self, kind: u8) -> Result<RawKind<'a>, Bad> {
        const SHA256: u8 = tag::FILE + tag::SHA256;
        const SHA256_INLINE: u8 = tag::FILE_INLINE + tag::SHA256;
        let input = &mut self.input;
        Ok(match kind {
            tag::FILE => self.file(Algorithm::Blake3, false)?,
            tag::FILE_INLINE => self.file(Algorithm::Blake3, true)?,
            SHA256 => self.file(Algorithm::Sha256, false)?,
            SHA256_INLINE => self.file(Algorithm::Sha256, true)?,
            tag::DIR => RawKind::Dir { opaque: false },
            tag::DIR_OPAQUE => RawKind::Dir { opaque: true },
            tag::SYMLINK => RawKind::Symlink(input.bytes()?),
            tag::HARDLINK => RawKind::Hardlink(input.bytes()?),
            tag::CHAR => RawKind::Char(input.number32()?, input.number32()?),
            tag::BLOCK => RawKind::Block(input.number32()?, input.number32()?),
            tag::FIFO => RawKind::Fifo,
            tag::WHITEOUT => RawKind::Whiteout,
            _ => return Err("an entry is of an unknown kind"),
        })
    }

    #[inline]
    fn file(&mut self, algorithm: Algorithm, inline: bool) -> Result<RawKind<'a>, Bad> {
        let (input, before) = (&mut self.input, &mut self.before);
        let size = input.number()?;
        let difference = unzigzag(input.number()?);
        let offset = before.content.wrapping_add_signed(difference);
        before.content(offset, size);
        Ok(RawKind::File(RawFile {
            size,
            offset,
            algorithm,
            digest: input.fixed()?,
            inline: match inline {
                true => Some(input.bytes()?),
                false => None,
            },
        }))
    }
}

/// The bytes of extended attributes, in which each name is behind the one before.
fn xattrs<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Bad> {
    let all = input.0;
    let mut last: Option<&[u8]> = None;
    for _ in 0..input.number()? {
        let (name, _) = (input.bytes()?, input.bytes()?);
        if last.is_some_and(|last| last >= name) {
            return Err("its attributes are out of order");
        }
        last = Some(name);
    }
    match last {
        Some(_) => Ok(&all[..all.len() - input.0.len()]),
        None => Err("attributes are announced and missing"),
    }
}

impl Raw<'_> {
    /// Makes the path before this one's of `path`, what they share is taken from.
    pub(super) fn path(&self, path: &mut Vec<u8>) {
        path.truncate(self.shared);
        path.extend_from_slice(self.rest);
    }

    pub(super) fn entry(&self, path: &[u8]) -> Entry {
        Entry {
            path: LayerPath::known(path),
            meta: self.meta.meta(),
            kind: self.kind.kind(),
        }
    }
}

impl RawMeta<'_> {
    fn meta(&self) -> Meta {
        let mut meta = Meta {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            ..Meta::default()
        };
        let mut xattrs = Input(self.xattrs);
        for _ in 0..xattrs.number().unwrap_or(0) {
            if let (Ok(name), Ok(value)) = (xattrs.bytes(), xattrs.bytes()) {
                meta.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
        meta
    }
}

impl RawKind<'_> {
    fn kind(&self) -> Kind {
        match *self {
            RawKind::File(ref file) => Kind::File(File {
                size: file.size,
                digest: Digest::new(file.algorithm, *file.digest),
                offset: file.offset,
                inline: file.inline.map(Arc::from),
            }),
            RawKind::Dir { opaque } => Kind::Dir { opaque },
            RawKind::Symlink(target) => Kind::Symlink {
                target: target.to_vec(),
            },
            RawKind::Hardlink(target) => Kind::Hardlink {
                target: LayerPath::known(target),
            },
            RawKind::Char(major, minor) => Kind::Char { major, minor },
            RawKind::Block(major, minor) => Kind::Block { major, minor },
            RawKind::Fifo => Kind::Fifo,
            RawKind::Whiteout => Kind::Whiteout,
        }
    }
}
