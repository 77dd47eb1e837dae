//! What a table of contents says of an entry beyond what a [`Member`] has: read from the bytes of its
//! headers, which have been checked before. No IO.

use std::collections::BTreeMap;

use super::unsupported;
use crate::{Error, archive::Member, path::escaped};

const BLOCK: usize = 512;
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The headers of one entry.
pub(super) struct Headers<'a> {
    main: &'a [u8],
    records: BTreeMap<&'a [u8], &'a [u8]>,
}

impl<'a> Headers<'a> {
    /// `bytes` are the headers of `member`, from the first extended one on.
    pub(super) fn new(bytes: &'a [u8], member: &Member) -> Result<Self, Error> {
        let odd = || Error::invalid(format!("tar: the headers of `{}`", escaped(&member.name)));
        let mut records = BTreeMap::new();
        let mut rest = bytes;
        loop {
            let (header, after) = rest.split_at_checked(BLOCK).ok_or_else(odd)?;
            if !matches!(header[156], b'x' | b'g' | b'L' | b'K') {
                let headers = Self {
                    main: header,
                    records,
                };
                return if headers.is_sparse() {
                    let what = "a sparse file, which a table of contents cannot say";
                    Err(unsupported(what))
                } else {
                    Ok(headers)
                };
            }
            let size = usize::try_from(number(&header[124..136])).map_err(|_| odd())?;
            let content = after.get(..size).ok_or_else(odd)?;
            if header[156] == b'x' {
                records = split(content);
            }
            let padded = size.checked_next_multiple_of(BLOCK).ok_or_else(odd)?;
            rest = after.get(padded..).ok_or_else(odd)?;
        }
    }

    fn is_sparse(&self) -> bool {
        let sparse: &[u8] = b"GNU.sparse.";
        self.main[156] == b'S' || self.records.keys().any(|k| k.starts_with(sparse))
    }

    /// The mode as it stands there, with whatever bits of the kind.
    pub(super) fn mode(&self) -> i64 {
        number(&self.main[100..108])
    }

    /// The size as it stands there, also where no content follows.
    pub(super) fn size(&self) -> u64 {
        let stated = self
            .records
            .get(&b"size"[..])
            .and_then(|v| std::str::from_utf8(v).ok());
        let stated = stated.and_then(|v| v.parse().ok());
        stated.unwrap_or_else(|| number(&self.main[124..136]).unsigned_abs())
    }

    /// The numbers of a device.
    pub(super) fn device(&self) -> (i64, i64) {
        match &self.main[257..262] {
            b"ustar" => (number(&self.main[329..337]), number(&self.main[337..345])),
            _ => (0, 0),
        }
    }

    /// The text of a record that says when something was done; seconds with a fraction.
    pub(super) fn record(&self, key: &str) -> Option<&'a [u8]> {
        let value = self.records.get(key.as_bytes()).copied();
        value.filter(|v| !v.is_empty())
    }

    /// All extended attributes, the values in base 64.
    pub(super) fn xattrs(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut out = BTreeMap::new();
        for (key, value) in &self.records {
            let Some(name) = key.strip_prefix(XATTR) else {
                continue;
            };
            let text = std::str::from_utf8(name).map_err(|_| {
                unsupported(format!("the attribute `{}` is not UTF-8", escaped(name)))
            })?;
            out.insert(text.to_owned(), super::base::encode(value));
        }
        Ok(out)
    }
}

/// The records of an extended header.
fn split(mut bytes: &[u8]) -> BTreeMap<&[u8], &[u8]> {
    let mut out = BTreeMap::new();
    while let Some((key, value, rest)) = first(bytes) {
        out.insert(key, value);
        bytes = rest;
    }
    out
}

fn first(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|b| *b == b' ')?;
    let len: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(len)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// A number of a header: octal, or base 256; 0 for what is neither.
fn number(field: &[u8]) -> i64 {
    if field[0] & 0x80 != 0 {
        let start = if field[0] & 0x40 != 0 { -1 } else { 0 };
        let first = i128::from(field[0] & 0x3f);
        let whole = |n: i128, b: &u8| n << 8 | i128::from(*b);
        let n = field[1..].iter().fold(start << 6 | first, whole);
        return i64::try_from(n).unwrap_or_default();
    }
    let text = std::str::from_utf8(field).unwrap_or_default();
    i64::from_str_radix(text.trim_matches([' ', '\0']), 8).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), 0o644);
        assert_eq!(number(b"     17 "), 0o17);
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), 0);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0x1f, 0xff, 0xff]), 0x1f_ffff);
        assert_eq!(number(&[0xff; 8]), -1);
    }

    #[test]
    fn records() {
        let found = split(b"6 a=b\n17 SCHILY.xattr=\n");
        assert_eq!(found.get(&b"a"[..]), Some(&&b"b"[..]));
        assert!(split(b"99 a=b\n").is_empty());
    }
}
