//! Reading a tar stream that nobody vouches for, header by header, within limits.
//!
//! A loop of our own over the blocks, because the readers at hand take what a header claims: they
//! hold extended headers and long names of any length in memory, and in their raw mode they do not
//! see sizes in extended headers. Where readers disagree, this one does as Go's `archive/tar` does
//! (the one by which images are read everywhere), or refuses.
//!
//! Refuses sparse files, unknown types, extended headers beyond their limits, more than one of a
//! kind for one entry, and broken checksums.

mod field;
mod pax;
mod stream;

use std::io::Read;

use kiln_image::Digest;

use crate::{Error, ErrorKind, Meta, Time, path::escaped};
use pax::Pax;
use stream::Stream;

/// What an archive may claim: see [`crate::apply_within`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest uncompressed stream, in bytes.
    pub stream: u64,
    /// How many entries there may be.
    pub entries: u64,
    /// The sum of all names, link targets and attributes, in bytes: what is held in memory.
    pub metadata: u64,
    /// The longest extended header, in bytes.
    pub extended: u64,
}

impl Default for Limits {
    /// 1 TiB, 2 million entries, 512 MiB of metadata, extended headers of 1 MiB (as Go's reader).
    fn default() -> Self {
        Self {
            stream: 1 << 40,
            entries: 2_000_000,
            metadata: 512 << 20,
            extended: 1 << 20,
        }
    }
}

const BLOCK: u64 = 512;
/// The longest GNU long name: a path has at most 4,095 bytes.
const LONG_NAME: u64 = 16 << 10;

/// What a header says an entry is, before its names were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    File,
    Link,
    Symlink,
    Char,
    Block,
    Folder,
    Fifo,
}

/// One entry as the archive has it. Its content follows in the stream.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Type,
    pub(crate) meta: Meta,
    pub(crate) device: (u32, u32),
    pub(crate) size: u64,
    /// Where its content begins in the stream.
    pub(crate) offset: u64,
}

/// The members of an archive, one after the other.
pub(crate) struct Members<R> {
    stream: Stream<R>,
    limits: Limits,
    /// What is left of the current member's content, and its padding.
    left: u64,
    padding: u64,
    entries: u64,
    metadata: u64,
}

/// What precedes a member and describes it.
#[derive(Default)]
struct Before {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Members<R> {
    pub(crate) fn new(tar: R, limits: Limits) -> Self {
        Self {
            stream: Stream::new(tar, limits.stream),
            limits,
            left: 0,
            padding: 0,
            entries: 0,
            metadata: 0,
        }
    }

    /// The next member; what was left of the last one's content is passed over. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, Error> {
        let mut before = Before::default();
        loop {
            self.stream.skip(self.left)?;
            self.stream.skip(self.padding)?;
            (self.left, self.padding) = (0, 0);
            let Some(block) = self.header()? else {
                if before.pax.is_some() || before.name.is_some() || before.link.is_some() {
                    return Err(Error::invalid("tar: the last header describes nothing"));
                }
                return Ok(None);
            };
            if let Some(member) = self.one(&block, &mut before)? {
                return Ok(Some(member));
            }
        }
    }

    /// The next block that is a header.
    fn header(&mut self) -> Result<Option<[u8; 512]>, Error> {
        let Some(block) = self.stream.block()? else {
            return Ok(None);
        };
        if block != [0; 512] {
            field::check_sum(&block)?;
            return Ok(Some(block));
        }
        match self.stream.block()? {
            Some(second) if second != [0; 512] => {
                Err(Error::invalid("tar: a block of zeros among the headers"))
            }
            _ => Ok(None),
        }
    }

    fn one(&mut self, block: &[u8; 512], before: &mut Before) -> Result<Option<Member>, Error> {
        let size = field::unsigned(block, field::SIZE)?;
        let twice = || Error::invalid("tar: two extended headers of a kind for one entry");
        match block[field::TYPE] {
            b'x' => {
                let bytes = self.extended(size, self.limits.extended)?;
                if before.pax.replace(Pax::parse(&bytes)?).is_some() {
                    return Err(twice());
                }
            }
            b'g' => {
                let bytes = self.extended(size, self.limits.extended)?;
                // Go's reader does not apply them, others do: taken are those that do not matter.
                if Pax::parse(&bytes)?.moves_entries() {
                    let what = "tar: a global extended header gives names or sizes";
                    return Err(Error::refused(what));
                }
            }
            kind @ (b'L' | b'K') => {
                let mut text = self.extended(size, LONG_NAME)?;
                text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
                let place = match kind {
                    b'L' => &mut before.name,
                    _ => &mut before.link,
                };
                if place.replace(text).is_some() {
                    return Err(twice());
                }
            }
            _ => return self.member(block, std::mem::take(before)).map(Some),
        }
        Ok(None)
    }

    /// The content of a header that describes another one.
    fn extended(&mut self, size: u64, limit: u64) -> Result<Vec<u8>, Error> {
        if size > limit {
            let what = format!("tar: an extended header of {size} bytes; the limit is {limit}");
            return Err(Error::refused(what));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.stream.exact(&mut bytes)?;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(bytes)
    }

    fn member(&mut self, block: &[u8; 512], before: Before) -> Result<Member, Error> {
        let pax = before.pax.unwrap_or_default();
        let text = |long: Option<Vec<u8>>, key: &[u8], short: Vec<u8>| {
            let stated = pax.get(key).map(<[u8]>::to_vec);
            long.or(stated).unwrap_or(short)
        };
        let name = text(before.name, b"path", field::name(block));
        let link = text(before.link, b"linkpath", field::text(block, field::LINK));
        self.member_of(block, &pax, &name, link)
            .map_err(|e| match crate::LayerPath::parse(&name) {
                Ok(path) => e.at(&path),
                Err(_) => e,
            })
    }

    fn member_of(
        &mut self,
        block: &[u8; 512],
        pax: &Pax,
        name: &[u8],
        link: Vec<u8>,
    ) -> Result<Member, Error> {
        if pax.is_sparse() || block[field::TYPE] == b'S' {
            let what = format!("tar: `{}` is stored as a sparse file", escaped(name));
            return Err(Error::new(ErrorKind::Unsupported, what)
                .hint("write the archive without `--sparse`"));
        }
        let kind = kind(block[field::TYPE], name)?;
        let size = match pax.number(b"size")? {
            Some(size) => size,
            None => field::unsigned(block, field::SIZE)?,
        };
        // As Go's reader: what is only a header has no content, whatever it claims.
        let size = if kind == Type::File { size } else { 0 };
        let padding = size
            .checked_next_multiple_of(BLOCK)
            .ok_or_else(|| Error::invalid("tar: a size is too large"))?
            - size;
        let device = match kind {
            Type::Char | Type::Block => field::device(block)?,
            _ => (0, 0),
        };
        let member = Member {
            meta: meta(block, pax)?,
            name: name.to_vec(),
            link,
            kind,
            device,
            size,
            offset: self.stream.position(),
        };
        self.count(&member)?;
        (self.left, self.padding) = (size, padding);
        Ok(member)
    }

    fn count(&mut self, member: &Member) -> Result<(), Error> {
        let xattrs = member.meta.xattrs.iter();
        let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
        self.entries += 1;
        self.metadata += (member.name.len() + member.link.len() + xattrs) as u64;
        if self.entries > self.limits.entries || self.metadata > self.limits.metadata {
            let what = format!(
                "tar: more than {} entries or {} bytes of names and attributes",
                self.limits.entries, self.limits.metadata
            );
            return Err(Error::refused(what));
        }
        Ok(())
    }

    /// The rest of the stream, and what it was: the SHA-256 of all its bytes, and how many.
    pub(crate) fn finish(mut self) -> Result<(Digest, u64), Error> {
        self.stream.drain()?;
        Ok(self.stream.finish())
    }
}

impl<R: Read> Read for Members<R> {
    /// The content of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = want.min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let n = self.stream.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(stream::cut().into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

fn kind(flag: u8, name: &[u8]) -> Result<Type, Error> {
    Ok(match flag {
        // Before ustar, a folder was a file whose name ends in a slash.
        0 if name.ends_with(b"/") => Type::Folder,
        0 | b'0' | b'7' => Type::File,
        b'1' => Type::Link,
        b'2' => Type::Symlink,
        b'3' => Type::Char,
        b'4' => Type::Block,
        b'5' => Type::Folder,
        b'6' => Type::Fifo,
        other => {
            let what = format!(
                "tar: `{}` is an entry of the unknown type `{}`",
                escaped(name),
                escaped(&[other])
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    })
}

fn meta(block: &[u8; 512], pax: &Pax) -> Result<Meta, Error> {
    let id = |key: &[u8], field| -> Result<u32, Error> {
        let id = match pax.number(key)? {
            Some(id) => id,
            None => field::unsigned(block, field)?,
        };
        // 2³²-1 means "leave as it is" to the kernel.
        match u32::try_from(id) {
            Ok(id) if id != u32::MAX => Ok(id),
            _ => Err(Error::refused(format!(
                "tar: the {} {id} is too large",
                escaped(key)
            ))),
        }
    };
    let mtime = match pax.time(b"mtime")? {
        Some(time) => time,
        None => Time::at(field::signed(block, field::MTIME)?),
    };
    Ok(Meta {
        mode: (field::unsigned(block, field::MODE)? & 0o7777) as u32,
        uid: id(b"uid", field::UID)?,
        gid: id(b"gid", field::GID)?,
        mtime,
        xattrs: pax.xattrs()?,
    })
}
