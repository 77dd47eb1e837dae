//! Reading such a blob by ranges: its table of contents, and one file of it.
//!
//! The table is believed when its digest is the one that the descriptor's annotations have; what it
//! says must still fit: every range lies in the blob, chunks follow each other without gaps, and names
//! stay in the root. Refuses tables beyond the limits, and files without digests.

mod file;
mod open;

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use kiln_image::Digest;

use super::{Layout, time, toc};
use crate::{Entry, Error, ErrorKind, File, Kind, LayerPath, Meta, Time, path::escaped};

/// The first bytes of a zstd frame that decoders pass over; its length follows.
pub(super) const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// How long these are together.
pub(super) const FRAME_HEADER: u64 = 8;
/// The last bytes of a zstd:chunked blob.
pub(super) const MAGIC: [u8; 8] = *b"GNUlInUx";
/// The one kind of table that there is.
pub(super) const TOC_KIND: u64 = 1;

/// Bytes that can be read at any place: a file, or a blob in a registry by ranges.
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when there are not so many; what reading gives.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let found = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

/// An entry of a table of contents.
#[derive(Clone, Debug)]
pub struct Item {
    /// The entry as the tar has it: a whiteout is a file whose name says so, and the digest of a file
    /// is not known in the form that a [`Tree`](crate::Tree) has it.
    pub entry: Entry,
    /// The SHA-256 of the content, where it is a file that has some and the table says it.
    pub digest: Option<Digest>,
    chunks: Vec<Chunk>,
}

/// Where a part of a file is.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// Where its compressed form begins in the blob, and where that has ended at the latest.
    offset: u64,
    end: u64,
    /// Its length.
    size: u64,
    digest: Digest,
}

/// The table of contents of a blob, and the way to its files.
#[derive(Clone, Debug)]
pub struct Contents<R> {
    blob: R,
    layout: Layout,
    items: BTreeMap<LayerPath, Item>,
}

impl<R: ReadAt> Contents<R> {
    /// Reads the table of contents of `blob`, which is `size` bytes long. Its digest, and for
    /// zstd:chunked its place, are in the `annotations` of the blob's descriptor.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when the annotations know of no table,
    /// [`Changed`](ErrorKind::Changed) when its digest is another one,
    /// [`Refused`](ErrorKind::Refused) and [`Invalid`](ErrorKind::Invalid) for what does not fit;
    /// what reading gives.
    pub fn open(blob: R, size: u64, annotations: &BTreeMap<String, String>) -> Result<Self, Error> {
        let layout = Layout::of(annotations)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "a table of contents: the annotations know of none",
            )
        })?;
        let (json, end) = match layout {
            Layout::EStargz => open::estargz(&blob, size, annotations)?,
            Layout::ZstdChunked => open::chunked(&blob, size, annotations)?,
        };
        let toc: toc::Toc = serde_json::from_slice(&json).map_err(|e| {
            Error::invalid("the table of contents is not what it should be").because(e)
        })?;
        drop(json);
        if toc.version != 1 {
            let what = format!("a table of contents of version {}", toc.version);
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        Ok(Self {
            blob,
            layout,
            items: items(toc.entries, end)?,
        })
    }

    /// How the blob is laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The entries, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// The entry at `path`.
    pub fn get(&self, path: &LayerPath) -> Option<&Item> {
        self.items.get(path)
    }

    /// The content of the file at `path`, or of the one that it is a hard link to: read from the blob
    /// chunk by chunk. Whoever reads to the end without an error has the bytes of its digests.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound); [`Conflict`](ErrorKind::Conflict) for what is not a file.
    pub fn read(&self, path: &LayerPath) -> Result<impl Read + '_, Error> {
        let missing = || Error::new(ErrorKind::NotFound, "not in the table of contents").at(path);
        let mut item = self.items.get(path).ok_or_else(missing)?;
        if let Kind::Hardlink { target } = &item.entry.kind {
            item = self.items.get(target).ok_or_else(missing)?;
        }
        match &item.entry.kind {
            Kind::File(_) => Ok(file::Reader::new(&self.blob, self.layout, &item.chunks)),
            other => {
                let what = format!("is a {}", other.name());
                Err(Error::new(ErrorKind::Conflict, what).at(path))
            }
        }
    }
}

/// The items of a table; all content ends before `end`.
fn items(entries: Vec<toc::Entry>, end: u64) -> Result<BTreeMap<LayerPath, Item>, Error> {
    let mut offsets: Vec<u64> = entries.iter().map(|e| e.place.offset).collect();
    offsets.push(end);
    offsets.sort_unstable();
    let mut items = BTreeMap::new();
    let mut entries = entries.into_iter().peekable();
    while let Some(first) = entries.next() {
        let path = LayerPath::parse(&first.name)?;
        let mut rest = Vec::new();
        while let Some(chunk) = entries.next_if(|e| e.kind == "chunk") {
            rest.push(chunk.place);
        }
        let item = item(&path, &first, &rest, &offsets, end).map_err(|e| e.at(&path))?;
        // Of two entries with one name the later counts, as in the tar.
        items.insert(path, item);
    }
    Ok(items)
}

fn item(
    path: &LayerPath,
    first: &toc::Entry,
    rest: &[toc::Place],
    offsets: &[u64],
    end: u64,
) -> Result<Item, Error> {
    let size = first.stat.size;
    let is_file = first.kind == "reg";
    if !is_file && !rest.is_empty() {
        return Err(Error::invalid("chunks of what is not a file"));
    }
    let digest = match first.place.digest.as_str() {
        "" => None,
        text => Some(parse_digest(text)?),
    };
    let chunks = match (is_file, size) {
        (true, 1..) => chunks(size, digest, &first.place, rest, offsets, end)?,
        _ => Vec::new(),
    };
    let entry = Entry {
        path: path.clone(),
        meta: meta(&first.stat)?,
        kind: kind(first)?,
    };
    Ok(Item {
        entry,
        digest: digest.filter(|_| is_file && size > 0),
        chunks,
    })
}

fn chunks(
    size: u64,
    whole: Option<Digest>,
    first: &toc::Place,
    rest: &[toc::Place],
    offsets: &[u64],
    end: u64,
) -> Result<Vec<Chunk>, Error> {
    let odd = |what: &str| Error::refused(format!("the table of contents {what}"));
    let places: Vec<&toc::Place> = std::iter::once(first).chain(rest).collect();
    let mut chunks = Vec::with_capacity(places.len());
    let mut done = 0;
    for (i, place) in places.iter().enumerate() {
        if place.inner_offset != 0 {
            let what = "several files in one piece";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let next = places.get(i + 1);
        let until = next.map_or(size, |next| next.chunk_offset);
        if place.chunk_offset != done || until <= done || until > size {
            return Err(odd("has chunks that do not follow each other"));
        }
        let length = until - done;
        if place.chunk_size != 0 && place.chunk_size != length {
            return Err(odd("has a chunk of another length"));
        }
        let digest = match (place.chunk_digest.as_str(), places.len(), whole) {
            ("", 1, Some(whole)) => whole,
            ("", _, _) => return Err(odd("has no digest of a chunk")),
            (text, _, _) => parse_digest(text)?,
        };
        // Where the next content begins, this one has ended.
        let after = offsets.partition_point(|o| *o <= place.offset);
        let ends = offsets.get(after).copied().unwrap_or(end).min(end);
        if place.offset >= ends {
            return Err(odd("places a chunk outside the blob"));
        }
        chunks.push(Chunk {
            offset: place.offset,
            end: ends,
            size: length,
            digest,
        });
        done = until;
    }
    Ok(chunks)
}

fn parse_digest(text: &str) -> Result<Digest, Error> {
    let digest: Result<Digest, _> = text.parse();
    let digest =
        digest.map_err(|e| Error::invalid("a digest in the table of contents").because(e))?;
    match digest.algorithm() {
        kiln_image::Algorithm::Sha256 => Ok(digest),
        _ => {
            let what = "a digest in the table of contents that is not SHA-256";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    }
}

fn meta(stat: &toc::Stat) -> Result<Meta, Error> {
    // 2³²-1 means "leave as it is" to the kernel.
    let id = |n: i64| match u32::try_from(n) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Error::refused(format!("the id {n}"))),
    };
    let mtime = match &stat.modified {
        None => Time::default(),
        Some(text) => time::parse(text)
            .ok_or_else(|| Error::invalid(format!("the time `{}`", escaped(text.as_bytes()))))?,
    };
    let xattrs = stat.xattrs.iter().map(|(name, value)| {
        let value = super::base::decode(value);
        let value = value.ok_or_else(|| Error::invalid("an attribute is not base 64"))?;
        Ok((name.as_bytes().to_vec(), value))
    });
    let mut xattrs: BTreeMap<Vec<u8>, Vec<u8>> = xattrs.collect::<Result<_, Error>>()?;
    xattrs.retain(|name, _| crate::keeps_attribute(name));
    Ok(Meta {
        mode: u32::try_from(stat.mode & 0o7777).unwrap_or_default(),
        uid: id(stat.uid)?,
        gid: id(stat.gid)?,
        mtime,
        xattrs,
    })
}

fn kind(entry: &toc::Entry) -> Result<Kind, Error> {
    let number =
        |n: i64| u32::try_from(n).map_err(|_| Error::invalid(format!("the device number {n}")));
    let (major, minor) = (entry.stat.major, entry.stat.minor);
    Ok(match entry.kind.as_str() {
        "reg" => Kind::File(File::unread(entry.stat.size)),
        "dir" => Kind::Dir { opaque: false },
        "symlink" => Kind::Symlink {
            target: entry.link.clone().into_bytes(),
        },
        "hardlink" => Kind::Hardlink {
            target: LayerPath::parse(&entry.link)?,
        },
        "char" => Kind::Char {
            major: number(major)?,
            minor: number(minor)?,
        },
        "block" => Kind::Block {
            major: number(major)?,
            minor: number(minor)?,
        },
        "fifo" => Kind::Fifo,
        other => {
            let what = format!("an entry of the kind `{}`", escaped(other.as_bytes()));
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    })
}
