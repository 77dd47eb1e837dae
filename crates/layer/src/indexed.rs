//! Blobs whose files can be fetched one at a time: each file, or each piece of a large one, is
//! compressed for itself, and a table of contents at the end says where. Written and read in two
//! layouts: eStargz (stargz-snapshotter, `docs/estargz.md`), which is gzip, and zstd:chunked
//! (containers/storage, `pkg/chunked`), which is zstd.
//!
//! Refuses what the layouts cannot say: names and attributes that are not UTF-8, two entries of one
//! name, sparse files, times outside the years 0 to 9999. Such layers are for plain gzip or zstd.

mod base;
mod codec;
mod contents;
mod header;
mod measure;
mod split;
mod tarsplit;
mod time;
mod toc;
mod work;
mod write;

use std::{collections::BTreeMap, io};

use kiln_image::{Digest, media::Compression};

use crate::{Compressed, Error, ErrorKind};

pub use contents::{Contents, Item, ReadAt};

/// The digest of an eStargz blob's table of contents.
pub const ESTARGZ_TOC: &str = "containerd.io/snapshot/stargz/toc.digest";
/// How long the tar in an eStargz blob is.
pub const ESTARGZ_SIZE: &str = "io.containers.estargz.uncompressed-size";
/// The digest of a zstd:chunked blob's table of contents, as it is compressed.
pub const CHUNKED_CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
/// Where that is: offset, length, length uncompressed and kind, with `:` between them.
pub const CHUNKED_POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
/// Where the bytes of the tar that are not files' contents are: offset, length, length uncompressed.
pub const CHUNKED_TARSPLIT: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// The longest table of contents, in bytes, plain or compressed: as containers/storage takes.
const TOC_LIMIT: u64 = 150 << 20;
/// A larger file is cut into chunks of this length.
const CHUNK: usize = 1 << 20;

/// How such a blob is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layout {
    /// eStargz: gzip. The table of contents is a file of the tar, which so has another diff id.
    EStargz,
    /// zstd:chunked: zstd. The tar stays what it is.
    ZstdChunked,
}

impl Layout {
    /// How a reader who knows nothing of the layout takes the blob.
    pub fn compression(self) -> Compression {
        match self {
            Layout::EStargz => Compression::Gzip,
            Layout::ZstdChunked => Compression::Zstd,
        }
    }

    /// The name and version of what writes it here.
    pub fn compressor(self) -> &'static str {
        match self {
            Layout::EStargz => "kiln-estargz/1",
            Layout::ZstdChunked => "kiln-zstd-chunked/1",
        }
    }

    /// What the annotations of a layer's descriptor say.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) when they say both.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, Error> {
        let has = |key: &str| annotations.contains_key(key);
        match (has(ESTARGZ_TOC), has(CHUNKED_CHECKSUM)) {
            (true, true) => Err(Error::refused("a blob with two tables of contents")),
            (true, false) => Ok(Some(Layout::EStargz)),
            (false, true) => Ok(Some(Layout::ZstdChunked)),
            (false, false) => Ok(None),
        }
    }
}

/// The annotations of a layer's descriptor that say where its table of contents is.
pub fn annotations_of(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let keys = [
        ESTARGZ_TOC,
        ESTARGZ_SIZE,
        CHUNKED_CHECKSUM,
        CHUNKED_POSITION,
        CHUNKED_TARSPLIT,
    ];
    let known = annotations
        .iter()
        .filter(|(k, _)| keys.contains(&k.as_str()));
    known.map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What [`compress`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// The blob.
    pub packed: Compressed,
    /// The SHA-256 of the tar that was read.
    pub source: Digest,
    /// The SHA-256 of the tar that is in the blob: another one for [`Layout::EStargz`].
    pub diff_id: Digest,
    /// How long that one is, in bytes.
    pub size: u64,
    /// What the blob's descriptor has to say.
    pub annotations: BTreeMap<String, String>,
}

/// Compresses the tar `from` into `to`, file by file. `level` is 0 to 9 for [`Layout::EStargz`]
/// (usually 6), 1 to 19 for [`Layout::ZstdChunked`] (usually 3). The bytes do not depend on the
/// number of threads; 0 is one for each processor, at most eight.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a level that there is not and for what is not a tar,
/// [`Unsupported`](ErrorKind::Unsupported) for an entry that the layout has no words for; what
/// reading and writing give.
pub fn compress(
    threads: usize,
    from: &mut dyn io::Read,
    to: &mut dyn io::Write,
    layout: Layout,
    level: Option<i32>,
) -> Result<Indexed, Error> {
    let level = self::level(layout, level)?;
    let threads = match threads {
        0 => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8),
        n => n,
    };
    work::run(threads, from, to, layout, level)
}

/// The level that is meant by `asked`.
fn level(layout: Layout, asked: Option<i32>) -> Result<i32, Error> {
    let (usual, name) = match layout {
        Layout::EStargz => (6, "estargz"),
        Layout::ZstdChunked => (3, "zstd:chunked"),
    };
    crate::compress::within(asked.unwrap_or(usual), layout.compression(), name)
}

/// An entry that has no place in a table of contents.
fn unsupported(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, what).hint("plain gzip and zstd take such a layer")
}
