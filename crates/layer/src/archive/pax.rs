//! PAX extended headers (POSIX.1-2017, `pax`, "pax Extended Header"). No IO.

use std::collections::BTreeMap;

use crate::{Error, Time, path::escaped, xattrs};

/// The records of one header; of two with the same key the later counts, an empty one not at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Pax {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The map of a sparse file in format 0.0: records of which each counts, in pairs.
    pairs: Vec<Vec<u8>>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";
const OFFSET: &[u8] = b"GNU.sparse.offset";
const LENGTH: &[u8] = b"GNU.sparse.numbytes";

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, Error> {
        let invalid = || Error::invalid("tar: an extended header has a broken record");
        let mut out = Self::default();
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|b| *b == b' ');
            let space = space.ok_or_else(invalid)?;
            let len = decimal(&bytes[..space]).ok_or_else(invalid)?;
            let len = usize::try_from(len).map_err(|_| invalid())?;
            let (record, rest) = bytes.split_at_checked(len).ok_or_else(invalid)?;
            let record = record.get(space + 1..).ok_or_else(invalid)?;
            let record = record.strip_suffix(b"\n").ok_or_else(invalid)?;
            let equals = record.iter().position(|b| *b == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(invalid)?);
            if key.is_empty() {
                return Err(invalid());
            }
            out.add(key, &value[1..])?;
            bytes = rest;
        }
        Ok(out)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if key != OFFSET && key != LENGTH {
            self.records.insert(key.to_vec(), value.to_vec());
            return Ok(());
        }
        let expected = if self.pairs.len().is_multiple_of(2) {
            OFFSET
        } else {
            LENGTH
        };
        if key != expected {
            return Err(bad(key, value));
        }
        self.pairs.push(value.to_vec());
        Ok(())
    }

    /// Whether they say where an entry is, or how long.
    pub(super) fn moves_entries(&self) -> bool {
        let keys: [&[u8]; 3] = [b"path", b"linkpath", b"size"];
        self.is_sparse() || keys.iter().any(|k| self.records.contains_key(*k))
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let value = self.records.get(key).map(Vec::as_slice);
        value.filter(|v| !v.is_empty())
    }

    /// Whether any record speaks of a sparse file (GNU tar, formats 0.0, 0.1 and 1.0).
    pub(super) fn is_sparse(&self) -> bool {
        let mut of_sparse = self.records.range(SPARSE.to_vec()..);
        !self.pairs.is_empty() || of_sparse.next().is_some_and(|(k, _)| k.starts_with(SPARSE))
    }

    /// The numbers of the map of a sparse file in the formats 0.0 and 0.1.
    pub(super) fn sparse_map(&self) -> Result<Option<Vec<u64>>, Error> {
        let key = b"GNU.sparse.map";
        let numbers = match (self.get(key), &self.pairs[..]) {
            (None, []) => return Ok(None),
            (Some(map), []) => map.split(|b| *b == b',').map(decimal).collect(),
            (None, pairs) => pairs.iter().map(|n| decimal(n)).collect(),
            // Two maps: readers take one or the other.
            (Some(_), _) => None,
        };
        let numbers: Option<Vec<u64>> = numbers;
        let whole = numbers.filter(|n| n.len().is_multiple_of(2));
        match whole {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(bad(key, self.get(key).unwrap_or_default())),
        }
    }

    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>, Error> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        decimal(text).map(Some).ok_or_else(|| bad(key, text))
    }

    /// Seconds since 1970 with a fraction; both may be negative together.
    pub(super) fn time(&self, key: &[u8]) -> Result<Option<Time>, Error> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        time(text).map(Some).ok_or_else(|| bad(key, text))
    }

    /// The extended attributes that belong to an image.
    pub(super) fn xattrs(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let mut out = BTreeMap::new();
        for (key, value) in self.records.range(XATTR.to_vec()..) {
            let Some(name) = key.strip_prefix(XATTR) else {
                break;
            };
            if !xattrs::keeps_attribute(name) {
                continue;
            }
            if name.contains(&0) || name.len() > xattrs::MAX_NAME || value.len() > xattrs::MAX_VALUE
            {
                let what = format!("tar: the attribute `{}` is too long", escaped(name));
                return Err(Error::refused(what));
            }
            out.insert(name.to_vec(), value.clone());
        }
        if out.len() > xattrs::MAX_COUNT {
            return Err(Error::refused(format!(
                "tar: {} attributes; the limit is {}",
                out.len(),
                xattrs::MAX_COUNT
            )));
        }
        Ok(out)
    }
}

fn bad(key: &[u8], text: &[u8]) -> Error {
    Error::invalid(format!(
        "tar: an extended header has the {} `{}`",
        escaped(key),
        escaped(text)
    ))
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|b| *b == b'.');
    let (whole, fraction) = text.split_at(dot.unwrap_or(text.len()));
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Nine digits count; the rest is below a nanosecond.
    let digits = fraction.iter().map(|b| u32::from(b - b'0'));
    let padded = digits.chain(std::iter::repeat(0)).take(9);
    let nanos = padded.fold(0, |n, d| n * 10 + d);
    Some(match (negative, nanos) {
        (false, nanos) => Time { seconds, nanos },
        (true, 0) => Time::at(-seconds),
        (true, nanos) => Time {
            seconds: -seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("5", Some((5, 0))),
            ("5.25", Some((5, 250_000_000))),
            ("5.0000000019", Some((5, 1))),
            ("-5", Some((-5, 0))),
            ("-0.25", Some((-1, 750_000_000))),
            ("", None),
            ("x", None),
            ("5.x", None),
            ("--5", None),
            ("99999999999999999999", None),
        ] {
            let found = time(text.as_bytes()).map(|t| (t.seconds, t.nanos));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn broken_records() {
        for bad in [
            "x",
            "5 a=b",
            "7 a=b\n",
            "6 a=b",
            "6 ab\n\n",
            "3 =\n",
            "0 ",
            "1 a=b\n",
            "99999999999999999999 a=b\n",
            "-6 a=b\n",
            "+6 a=b\n",
        ] {
            assert!(Pax::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(
            Pax::parse(b"6 a=b\n6 a=c\n").unwrap().get(b"a"),
            Some(&b"c"[..])
        );
    }
}
