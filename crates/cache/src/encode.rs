//! The bytes of a record: a magic word with a version, counts and lengths as little-endian 64 bit
//! numbers, and a BLAKE3 checksum at the end. Any other bytes are an error, never a panic.

use kiln_image::Digest;

use crate::{Error, ErrorKind, Part, Record};

const MAGIC: &[u8] = b"kiln record 1\n";
const CHECKSUM: usize = 32;

impl Record {
    /// The record as bytes; the same record gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        number(&mut out, self.parts.len());
        for part in &self.parts {
            bytes(&mut out, part.name.as_bytes());
            bytes(&mut out, part.value.as_bytes());
            let tree = part.tree.map(|d| d.to_string()).unwrap_or_default();
            bytes(&mut out, tree.as_bytes());
        }
        bytes(&mut out, &self.value);
        number(&mut out, self.refs.len());
        for digest in &self.refs {
            bytes(&mut out, digest.to_string().as_bytes());
        }
        let checksum = blake3::hash(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// Reads what [`encode`](Record::encode) wrote.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) for all other bytes.
    pub fn decode(encoded: &[u8]) -> Result<Self, Error> {
        let Some(rest) = encoded.strip_prefix(MAGIC) else {
            return Err(damaged("it does not begin as one of this version"));
        };
        let (rest, checksum) = rest
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| damaged("it is cut short"))?;
        if blake3::hash(&encoded[..encoded.len() - CHECKSUM]) != *checksum {
            return Err(damaged("its checksum is another one"));
        }
        let mut reader = Reader(rest);
        let mut record = Record::default();
        for _ in 0..reader.number()? {
            record.parts.push(Part {
                name: reader.text()?,
                value: reader.text()?,
                tree: match reader.text()?.as_str() {
                    "" => None,
                    digest => Some(parse(digest)?),
                },
            });
        }
        record.value = reader.bytes()?.to_vec();
        for _ in 0..reader.number()? {
            record.refs.push(parse(&reader.text()?)?);
        }
        match reader.0 {
            [] => Ok(record),
            _ => Err(damaged("there is something behind its end")),
        }
    }
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u64).to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], Error> {
        let n = usize::try_from(n).ok().filter(|n| *n <= self.0.len());
        let n = n.ok_or_else(|| damaged("a length is longer than what follows"))?;
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let eight = self.take(8)?;
        Ok(u64::from_le_bytes(
            eight.try_into().expect("eight bytes were taken"),
        ))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let n = self.number()?;
        self.take(n)
    }

    fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| damaged("a text is not UTF-8"))
    }
}

fn parse(digest: &str) -> Result<Digest, Error> {
    digest
        .parse()
        .map_err(|e| damaged("a digest is not one").because(e))
}

fn damaged(why: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the cache record is damaged: {why}"),
    )
}
