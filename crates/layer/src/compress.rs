//! Layers compressed and decompressed: the same bytes for any number of threads, and streams whose
//! kind is told by their first bytes.

mod gzip;

use std::io::{self, BufReader, Cursor, Read, Write};

use flate2::bufread::MultiGzDecoder;
use kiln_image::{Digest, HashingWriter, media::Compression};

use crate::Error;

/// The level of gzip when none is asked for.
const GZIP_LEVEL: i32 = 6;
/// The level of zstd when none is asked for.
const ZSTD_LEVEL: i32 = 3;
/// The largest window, as a power of two, that a zstd stream may ask for: 128 MiB, as the `zstd`
/// program takes without being told.
const WINDOW_LOG: u32 = 27;

/// What [`compress`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// The SHA-256 of the compressed bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// What wrote them, with its version: the same compressor at the same level always gives the
    /// same bytes.
    pub compressor: &'static str,
    /// The level that was used; 0 where there are none.
    pub level: i32,
}

/// Compresses `from` into `to`, with a thread per processor (at most eight). `level` is 0 to 9 for
/// gzip (usually 6), 1 to 19 for zstd (usually 3).
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid) for a level that there is not; what reading and writing
/// give.
pub fn compress(
    from: &mut dyn Read,
    to: &mut dyn Write,
    with: Compression,
    level: Option<i32>,
) -> Result<Compressed, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    compress_with(threads.min(8), from, to, with, level)
}

/// [`compress`] with this many threads (at least one): the bytes do not depend on it.
///
/// # Errors
///
/// As [`compress`].
pub fn compress_with(
    threads: usize,
    from: &mut dyn Read,
    to: &mut dyn Write,
    with: Compression,
    level: Option<i32>,
) -> Result<Compressed, Error> {
    let mut out = HashingWriter::new(to);
    let threads = threads.max(1);
    let failed = |e| Error::io("compress", e);
    let (compressor, level) = match with {
        Compression::None => {
            io::copy(from, &mut out).map_err(failed)?;
            ("plain/1", 0)
        }
        Compression::Gzip => {
            let level = within(level.unwrap_or(GZIP_LEVEL), 0, 9, "gzip")?;
            gzip::compress(threads, from, &mut out, level.unsigned_abs()).map_err(failed)?;
            (gzip::NAME, level)
        }
        Compression::Zstd => {
            let level = within(level.unwrap_or(ZSTD_LEVEL), 1, 19, "zstd")?;
            zstd(threads, from, &mut out, level).map_err(failed)?;
            ("kiln-zstd/1", level)
        }
    };
    let (_, digest, size) = out.finish();
    Ok(Compressed {
        digest,
        size,
        compressor,
        level,
    })
}

fn within(level: i32, least: i32, most: i32, name: &str) -> Result<i32, Error> {
    if (least..=most).contains(&level) {
        return Ok(level);
    }
    let what = format!("{name} has no level {level}");
    Err(Error::invalid(what).hint(format!("levels are {least} to {most}")))
}

fn zstd(threads: usize, from: &mut dyn Read, to: impl Write, level: i32) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(to, level)?;
    // Without any worker the bytes are others than with one or more.
    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
    // What a reader with the usual 8 MiB can take.
    encoder.window_log(if level < 10 { 21 } else { 23 })?;
    io::copy(from, &mut encoder)?;
    encoder.finish()?.flush()
}

/// The uncompressed form of a stream, and how it was compressed, which its first bytes tell: gzip
/// with any number of members, zstd with any number of frames, or plain.
///
/// # Errors
///
/// What reading the first bytes gives; later errors come from the reader.
pub fn decompress<'a>(
    mut from: impl Read + Send + 'a,
) -> Result<(Compression, Box<dyn Read + Send + 'a>), Error> {
    let mut head = Vec::with_capacity(4);
    (&mut from)
        .take(4)
        .read_to_end(&mut head)
        .map_err(|e| Error::io("read the layer", e))?;
    let kind = Compression::sniff(&head);
    let whole = Cursor::new(head).chain(from);
    let buffered = BufReader::with_capacity(128 << 10, whole);
    let reader: Box<dyn Read + Send + 'a> = match kind {
        Compression::None => Box::new(buffered),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
        Compression::Zstd => {
            let failed = |e| Error::io("decompress", e);
            let mut decoder = zstd::Decoder::with_buffer(buffered).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
            Box::new(decoder)
        }
    };
    Ok((kind, reader))
}
