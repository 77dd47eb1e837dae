//! One piece of a stream compressed for itself: a gzip member or a zstd frame. What comes out depends
//! on the piece and the level alone.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::Layout;

/// No name, no time, an unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A stream that is used again keeps the bytes of its last piece behind the new one's. While a piece
/// is no longer than the window they are beyond all that is looked at; longer ones get a new stream.
const WINDOW: usize = 32 << 10;

pub(super) enum Codec {
    Gzip {
        used: Compress,
        level: u32,
    },
    Zstd {
        used: zstd::bulk::Compressor<'static>,
        frame: Vec<u8>,
    },
}

impl Codec {
    pub(super) fn new(layout: Layout, level: i32) -> io::Result<Self> {
        Ok(match layout {
            Layout::EStargz => {
                let level = level.unsigned_abs();
                Codec::Gzip {
                    used: Compress::new(Compression::new(level), false),
                    level,
                }
            }
            Layout::ZstdChunked => Codec::Zstd {
                used: zstd::bulk::Compressor::new(level)?,
                frame: Vec::new(),
            },
        })
    }

    /// Appends `plain`, compressed, to `out`.
    pub(super) fn piece(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::Gzip { used, level } => {
                out.extend_from_slice(&HEADER);
                if plain.len() <= WINDOW {
                    used.reset();
                    deflate(used, plain, out)?;
                } else {
                    let mut new = Compress::new(Compression::new(*level), false);
                    deflate(&mut new, plain, out)?;
                }
                let mut crc = Crc::new();
                crc.update(plain);
                out.extend_from_slice(&crc.sum().to_le_bytes());
                out.extend_from_slice(&crc.amount().to_le_bytes());
            }
            Codec::Zstd { used, frame } => {
                frame.clear();
                frame.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                used.compress_to_buffer(plain, frame)?;
                out.extend_from_slice(frame);
            }
        }
        Ok(())
    }
}

fn deflate(stream: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(plain.len() / 2 + 64);
    loop {
        let read = usize::try_from(stream.total_in()).map_err(io::Error::other)?;
        let status = stream
            .compress_vec(&plain[read..], out, FlushCompress::Finish)
            .map_err(io::Error::other)?;
        if status == Status::StreamEnd {
            return Ok(());
        }
        out.reserve(plain.len() / 4 + 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that was used for other pieces gives the bytes of a new one.
    #[test]
    fn a_stream_has_no_memory() {
        let mut seed = 1u32;
        let mut noise = |len: usize, values: u32| -> Vec<u8> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) % values
            };
            (0..len).map(|_| u8::try_from(next()).unwrap()).collect()
        };
        for (layout, levels) in [(Layout::EStargz, 0..=9), (Layout::ZstdChunked, 1..=19)] {
            for level in levels {
                let mut used = Codec::new(layout, level).unwrap();
                for (len, values) in [
                    (40_000, 3),
                    (1, 256),
                    (32 << 10, 2),
                    (513, 4),
                    (0, 1),
                    (31_000, 250),
                    (700, 1),
                    (100_000, 5),
                    (5_000, 7),
                    (5_001, 2),
                ] {
                    let plain = noise(len, values);
                    let (mut one, mut other) = (Vec::new(), Vec::new());
                    used.piece(&plain, &mut one).unwrap();
                    let mut new = Codec::new(layout, level).unwrap();
                    new.piece(&plain, &mut other).unwrap();
                    assert!(one == other, "{layout:?} at level {level}: {len} bytes");
                }
            }
        }
    }
}
