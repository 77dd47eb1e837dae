//! Content digests: parsed before they become a path, compared as bytes. Refuses to guess an
//! algorithm from a length.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::{Error, ErrorKind};

/// How the bytes of a [`Digest`] were computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256: what the OCI formats ask for.
    Sha256,
    /// BLAKE3 with 32 bytes of output: file digests and keys that never leave the machine.
    Blake3,
}

impl Algorithm {
    /// The name before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Blake3 => "blake3",
        }
    }
}

/// The digest of some bytes: `algorithm:hex` (OCI image-spec, descriptor.md, "Digests").
///
/// Ordered by algorithm, then bytes. 33 bytes, `Copy`, a good map key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 32],
}

impl Digest {
    /// A digest from its raw bytes.
    pub const fn new(algorithm: Algorithm, bytes: [u8; 32]) -> Self {
        Self { algorithm, bytes }
    }

    /// The SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::new(Algorithm::Sha256, Sha256::digest(bytes).into())
    }

    /// How it was computed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The 32 raw bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// 64 lower-case hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        let mut s = String::with_capacity(64);
        for b in self.bytes {
            s.push(char::from_digit(u32::from(b >> 4), 16).expect("a nibble is below 16"));
            s.push(char::from_digit(u32::from(b & 15), 16).expect("a nibble is below 16"));
        }
        s
    }

    /// The first twelve hexadecimal digits, as tools print image ids.
    pub fn short(&self) -> String {
        let mut s = self.hex();
        s.truncate(12);
        s
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::invalid(format!("digest `{s}`: {why}"));
        let (name, hex) = s
            .split_once(':')
            .ok_or_else(|| bad("no algorithm before a colon"))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "blake3" => Algorithm::Blake3,
            "sha384" | "sha512" => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("digest `{s}`: {name} is not supported"),
                ));
            }
            _ => return Err(bad("unknown algorithm")),
        };
        if hex.len() != 64 {
            return Err(bad("expected 64 hexadecimal digits"));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                return Err(bad("expected lower-case hexadecimal digits"));
            };
            *byte = high << 4 | low;
        }
        Ok(Self { algorithm, bytes })
    }
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

/// Passes bytes on to a writer and computes their SHA-256 and length on the way.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    len: u64,
}

impl<W: io::Write> HashingWriter<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            len: 0,
        }
    }

    /// How many bytes have been written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has been written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The writer, the digest and the length of all that was written.
    pub fn finish(self) -> (W, Digest, u64) {
        let digest = Digest::new(Algorithm::Sha256, self.hash.finalize().into());
        (self.inner, digest, self.len)
    }
}

impl<W: io::Write> io::Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hash.update(&buf[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a blob and fails at its end, or as soon as it is too long, unless digest and size are the
/// expected ones. What was read is not to be relied on before the end was seen without an error.
///
/// The digest must be a SHA-256.
#[derive(Debug)]
pub struct Verifier<R> {
    inner: R,
    hash: Option<Sha256>,
    expected: Digest,
    size: u64,
    seen: u64,
}

impl<R: io::Read> Verifier<R> {
    /// Wraps `inner`, whose bytes are expected to be `size` bytes with the digest `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self {
            inner,
            hash: Some(Sha256::new()),
            expected,
            size,
            seen: 0,
        }
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(hash) = self.hash.take() else {
            return Ok(());
        };
        if self.seen != self.size {
            return Err(self.mismatch(&format!("got {} bytes of {}", self.seen, self.size)));
        }
        let found = Digest::new(Algorithm::Sha256, hash.finalize().into());
        if found != self.expected {
            return Err(self.mismatch(&format!("the bytes have the digest {found}")));
        }
        Ok(())
    }

    fn mismatch(&self, why: &str) -> io::Error {
        Error::new(
            ErrorKind::Mismatch,
            format!("blob `{}`: {why}", self.expected),
        )
        .into()
    }
}

impl<R: io::Read> io::Read for Verifier<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buf)?;
        if n == 0 {
            self.check()?;
            return Ok(0);
        }
        self.seen += n as u64;
        if self.seen > self.size {
            return Err(self.mismatch(&format!("more than the {} bytes announced", self.size)));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&buf[..n]);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn text_and_back() {
        let d = Digest::sha256(b"");
        assert_eq!(
            d.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(d.to_string().parse::<Digest>().unwrap(), d);
        assert_eq!(d.short(), "e3b0c44298fc");
    }

    #[test]
    fn refuses() {
        for (text, why) in [
            ("e3b0", "no algorithm"),
            ("md5:00", "unknown algorithm"),
            ("sha512:00", "not supported"),
            ("sha256:00", "64"),
            (&format!("sha256:{}", "A".repeat(64)), "lower-case"),
            (&format!("sha256:{}/", "a".repeat(63)), "lower-case"),
        ] {
            let e = text.parse::<Digest>().unwrap_err().to_string();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn verifier_catches_short_long_and_other_bytes() {
        let d = Digest::sha256(b"abc");
        let read = |bytes: &'static [u8], size| {
            let mut out = Vec::new();
            Verifier::new(bytes, d, size)
                .read_to_end(&mut out)
                .map(|_| out)
        };
        assert_eq!(read(b"abc", 3).unwrap(), b"abc");
        assert!(
            read(b"ab", 3)
                .unwrap_err()
                .to_string()
                .contains("got 2 bytes of 3")
        );
        assert!(
            read(b"abcd", 3)
                .unwrap_err()
                .to_string()
                .contains("more than")
        );
        assert!(
            read(b"abd", 3)
                .unwrap_err()
                .to_string()
                .contains("have the digest")
        );
    }
}
