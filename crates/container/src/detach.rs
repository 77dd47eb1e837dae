//! The keys that let go of a container without ending it, as docker has them: `ctrl-p,ctrl-q`. Pure.

use crate::{Error, ErrorKind};

/// A sequence of keys that lets go of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// How many of the keys the last bytes were.
    matched: usize,
}

/// What is to be done with bytes that were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// These go to the container; they may be none, while a sequence is not decided yet.
    Pass(Vec<u8>),
    /// These go to the container, then the caller lets go of it.
    Detach(Vec<u8>),
}

impl Default for DetachKeys {
    /// docker's: `ctrl-p,ctrl-q`.
    fn default() -> Self {
        Self {
            keys: vec![0x10, 0x11],
            matched: 0,
        }
    }
}

impl DetachKeys {
    /// Reads keys separated by commas: a letter, or `ctrl-` and one of `a`-`z`, `@`, `[`, `\`, `]`,
    /// `^`, `_`. An empty text is docker's usual sequence.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with the key that is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = |key: &str| {
            let what = format!("invalid detach keys ({text}): unknown character: '{key}'");
            Error::new(ErrorKind::Invalid, what)
        };
        let mut keys = Vec::new();
        for key in text.split(',') {
            let code = match (key.strip_prefix("ctrl-"), key.as_bytes()) {
                (Some(name), _) => match name.as_bytes() {
                    [letter @ b'a'..=b'z'] => letter - b'a' + 1,
                    b"@" => 0,
                    [sign @ b'['..=b'_'] => sign - b'@',
                    _ => return Err(bad(key)),
                },
                (None, [letter]) => *letter,
                _ => return Err(bad(key)),
            };
            keys.push(code);
        }
        Ok(Self { keys, matched: 0 })
    }

    /// Takes what was typed. The beginning of the sequence is held back until it is clear that it
    /// is not meant.
    pub fn feed(&mut self, bytes: &[u8]) -> Typed {
        let mut pass = Vec::with_capacity(bytes.len() + self.matched);
        for &byte in bytes {
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Typed::Detach(pass);
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(byte == self.keys[0]);
            if self.matched == 0 {
                pass.push(byte);
            } else if self.keys.len() == 1 {
                self.matched = 0;
                return Typed::Detach(pass);
            }
        }
        Typed::Pass(pass)
    }

    /// What was held back, when nothing more comes.
    pub fn rest(&mut self) -> Vec<u8> {
        let held = self.keys[..self.matched].to_vec();
        self.matched = 0;
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        for (text, keys) in [
            ("", &[16u8, 17][..]),
            ("ctrl-p,ctrl-q", &[16, 17]),
            ("ctrl-a", &[1]),
            ("a,b", b"ab"),
            (
                "ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_",
                &[0, 27, 28, 29, 30, 31],
            ),
        ] {
            assert_eq!(DetachKeys::parse(text).unwrap().keys, keys, "{text}");
        }
        for bad in ["ctrl-", "ctrl-A", "ab", "ctrl-aa", "a,", "ctrl-1"] {
            let error = DetachKeys::parse(bad).unwrap_err().to_string();
            assert!(error.contains("invalid detach keys"), "{error}");
        }
    }

    #[test]
    fn what_passes_on() {
        let pass = |bytes: &[u8]| Typed::Pass(bytes.to_vec());
        let mut keys = DetachKeys::default();
        assert_eq!(keys.feed(b"ab"), pass(b"ab"));
        assert_eq!(keys.feed(b"a\x10"), pass(b"a"));
        assert_eq!(keys.feed(b"b"), pass(b"\x10b"));
        assert_eq!(keys.feed(b"\x10\x10"), pass(b"\x10"));
        assert_eq!(keys.feed(b"\x11x"), Typed::Detach(Vec::new()));
        assert_eq!(keys.feed(b"x\x10\x11y"), Typed::Detach(b"x".to_vec()));
        assert_eq!(keys.feed(b"x\x10"), pass(b"x"));
        assert_eq!(keys.rest(), b"\x10");
        let mut one = DetachKeys::parse("ctrl-c").unwrap();
        assert_eq!(one.feed(b"ab\x03"), Typed::Detach(b"ab".to_vec()));
    }
}
