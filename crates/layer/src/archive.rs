//! Reading a tar stream that nobody vouches for, header by header, within limits.
//!
//! A loop of our own over the blocks, because the readers at hand take what a header claims: they
//! hold extended headers and long names of any length in memory, and in their raw mode they do not
//! see sizes in extended headers. Where readers disagree, this one does as Go's `archive/tar` does
//! (the one by which images are read everywhere), or refuses.
//!
//! Refuses unknown types, extended headers beyond their limits, more than one of a kind for one
//! entry, and broken checksums.

mod decoded;
mod field;
mod files;
mod limits;
mod pax;
mod sparse;
mod stream;

use std::io::Read;

use kiln_image::Digest;

use crate::{Error, ErrorKind, Meta, Time, path::escaped};
pub use files::Archive;
pub use limits::Limits;
use pax::Pax;
pub(crate) use sparse::content as sparse_content;
use sparse::{Claim, Map};
use stream::Stream;

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
    /// Where its content begins in the stream; of a sparse file, the first of its headers.
    pub(crate) offset: u64,
    /// Whether there are holes between the bytes that follow.
    pub(crate) sparse: bool,
}

/// The members of an archive, one after the other.
pub(crate) struct Members<R> {
    stream: Stream<R>,
    limits: Limits,
    /// What is left of the current member's content, and its padding.
    left: u64,
    padding: u64,
    /// Where that belongs, when the member is a sparse file.
    map: Option<Map>,
    spent: Spent,
}

/// How much of the [`Limits`] is used up.
#[derive(Default)]
struct Spent {
    entries: u64,
    metadata: u64,
    holes: u64,
}

/// What precedes a member and describes it.
#[derive(Default)]
struct Before {
    /// Where the first header of a member is.
    start: Option<u64>,
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
            map: None,
            spent: Spent::default(),
        }
    }

    /// The next member; what was left of the last one's content is passed over. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, Error> {
        let mut before = Before::default();
        loop {
            self.stream.skip(self.left)?;
            self.stream.skip(self.padding)?;
            (self.left, self.padding, self.map) = (0, 0, None);
            before.start.get_or_insert(self.stream.position());
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
        let mut member = Member {
            name: text(before.name, b"path", field::name(block)),
            link: text(before.link, b"linkpath", field::text(block, field::LINK)),
            kind: Type::File,
            meta: Meta::default(),
            device: (0, 0),
            size: 0,
            offset: before.start.unwrap_or_default(),
            sparse: false,
        };
        match self.describe(block, &pax, &mut member) {
            Ok(()) => Ok(member),
            Err(e) => Err(match crate::LayerPath::parse(&member.name) {
                Ok(path) => e.at(&path),
                Err(_) => e,
            }),
        }
    }

    /// Fills in what a member is.
    fn describe(&mut self, block: &[u8; 512], pax: &Pax, member: &mut Member) -> Result<(), Error> {
        let claim = Claim::of(pax)?;
        if let Some(name) = claim.as_ref().and_then(|c| c.name) {
            member.name = name.to_vec();
        }
        member.kind = kind(block[field::TYPE], &member.name)?;
        member.meta = meta(block, pax)?;
        if matches!(member.kind, Type::Char | Type::Block) {
            member.device = field::device(block)?;
        }
        let size = match pax.number(b"size")? {
            Some(size) => size,
            None => field::unsigned(block, field::SIZE)?,
        };
        // As Go's reader: what is only a header has no content, whatever it claims.
        let stored = if member.kind == Type::File { size } else { 0 };
        self.padding = stored
            .checked_next_multiple_of(BLOCK)
            .ok_or_else(|| Error::invalid("tar: a size is too large"))?
            - stored;
        (self.left, member.size) = (stored, stored);
        let old = block[field::TYPE] == b'S';
        match claim {
            Some(_) if old || member.kind != Type::File => {
                return Err(Error::invalid("tar: a sparse file that is something else"));
            }
            None if !old => member.offset = self.stream.position(),
            claim => self.sparse(block, claim, member)?,
        }
        self.count(member)
    }

    /// The map of a sparse file, by a claim in its PAX header or in the old format.
    fn sparse(
        &mut self,
        block: &[u8; 512],
        claim: Option<Claim<'_>>,
        member: &mut Member,
    ) -> Result<(), Error> {
        let stored = self.left;
        let stream = &mut self.stream;
        let mut next = |block: &mut [u8]| stream.exact(block);
        let map = match claim {
            None => sparse::old(block, stored, &self.limits, &mut next)?,
            Some(claim) => {
                let size = claim.size.unwrap_or(stored);
                let (map, taken) = claim.map(size, stored, &self.limits, &mut next)?;
                self.left -= taken;
                map
            }
        };
        self.spent.holes += map.holes();
        if self.spent.holes > self.limits.holes {
            let limit = self.limits.holes;
            let what = format!("tar: sparse files with holes of more than {limit} bytes in all");
            return Err(Error::refused(what).hint("leave the file out of the archive"));
        }
        (member.size, member.sparse) = (map.size(), true);
        self.map = Some(map);
        Ok(())
    }

    fn count(&mut self, member: &Member) -> Result<(), Error> {
        let xattrs = member.meta.xattrs.iter();
        let xattrs: usize = xattrs.map(|(name, value)| name.len() + value.len()).sum();
        self.spent.entries += 1;
        self.spent.metadata += (member.name.len() + member.link.len() + xattrs) as u64;
        let (entries, metadata) = (self.limits.entries, self.limits.metadata);
        let what = if self.spent.entries > entries {
            format!("tar: more than {entries} entries")
        } else if self.spent.metadata > metadata {
            format!("tar: more than {metadata} bytes of names and attributes")
        } else {
            return Ok(());
        };
        Err(Error::refused(what).hint("split it into several layers"))
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
        let (stream, left) = (&mut self.stream, &mut self.left);
        let mut stored = |buffer: &mut [u8]| {
            let want = usize::try_from(*left).unwrap_or(usize::MAX);
            let want = want.min(buffer.len());
            if want == 0 {
                return Ok(0);
            }
            let n = stream.read(&mut buffer[..want])?;
            if n == 0 {
                return Err(stream::cut().into());
            }
            *left -= n as u64;
            Ok(n)
        };
        match &mut self.map {
            Some(map) => map.read(buffer, &mut stored),
            None => stored(buffer),
        }
    }
}

fn kind(flag: u8, name: &[u8]) -> Result<Type, Error> {
    Ok(match flag {
        // Before ustar, a folder was a file whose name ends in a slash.
        0 if name.ends_with(b"/") => Type::Folder,
        0 | b'0' | b'7' | b'S' => Type::File,
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
