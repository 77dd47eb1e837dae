//! Layers compressed and decompressed: the same bytes for any number of threads, and streams whose
//! kind is told by their first bytes.

mod gzip;

use std::{
    fmt,
    io::{self, BufReader, Cursor, Read, Write},
    ops::RangeInclusive,
};

use flate2::bufread::MultiGzDecoder;
use kiln_image::{Digest, HashingWriter, media::Compression};

use zstd::zstd_safe::CParameter;

use crate::Error;

/// The level of gzip when none is asked for.
const GZIP_LEVEL: i32 = 6;
/// Its name and version: other bytes for the same input are another version. The second one has jobs as
/// long as the window: the first had zstd's own, four times as long, which took 150 MiB of memory on
/// eight processors and kept a layer of 8 MiB on one of them.
const ZSTD_NAME: &str = "kiln-zstd/2";
/// The level of zstd when none is asked for.
const ZSTD_LEVEL: i32 = 3;
/// The largest window, as a power of two, that a zstd stream may ask for: 128 MiB, as the `zstd`
/// program takes without being told.
const WINDOW_LOG: u32 = 27;

/// How to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressing {
    /// Into which form.
    pub with: Compression,
    /// 0 to 9 for gzip (6 when it is not said), 1 to 19 for zstd (3).
    pub level: Option<i32>,
    /// How many threads; 0: one for each processor, at most eight. The bytes do not depend on it.
    pub threads: usize,
    /// The window of zstd, as a power of two, 10 to 27: more than 23 asks more memory of the reader
    /// than the 8 MiB that every one of them takes. Usually not said.
    pub window_log: Option<u32>,
}

impl Compressing {
    /// With the usual level, on all processors.
    pub fn new(with: Compression) -> Self {
        Self {
            with,
            level: None,
            threads: 0,
            window_log: None,
        }
    }
}

/// What [`compress`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// The SHA-256 of the compressed bytes.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
    /// What wrote them, with its version: the same compressor at the same level (and window, where
    /// one was asked for) always gives the same bytes.
    pub compressor: &'static str,
    /// The level that was used; 0 where there are none.
    pub level: i32,
    /// The window that was asked for.
    pub window_log: Option<u32>,
}

/// Compresses what is written to it on other threads, and passes it on to a writer on this one, with
/// its SHA-256. The bytes depend on what was written and on [`Compressing`], neither on the threads
/// nor on the sizes of the writes. Without [`finish`](Compressor::finish) the result has no end.
pub struct Compressor<W: Write> {
    stream: Stream<HashingWriter<W>>,
    compressor: &'static str,
    level: i32,
    window_log: Option<u32>,
}

enum Stream<W: Write> {
    Plain(W),
    Gzip(gzip::Stitcher<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    /// Compresses into `out`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a level or a window that there is not; what writing
    /// gives.
    pub fn new(out: W, how: &Compressing) -> Result<Self, Error> {
        let out = HashingWriter::new(out);
        let threads = threads(how.threads);
        let failed = |e| Error::io("compress", e);
        let (stream, compressor, level) = match how.with {
            Compression::None => (Stream::Plain(out), "plain/1", 0),
            Compression::Gzip => {
                let level = within(how.level.unwrap_or(GZIP_LEVEL), how.with, "gzip")?;
                let stream = gzip::Stitcher::new(out, level.unsigned_abs(), threads);
                (Stream::Gzip(stream.map_err(failed)?), gzip::NAME, level)
            }
            Compression::Zstd => {
                let level = within(how.level.unwrap_or(ZSTD_LEVEL), how.with, "zstd")?;
                let stream = zstd(out, level, threads, how.window_log)?;
                (Stream::Zstd(stream), ZSTD_NAME, level)
            }
        };
        let is_zstd = how.with == Compression::Zstd;
        Ok(Self {
            stream,
            compressor,
            level,
            window_log: how.window_log.filter(|_| is_zstd),
        })
    }

    /// Writes the end. Gives the writer, and what was written to it.
    ///
    /// # Errors
    ///
    /// What compressing and writing give.
    pub fn finish(self) -> Result<(W, Compressed), Error> {
        let out = match self.stream {
            Stream::Plain(out) => Ok(out),
            Stream::Gzip(stream) => stream.finish(),
            Stream::Zstd(stream) => stream.finish(),
        };
        let flushed = out.and_then(|mut out| out.flush().map(|()| out));
        let out = flushed.map_err(|e| Error::io("compress", e))?;
        let (out, digest, size) = out.finish();
        let compressed = Compressed {
            digest,
            size,
            compressor: self.compressor,
            level: self.level,
            window_log: self.window_log,
        };
        Ok((out, compressed))
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(out) => out.write(bytes),
            Stream::Gzip(stream) => stream.write(bytes),
            Stream::Zstd(stream) => stream.write(bytes),
        }
    }

    /// Does nothing: where a stream is flushed would be seen in its bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> fmt::Debug for Compressor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("compressor", &self.compressor)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// How many threads `asked` means: 0 is one for each processor, at most eight.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
        n => n,
    }
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
    compress_with(0, from, to, with, level)
}

/// [`compress`] with this many threads: the bytes do not depend on it.
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
    let how = Compressing {
        level,
        threads,
        ..Compressing::new(with)
    };
    let mut compressor = Compressor::new(to, &how)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => compressor.write_all(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
        .map_err(|e| Error::io("compress", e))?;
    }
    Ok(compressor.finish()?.1)
}

/// The levels that there are of a compression; none of a plain tar.
pub fn levels(with: Compression) -> Option<RangeInclusive<i32>> {
    match with {
        Compression::None => None,
        Compression::Gzip => Some(0..=9),
        Compression::Zstd => Some(1..=19),
    }
}

/// `level`, when there is such a one; `name` is what a person calls the compression.
pub(crate) fn within(level: i32, with: Compression, name: &str) -> Result<i32, Error> {
    let what = format!("{name} has no level {level}");
    match levels(with) {
        Some(levels) if levels.contains(&level) => Ok(level),
        Some(levels) => {
            let (least, most) = (levels.start(), levels.end());
            Err(Error::invalid(what).hint(format!("levels are {least} to {most}")))
        }
        None => Err(Error::invalid(what)),
    }
}

fn zstd<W: Write>(
    to: W,
    level: i32,
    threads: usize,
    window_log: Option<u32>,
) -> Result<zstd::Encoder<'static, W>, Error> {
    if window_log.is_some_and(|log| !(10..=WINDOW_LOG).contains(&log)) {
        let what = "zstd is not given such a window";
        return Err(Error::invalid(what).hint("it is a power of two, 10 to 27"));
    }
    // What a reader with the usual 8 MiB can take.
    let usual = if level < 10 { 21 } else { 23 };
    // Who asks for a window wants what is far apart to be seen together.
    let job = if window_log.is_some() { 0 } else { 1 << usual };
    let mut encoder = zstd::Encoder::new(to, level).map_err(|e| Error::io("compress", e))?;
    // Without any worker the bytes are others than with one or more.
    encoder
        .multithread(u32::try_from(threads).unwrap_or(1))
        .and_then(|()| encoder.window_log(window_log.unwrap_or(usual)))
        .and_then(|()| encoder.set_parameter(CParameter::JobSize(job)))
        .map_err(|e| Error::io("compress", e))?;
    Ok(encoder)
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
