//! The fields of a tar header block: octal, or base 256 as GNU tar and star write it. No IO.

use std::ops::Range;

use crate::Error;

type Field = Range<usize>;
pub(super) const NAME: Field = 0..100;
pub(super) const MODE: Field = 100..108;
pub(super) const UID: Field = 108..116;
pub(super) const GID: Field = 116..124;
pub(super) const SIZE: Field = 124..136;
pub(super) const MTIME: Field = 136..148;
const CHECKSUM: Field = 148..156;
pub(super) const TYPE: usize = 156;
pub(super) const LINK: Field = 157..257;
const MAGIC: Field = 257..263;
const MAJOR: Field = 329..337;
const MINOR: Field = 337..345;
const PREFIX: Field = 345..500;
/// The prefix of a star header, whose last bytes are times and a mark of its own.
const STAR_PREFIX: Field = 345..476;
const STAR_MARK: Field = 508..512;
/// Of an old GNU sparse file: its length, where in the header the regions are (an offset and a
/// length each), whether more of them follow in a block of its own, and the same there.
pub(super) const REAL_SIZE: Field = 483..495;
pub(super) const SPARSE: Field = 386..482;
pub(super) const SPARSE_MORE: usize = 482;
pub(super) const SPARSE_NEXT: Field = 0..504;
pub(super) const SPARSE_NEXT_MORE: usize = 504;

/// The bytes before the first NUL.
pub(super) fn text(block: &[u8; 512], field: Field) -> Vec<u8> {
    let bytes = &block[field];
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes[..end].to_vec()
}

/// The name, in a POSIX header with the prefix before it.
pub(super) fn name(block: &[u8; 512]) -> Vec<u8> {
    let name = text(block, NAME);
    let prefix = match &block[MAGIC] {
        b"ustar\0" if block[STAR_MARK] == *b"tar\0" => text(block, STAR_PREFIX),
        b"ustar\0" => text(block, PREFIX),
        _ => Vec::new(),
    };
    if prefix.is_empty() {
        return name;
    }
    [&prefix[..], b"/", &name].concat()
}

/// Whether the header is in the format of GNU tar.
pub(super) fn is_gnu(block: &[u8; 512]) -> bool {
    block[MAGIC] == *b"ustar " && block[263..265] == *b" \0"
}

pub(super) fn device(block: &[u8; 512]) -> Result<(u32, u32), Error> {
    let number = |field| -> Result<u32, Error> {
        let n = unsigned(block, field)?;
        u32::try_from(n).map_err(|_| Error::invalid("tar: a device number is too large"))
    };
    Ok((number(MAJOR)?, number(MINOR)?))
}

pub(super) fn unsigned(block: &[u8; 512], field: Field) -> Result<u64, Error> {
    let n = signed(block, field)?;
    u64::try_from(n).map_err(|_| Error::invalid("tar: a number is negative"))
}

pub(super) fn signed(block: &[u8; 512], field: Field) -> Result<i64, Error> {
    let bytes = &block[field];
    if bytes[0] & 0x80 != 0 {
        return base256(bytes);
    }
    let digits = bytes.iter().position(|b| !matches!(b, b' ' | 0));
    let digits = &bytes[digits.unwrap_or(bytes.len())..];
    let end = digits.iter().position(|b| matches!(b, b' ' | 0));
    let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let odd = || Error::invalid("tar: a number is not octal");
    if rest.iter().any(|b| !matches!(b, b' ' | 0)) {
        return Err(odd());
    }
    digits.iter().try_fold(0i64, |n, b| match b {
        // Twelve digits at most: no overflow.
        b'0'..=b'7' => Ok(n << 3 | i64::from(b - b'0')),
        _ => Err(odd()),
    })
}

/// Two's complement, the top bit of the first byte being the mark of the form.
fn base256(bytes: &[u8]) -> Result<i64, Error> {
    let negative = bytes[0] & 0x40 != 0;
    let first = if negative { bytes[0] } else { bytes[0] & 0x7f };
    let start = if negative { -1i128 } else { 0 };
    // Twelve bytes at most: no overflow of 128 bits.
    let n = bytes[1..]
        .iter()
        .fold(start << 8 | i128::from(first), |n, b| {
            n << 8 | i128::from(*b)
        });
    i64::try_from(n).map_err(|_| Error::invalid("tar: a number is too large"))
}

/// Checks the sum of the header's bytes, which some old writers formed of signed ones.
pub(super) fn check_sum(block: &[u8; 512]) -> Result<(), Error> {
    let stated = signed(block, CHECKSUM)
        .map_err(|_| Error::invalid("tar: a header has no checksum: not a tar, or damaged"))?;
    let mut copy = *block;
    copy[CHECKSUM].fill(b' ');
    let unsigned: i64 = copy.iter().map(|b| i64::from(*b)).sum();
    let signed: i64 = copy.iter().map(|b| i64::from(*b as i8)).sum();
    if stated != unsigned && stated != signed {
        return Err(Error::invalid(
            "tar: a header has another checksum than it says: not a tar, or damaged",
        ));
    }
    Ok(())
}
