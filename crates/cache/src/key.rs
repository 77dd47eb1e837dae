//! Keys: digests of named parts, injective by construction. Refuses values without a name.

use std::{fmt, str::FromStr};

use kiln_image::{Algorithm, Digest};

use crate::{Error, ErrorKind, Part};

/// The name of a record: what a result depends on, hashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Digest);

impl Key {
    /// The key of `parts`, in their order, in `domain`: what explains the key is what made it.
    pub fn of(domain: &str, parts: &[Part]) -> Self {
        let mut key = KeyBuilder::new(domain);
        for part in parts {
            let tree = part.tree.map(|d| d.to_string()).unwrap_or_default();
            key = key
                .part(&part.name, part.value.as_bytes())
                .part("tree", tree.as_bytes());
        }
        key.finish()
    }

    /// The BLAKE3 digest that it is.
    pub fn digest(&self) -> Digest {
        self.0
    }

    /// 64 hexadecimal digits: a good file name.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

impl From<Digest> for Key {
    /// A digest that already is one of everything that counts.
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        match s.parse() {
            Ok(digest) => Ok(Self(digest)),
            Err(e) => Err(Error::new(ErrorKind::Invalid, format!("read the key `{s}`")).because(e)),
        }
    }
}

/// Makes a [`Key`] from a domain and named parts.
///
/// Each name and value goes into the hash behind its length, so that no two lists of parts look
/// alike: `("a", "bc")` is not `("ab", "c")`, and one part is not two.
///
/// ```
/// use kiln_cache::KeyBuilder;
/// let run = |argv: &str| KeyBuilder::new("run/1").part("argv", argv.as_bytes()).finish();
/// assert_eq!(run("make"), run("make"));
/// assert_ne!(run("make"), run("make all"));
/// ```
#[derive(Clone, Debug)]
pub struct KeyBuilder {
    hash: blake3::Hasher,
}

impl KeyBuilder {
    /// Starts a key. The domain says what kind of thing it is a key of, and in which version.
    pub fn new(domain: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        framed(&mut hash, domain.as_bytes());
        Self { hash }
    }

    /// Adds a part. The order counts.
    #[must_use]
    pub fn part(mut self, name: &str, value: &[u8]) -> Self {
        framed(&mut self.hash, name.as_bytes());
        framed(&mut self.hash, value);
        self
    }

    /// Adds a digest: its algorithm and its bytes.
    #[must_use]
    pub fn digest(self, name: &str, value: &Digest) -> Self {
        self.part(name, value.to_string().as_bytes())
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.part(name, &value.to_le_bytes())
    }

    /// Adds another key: that of an input.
    #[must_use]
    pub fn key(self, name: &str, value: &Key) -> Self {
        self.digest(name, &value.0)
    }

    /// The key.
    pub fn finish(self) -> Key {
        Key(Digest::new(
            Algorithm::Blake3,
            *self.hash.finalize().as_bytes(),
        ))
    }
}

fn framed(hash: &mut blake3::Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
