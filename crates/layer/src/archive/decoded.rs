//! A stream that may be compressed in any of the ways that archives are: gzip, bzip2, xz, zstd, told by
//! its first bytes. Refuses streams that take more memory to read than layers may.

use std::io::{BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use crate::{Error, compress};

/// The most memory, in KiB, that an xz stream may take: a window of 128 MiB, as of zstd, and what
/// belongs to it. What `xz -9` writes takes half.
const XZ_MEMORY: u32 = (128 << 10) + 1024;

const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// The decoded form of `from`.
pub(super) fn decoded<'a>(
    mut from: impl Read + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, Error> {
    let mut head = Vec::with_capacity(XZ.len());
    (&mut from)
        .take(XZ.len() as u64)
        .read_to_end(&mut head)
        .map_err(|e| Error::io("read the archive", e))?;
    let (bzip2, xz) = (head.starts_with(BZIP2), head == XZ);
    let whole = Cursor::new(head).chain(from);
    let buffered = |whole| BufReader::with_capacity(128 << 10, whole);
    Ok(if bzip2 {
        Box::new(MultiBzDecoder::new(buffered(whole)))
    } else if xz {
        Box::new(XzReader::new_mem_limit(buffered(whole), true, XZ_MEMORY))
    } else {
        compress::decompress(whole)?.1
    })
}
