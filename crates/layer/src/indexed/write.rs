//! The blob: compressed batches in order, then the table of contents and the footer of the layout.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use kiln_image::{Digest, HashingWriter, media::Compression};

use super::{
    CHUNKED_CHECKSUM, CHUNKED_POSITION, CHUNKED_TARSPLIT, ESTARGZ_SIZE, ESTARGZ_TOC, Indexed,
    Layout, TOC_LIMIT,
    contents::{FRAME_HEADER, MAGIC, SKIPPABLE, TOC_KIND},
    split::{TOC_NAME, ustar},
    tarsplit::TarSplit,
    toc::{Chunk, Entry},
    unsupported,
    work::{Batch, Note, Packed, Part, Sums},
};
use crate::{Compressed, Error, compress_with};

/// The level of what is kept in memory until it is written.
const SPOOL_LEVEL: i32 = 1;

pub(super) struct Writer<W: Write> {
    out: HashingWriter<W>,
    layout: Layout,
    level: i32,
    threads: usize,
    toc: Spool,
    /// Of zstd:chunked.
    split: Option<TarSplit>,
    /// Of eStargz: the tar in the blob.
    plain: HashingWriter<io::Sink>,
    file: Option<(Box<Entry>, Vec<Chunk>)>,
}

fn failed(e: io::Error) -> Error {
    Error::io("compress", e)
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, layout: Layout, level: i32, threads: usize) -> Result<Self, Error> {
        let is_chunked = layout == Layout::ZstdChunked;
        let toc_level = if is_chunked { level } else { SPOOL_LEVEL };
        let split = is_chunked.then(|| TarSplit::new(level));
        Ok(Self {
            out: HashingWriter::new(out),
            layout,
            level,
            threads,
            toc: Spool::new(toc_level).map_err(failed)?,
            split: split.transpose().map_err(failed)?,
            plain: HashingWriter::new(io::sink()),
            file: None,
        })
    }

    /// Writes a batch, and hands it back.
    pub(super) fn take(&mut self, packed: Packed) -> Result<Batch, Error> {
        let Packed {
            mut batch,
            bytes,
            pieces,
        } = packed;
        let base = self.out.len();
        self.out.write_all(&bytes).map_err(failed)?;
        if self.layout == Layout::EStargz {
            self.plain.write_all(&batch.plain).map_err(failed)?;
        }
        let mut pieces = pieces.iter();
        let (mut at, mut from, mut in_raw) = (0, 0, false);
        for note in batch.notes.drain(..) {
            match note {
                Note::Raw { len, entry } => {
                    if !in_raw {
                        from = pieces.next().map_or(from, |piece| piece.end);
                    }
                    in_raw = true;
                    self.raw(&batch.plain[at..at + len], entry)?;
                    at += len;
                }
                Note::Content { len, part } => {
                    in_raw = false;
                    at += len;
                    let Some((end, sums)) = pieces.next().and_then(|p| Some((p.end, p.sums?)))
                    else {
                        continue;
                    };
                    let chunk = Chunk {
                        offset: base + from as u64,
                        end: base + end as u64,
                        size: len as u64,
                        digest: sums.digest,
                    };
                    from = end;
                    self.content(chunk, part, sums)?;
                }
            }
        }
        batch.plain.clear();
        Ok(batch)
    }

    fn raw(&mut self, bytes: &[u8], entry: Option<Box<Entry>>) -> Result<(), Error> {
        if let Some(split) = &mut self.split {
            split.segment(bytes).map_err(failed)?;
        }
        match entry {
            Some(entry) if entry.kind == "reg" && entry.stat.size > 0 => {
                self.file = Some((entry, Vec::new()));
                Ok(())
            }
            Some(entry) => {
                self.split_file(&entry, None)?;
                self.toc.entry(&entry)
            }
            None => Ok(()),
        }
    }

    fn content(&mut self, chunk: Chunk, part: Part, sums: Sums) -> Result<(), Error> {
        let Some((_, chunks)) = &mut self.file else {
            return Ok(());
        };
        chunks.push(chunk);
        let whole = match part {
            Part::Some => return Ok(()),
            Part::Whole => sums,
            Part::Last(whole) => whole,
        };
        if let Some((entry, chunks)) = self.file.take() {
            self.split_file(&entry, Some(whole.crc))?;
            for entry in entry.with_chunks(self.layout, &chunks, whole.digest) {
                self.toc.entry(&entry)?;
            }
        }
        Ok(())
    }

    fn split_file(&mut self, entry: &Entry, crc: Option<u64>) -> Result<(), Error> {
        match &mut self.split {
            Some(split) => {
                let size = if crc.is_some() { entry.stat.size } else { 0 };
                split.file(&entry.name, size, crc).map_err(failed)
            }
            None => Ok(()),
        }
    }

    /// The end of the blob. `source` is the SHA-256 and the length of the tar that was read.
    pub(super) fn finish(self, source: (Digest, u64)) -> Result<Indexed, Error> {
        match self.layout {
            Layout::EStargz => self.estargz(source.0),
            Layout::ZstdChunked => self.chunked(source).map_err(failed),
        }
    }

    fn estargz(mut self, source: Digest) -> Result<Indexed, Error> {
        let toc = self.toc.finish("]}").map_err(failed)?;
        let offset = self.out.len();
        let pad = toc.size.next_multiple_of(512) - toc.size + 1024;
        let json = zstd::Decoder::new(&toc.packed[..]).map_err(failed)?;
        let header = ustar(TOC_NAME, toc.size);
        let mut member = Tee {
            from: header[..].chain(json).chain(io::repeat(0).take(pad)),
            to: &mut self.plain,
        };
        let (with, level) = (Compression::Gzip, Some(self.level));
        compress_with(self.threads, &mut member, &mut self.out, with, level)?;
        self.out.write_all(&footer(offset)).map_err(failed)?;
        self.out.flush().map_err(failed)?;
        let (_, diff_id, size) = self.plain.finish();
        let annotations = [
            (ESTARGZ_TOC, toc.digest.to_string()),
            (ESTARGZ_SIZE, size.to_string()),
        ];
        let (_, digest, packed) = self.out.finish();
        Ok(Indexed {
            packed: written(self.layout, self.level, digest, packed),
            source,
            diff_id,
            size,
            annotations: annotations.map(|(k, v)| (k.to_owned(), v)).into(),
        })
    }

    fn chunked(mut self, source: (Digest, u64)) -> io::Result<Indexed> {
        let (split, split_size) = match self.split.take() {
            Some(split) => split.finish()?,
            None => (Vec::new(), 0),
        };
        let split_digest = Digest::sha256(&split);
        let end = format!("],\"tarSplitDigest\":\"{split_digest}\"}}");
        let toc = self.toc.finish(&end)?;
        let place = self.out.len() + FRAME_HEADER;
        let split_place = place + toc.packed.len() as u64 + FRAME_HEADER;
        let mut footer = Vec::new();
        for number in [
            place,
            toc.packed.len() as u64,
            toc.size,
            TOC_KIND,
            split_place,
            split.len() as u64,
            split_size,
        ] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&MAGIC);
        for frame in [&toc.packed, &split, &footer] {
            let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
            self.out.write_all(&SKIPPABLE)?;
            self.out.write_all(&len.to_le_bytes())?;
            self.out.write_all(frame)?;
        }
        self.out.flush()?;
        let toc_len = toc.packed.len();
        let annotations = [
            (CHUNKED_CHECKSUM, Digest::sha256(&toc.packed).to_string()),
            (
                CHUNKED_POSITION,
                format!("{place}:{toc_len}:{}:{TOC_KIND}", toc.size),
            ),
            (
                CHUNKED_TARSPLIT,
                format!("{split_place}:{}:{split_size}", split.len()),
            ),
        ];
        let (_, digest, packed) = self.out.finish();
        Ok(Indexed {
            packed: written(self.layout, self.level, digest, packed),
            source: source.0,
            diff_id: source.0,
            size: source.1,
            annotations: BTreeMap::from(annotations.map(|(k, v)| (k.to_owned(), v))),
        })
    }
}

fn written(layout: Layout, level: i32, digest: Digest, size: u64) -> Compressed {
    Compressed {
        digest,
        size,
        compressor: layout.compressor(),
        level,
        window_log: None,
    }
}

/// An empty gzip member whose extra field says where the table of contents begins.
fn footer(offset: u64) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0];
    out.extend_from_slice(b"SG\x16\0");
    out.extend_from_slice(format!("{offset:016x}STARGZ").as_bytes());
    out.extend_from_slice(&[1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// The table of contents as it grows, compressed.
struct Spool {
    packed: zstd::Encoder<'static, Vec<u8>>,
    line: Vec<u8>,
    hash: HashingWriter<io::Sink>,
}

struct Spooled {
    packed: Vec<u8>,
    /// Of the plain text.
    digest: Digest,
    size: u64,
}

impl Spool {
    fn new(level: i32) -> io::Result<Self> {
        let mut spool = Self {
            packed: zstd::Encoder::new(Vec::new(), level)?,
            line: Vec::new(),
            hash: HashingWriter::new(io::sink()),
        };
        spool.write(b"{\"version\":1,\"entries\":[")?;
        Ok(spool)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.write_all(bytes)?;
        self.packed.write_all(bytes)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        let mut line = std::mem::take(&mut self.line);
        serde_json::to_writer(&mut line, entry).map_err(|e| failed(e.into()))?;
        self.write(&line).map_err(failed)?;
        line.clear();
        line.push(b',');
        self.line = line;
        if self.hash.len() > TOC_LIMIT {
            let what = "a table of contents of more than 150 MiB, which no reader takes";
            return Err(unsupported(what));
        }
        Ok(())
    }

    fn finish(mut self, end: &str) -> io::Result<Spooled> {
        self.write(end.as_bytes())?;
        let packed = self.packed.finish()?;
        let (_, digest, size) = self.hash.finish();
        Ok(Spooled {
            packed,
            digest,
            size,
        })
    }
}

/// Reads, and writes what was read.
struct Tee<'a, R, W> {
    from: R,
    to: &'a mut W,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}
