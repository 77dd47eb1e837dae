//! A stream that may be compressed in any of the ways that archives are: gzip, bzip2, xz, zstd, told by
//! its first bytes. Refuses streams that take more memory to read than layers may. What follows a gzip
//! stream and is none is passed over, as gzip does it.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use crate::{Error, compress};

/// The most memory, in KiB, that an xz stream may take: a window of 128 MiB, as of zstd, and what
/// belongs to it. What `xz -9` writes takes half.
const XZ_MEMORY: u32 = (128 << 10) + 1024;

const GZIP: &[u8] = &[0x1f, 0x8b];
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
    let gzip = head.starts_with(GZIP);
    let whole = Cursor::new(head).chain(from);
    let buffered = |whole| BufReader::with_capacity(128 << 10, whole);
    Ok(if gzip {
        Box::new(Gunzip(Some(GzDecoder::new(buffered(whole)))))
    } else if bzip2 {
        Box::new(MultiBzDecoder::new(buffered(whole)))
    } else if xz {
        Box::new(XzReader::new_mem_limit(buffered(whole), true, XZ_MEMORY))
    } else {
        compress::decompress(whole)?.1
    })
}

/// The members of a gzip stream, one after the other.
struct Gunzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            match member.read(buffer) {
                Ok(0) if !buffer.is_empty() => {
                    let rest = self.0.take().map(GzDecoder::into_inner);
                    self.0 = rest.map(GzDecoder::new);
                }
                // No header: what follows the last member is nothing of ours.
                Err(e) if member.header().is_none() && is_no_header(&e) => self.0 = None,
                done => return done,
            }
        }
        Ok(0)
    }
}

/// Whether what could not be read was there.
fn is_no_header(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
