//! The stored form of an [`Index`]. Decoding trusts nothing, the checksum included.

use std::collections::BTreeMap;

use super::{Index, MOST, Record, Stamp};
use crate::{
    Error, ErrorKind, Time, keeps_attribute,
    xattrs::{MAX_COUNT, MAX_NAME, MAX_VALUE},
};

const MAGIC: &[u8; 8] = b"kilnindx";
const VERSION: u32 = 1;
const SUM: usize = 32;
/// What a record without attributes has.
const RECORD: usize = 8 * 5 + 4 * 2 + 1 + 32 + 2;

pub(super) fn encode(index: &Index) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + index.len() * RECORD);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&index.looked.to_le_bytes());
    out.extend_from_slice(&(index.len() as u64).to_le_bytes());
    for record in &index.records {
        let stamp = &record.stamp;
        for number in [stamp.device, stamp.inode, stamp.size] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [stamp.mtime, stamp.ctime] {
            out.extend_from_slice(&time.seconds.to_le_bytes());
            out.extend_from_slice(&time.nanos.to_le_bytes());
        }
        out.push(record.age);
        out.extend_from_slice(&record.digest);
        // A scan takes no more of them than a tree may have.
        out.extend_from_slice(&(record.xattrs.len() as u16).to_le_bytes());
        for (name, value) in &record.xattrs {
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
    }
    let sum = blake3::hash(&out);
    out.extend_from_slice(sum.as_bytes());
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Index, Error> {
    let Some((body, sum)) = bytes.split_last_chunk::<SUM>() else {
        return Err(invalid("it is cut"));
    };
    let mut rest = Rest(body);
    if rest.take::<8>()? != *MAGIC {
        return Err(invalid("it does not begin as one"));
    }
    let version = u32::from_le_bytes(rest.take()?);
    if version != VERSION {
        let what = format!("stored index of version {version}; known is {VERSION}");
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    if blake3::hash(body) != blake3::Hash::from_bytes(*sum) {
        return Err(invalid("its checksum is another"));
    }
    let looked = i64::from_le_bytes(rest.take()?);
    let count = usize::try_from(rest.u64()?).unwrap_or(usize::MAX);
    if count > MOST || count > rest.0.len() / RECORD {
        return Err(invalid("it has more records than bytes"));
    }
    let mut records: Vec<Record> = Vec::with_capacity(count);
    for _ in 0..count {
        let record = rest.record()?;
        if records
            .last()
            .is_some_and(|l| l.stamp.key() >= record.stamp.key())
        {
            return Err(invalid("its records are not in order"));
        }
        records.push(record);
    }
    match rest.0 {
        [] => Ok(Index { records, looked }),
        _ => Err(invalid("something follows its end")),
    }
}

fn invalid(what: &str) -> Error {
    Error::invalid(format!("stored index: {what}"))
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| invalid("it is cut"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| invalid("it is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn time(&mut self) -> Result<Time, Error> {
        let seconds = i64::from_le_bytes(self.take()?);
        let nanos = u32::from_le_bytes(self.take()?);
        match nanos < 1_000_000_000 {
            true => Ok(Time { seconds, nanos }),
            false => Err(invalid("a time is out of range")),
        }
    }

    fn record(&mut self) -> Result<Record, Error> {
        let stamp = Stamp {
            device: self.u64()?,
            inode: self.u64()?,
            size: self.u64()?,
            mtime: self.time()?,
            ctime: self.time()?,
        };
        let [age] = self.take()?;
        Ok(Record {
            stamp,
            age,
            digest: self.take()?,
            xattrs: self.attributes()?,
        })
    }

    fn attributes(&mut self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let count = usize::from(u16::from_le_bytes(self.take()?));
        let mut all = BTreeMap::new();
        for _ in 0..count {
            let name = usize::from(u16::from_le_bytes(self.take()?));
            let name = self.bytes(name)?.to_vec();
            let value = u32::from_le_bytes(self.take()?) as usize;
            let value = self.bytes(value)?.to_vec();
            if !keeps_attribute(&name) || name.len() > MAX_NAME || value.len() > MAX_VALUE {
                return Err(invalid("it has an attribute that no layer has"));
            }
            all.insert(name, value);
        }
        match all.len() == count && count <= MAX_COUNT {
            true => Ok(all),
            false => Err(invalid("its attributes are out of bounds")),
        }
    }
}
