//! Sparse files as GNU tar stores them: a map of the regions whose bytes follow, and holes between
//! them (the GNU tar manual, "Storing Sparse Files"). The maps of the old GNU header, of the PAX
//! records 0.0 and 0.1, and of 1.0, which comes first in the content.
//!
//! Refuses maps that overlap, are out of order, leave the file or say another number of bytes than
//! follow, maps beyond their limit, and regions at which readers disagree. No IO but what it is
//! given to read.

use std::io::{self, Read};

use super::{BLOCK, Limits, field, pax::Pax};
use crate::{Error, ErrorKind};

/// Bytes of a file that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    len: u64,
}

/// What a PAX header says of a sparse file.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) name: Option<&'a [u8]>,
    /// The length of the file with its holes.
    pub(super) size: Option<u64>,
    /// The map; `None` where it comes first in the content (format 1.0).
    map: Option<Vec<u64>>,
}

impl<'a> Claim<'a> {
    /// What the records say, where they speak of a sparse file.
    pub(super) fn of(pax: &'a Pax) -> Result<Option<Self>, Error> {
        if !pax.is_sparse() {
            return Ok(None);
        }
        let version = (
            pax.get(b"GNU.sparse.major"),
            pax.get(b"GNU.sparse.minor"),
            pax.sparse_map()?,
        );
        let map = match version {
            (Some(b"1"), Some(b"0"), None) => None,
            (None, None, Some(map)) | (Some(b"0"), Some(b"0" | b"1"), Some(map)) => Some(map),
            // Some readers take what is left as an ordinary file, others do not.
            _ => {
                let what = "tar: a sparse file of an unknown format";
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .hint("write the archive again without `--sparse`"));
            }
        };
        if let Some(map) = &map {
            let stated = pax.number(b"GNU.sparse.numblocks")?;
            if stated.and_then(|n| n.checked_mul(2)) != Some(map.len() as u64) {
                return Err(broken("another number of regions than it says"));
            }
        }
        let size = match pax.number(b"GNU.sparse.size")? {
            None => pax.number(b"GNU.sparse.realsize")?,
            size => size,
        };
        Ok(Some(Self {
            name: pax.get(b"GNU.sparse.name"),
            size,
            map,
        }))
    }

    /// The map, and how many bytes of the content it took; `content` is read for it where it
    /// comes first there, and is `stored` bytes long.
    pub(super) fn map(
        self,
        size: u64,
        stored: u64,
        limits: &Limits,
        content: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(Map, u64), Error> {
        let (numbers, taken) = match self.map {
            Some(map) => (map, 0),
            None => leading(stored, limits.regions, content)?,
        };
        let pairs = numbers.chunks_exact(2);
        let regions = pairs.map(|p| Region {
            start: p[0],
            len: p[1],
        });
        let map = Map::new(regions.collect(), size, stored - taken, limits)?;
        Ok((map, taken))
    }
}

/// The map in the content of format 1.0: a number and then as many pairs, a line each, up to the
/// end of a block; and how long it is.
fn leading(
    stored: u64,
    limit: u64,
    content: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
) -> Result<(Vec<u64>, u64), Error> {
    let mut numbers = Vec::new();
    let mut expected = None;
    let mut number = None;
    let mut taken = 0;
    let mut block = [0; BLOCK as usize];
    while expected.is_none_or(|n| numbers.len() < n) {
        if stored - taken < BLOCK {
            return Err(broken("a map that is cut"));
        }
        content(&mut block)?;
        taken += BLOCK;
        for byte in block {
            if expected == Some(numbers.len()) {
                break;
            }
            match (byte, number) {
                (b'0'..=b'9', before) => {
                    let before: u64 = before.unwrap_or(0);
                    let next = before.checked_mul(10);
                    let next = next.and_then(|n| n.checked_add(u64::from(byte - b'0')));
                    number = Some(next.ok_or_else(|| broken("a number that is too large"))?);
                }
                (b'\n', Some(done)) => {
                    number = None;
                    match expected {
                        Some(_) => numbers.push(done),
                        None => expected = Some(count(done, limit)?),
                    }
                }
                _ => return Err(broken("a map that is not of numbers")),
            }
        }
    }
    Ok((numbers, taken))
}

/// How many numbers `regions` regions are.
fn count(regions: u64, limit: u64) -> Result<usize, Error> {
    if regions > limit {
        return Err(too_many(limit));
    }
    usize::try_from(regions * 2).map_err(|_| too_many(limit))
}

/// The map and the length of a file in the old GNU format, whose further blocks come before the
/// content.
pub(super) fn old(
    header: &[u8; 512],
    stored: u64,
    limits: &Limits,
    next: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
) -> Result<Map, Error> {
    // The star format uses the same letter for something else.
    if !field::is_gnu(header) {
        return Err(broken("a header that is not GNU tar's"));
    }
    let size = field::unsigned(header, field::REAL_SIZE)?;
    let mut regions = Vec::new();
    let mut block = *header;
    let mut slots = field::SPARSE;
    let mut more = header[field::SPARSE_MORE] != 0;
    loop {
        let used = slots.step_by(24).take_while(|at| block[*at] != 0);
        for at in used {
            if regions.len() as u64 >= limits.regions {
                return Err(too_many(limits.regions));
            }
            regions.push(Region {
                start: field::unsigned(&block, at..at + 12)?,
                len: field::unsigned(&block, at + 12..at + 24)?,
            });
        }
        if !more {
            break;
        }
        if regions.len() as u64 >= limits.regions {
            return Err(too_many(limits.regions));
        }
        next(&mut block)?;
        slots = field::SPARSE_NEXT;
        more = block[field::SPARSE_NEXT_MORE] != 0;
    }
    Map::new(regions, size, stored, limits)
}

fn broken(what: &str) -> Error {
    Error::invalid(format!("tar: a sparse file with {what}"))
}

fn too_many(limit: u64) -> Error {
    let what = format!("tar: a sparse file of more than {limit} regions");
    Error::refused(what).hint("write the archive again without `--sparse`")
}

/// Where the stored bytes of a file belong: checked, in order, within its size.
#[derive(Debug)]
pub(crate) struct Map {
    regions: std::iter::Peekable<std::vec::IntoIter<Region>>,
    size: u64,
    holes: u64,
    /// How far it was read.
    at: u64,
}

impl Map {
    fn new(regions: Vec<Region>, size: u64, stored: u64, limits: &Limits) -> Result<Self, Error> {
        if regions.len() as u64 > limits.regions {
            return Err(too_many(limits.regions));
        }
        if i64::try_from(size).is_err() {
            return Err(broken("a size that is too large"));
        }
        let (mut end, mut sum) = (0, 0u64);
        for region in &regions {
            if !sum.is_multiple_of(BLOCK) && region.len > 0 {
                // GNU tar begins each region in a block of its own, Go's reader does not.
                return Err(broken("a region that is not of whole blocks"));
            }
            if region.start < end {
                return Err(broken("regions that overlap or are out of order"));
            }
            end = match region.start.checked_add(region.len) {
                Some(end) if end <= size => end,
                _ => return Err(broken("a region that leaves it")),
            };
            // No more than `end`, and so than `size`.
            sum += region.len;
        }
        if sum != stored {
            return Err(broken("another number of bytes than its map says"));
        }
        let mut regions = regions;
        regions.retain(|r| r.len > 0);
        Ok(Self {
            regions: regions.into_iter().peekable(),
            size,
            holes: size - sum,
            at: 0,
        })
    }

    /// The length of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How much of it is not stored.
    pub(super) fn holes(&self) -> u64 {
        self.holes
    }

    /// Fills `buffer` with what comes next, from `stored` or a hole; less at the end.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        stored: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(region) = self.regions.peek() else {
            return Ok(self.hole(buffer, self.size));
        };
        if self.at < region.start {
            let end = region.start;
            return Ok(self.hole(buffer, end));
        }
        let end = region.start + region.len;
        let want = up_to(buffer, end - self.at);
        let n = stored(want)?;
        self.at += n as u64;
        if self.at == end {
            self.regions.next();
        }
        Ok(n)
    }

    fn hole(&mut self, buffer: &mut [u8], end: u64) -> usize {
        let zeros = up_to(buffer, end - self.at);
        zeros.fill(0);
        self.at += zeros.len() as u64;
        zeros.len()
    }
}

/// The first `n` bytes of `buffer`, or all.
fn up_to(buffer: &mut [u8], n: u64) -> &mut [u8] {
    let n = usize::try_from(n).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..n]
}

/// The content of the sparse file whose headers are the first in `tar`: where they are is what a tree
/// says of it ([`File::is_sparse`](crate::File::is_sparse)).
pub(crate) fn content(tar: impl Read) -> Result<impl Read, Error> {
    let limits = Limits {
        stream: u64::MAX,
        ..Limits::default()
    };
    let mut members = super::Members::new(tar, limits);
    match members.next()? {
        Some(member) if member.sparse => Ok(members),
        _ => Err(Error::new(
            ErrorKind::Changed,
            "the tar is another than its tree says",
        )),
    }
}
