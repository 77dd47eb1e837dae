//! [`LayerPath`]: where an entry is inside a layer. Refuses everything that could leave it.

use std::{cmp::Ordering, fmt, path::PathBuf, str::FromStr, sync::Arc};

use crate::Error;

/// A path inside a layer or a file tree: bytes, relative, normalised, unable to escape.
///
/// No `.`, no `..`, no empty component, no NUL; at most [`LayerPath::MAX_LEN`] bytes,
/// [`LayerPath::MAX_DEPTH`] components and [`LayerPath::MAX_NAME`] bytes a component. The empty
/// path is the root. The order is by component, so that a folder comes directly before what is in
/// it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LayerPath(Arc<[u8]>);

impl LayerPath {
    /// The longest path, in bytes (Linux `PATH_MAX` without its NUL).
    pub const MAX_LEN: usize = 4095;
    /// The longest component, in bytes (Linux `NAME_MAX`).
    pub const MAX_NAME: usize = 255;
    /// The deepest path, in components: below the usual limit of open files, so that a tree of
    /// that depth can be deleted with one descriptor a level.
    pub const MAX_DEPTH: usize = 512;

    /// The root of the tree.
    pub fn root() -> Self {
        Self(Arc::from(&[][..]))
    }

    /// Reads a path as archives and people write it: a leading `/` or `./`, doubled and trailing
    /// slashes and `.` are dropped.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::ErrorKind::Refused) for `..` and beyond the limits,
    /// [`Invalid`](crate::ErrorKind::Invalid) for a NUL.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        let refuse = |why: &str| Error::refused(format!("path `{}`: {why}", escaped(bytes)));
        if bytes.contains(&0) {
            return Err(Error::invalid(format!(
                "path `{}`: contains a NUL",
                escaped(bytes)
            )));
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut depth = 0;
        for name in bytes.split(|b| *b == b'/') {
            match name {
                b"" | b"." => continue,
                b".." => return Err(refuse("`..` could leave the root")),
                _ if name.len() > Self::MAX_NAME => {
                    return Err(refuse("a component is longer than 255 bytes"));
                }
                _ => {}
            }
            if !out.is_empty() {
                out.push(b'/');
            }
            out.extend_from_slice(name);
            depth += 1;
        }
        if out.len() > Self::MAX_LEN {
            return Err(refuse("longer than 4095 bytes"));
        }
        if depth > Self::MAX_DEPTH {
            return Err(refuse("deeper than 512 folders"));
        }
        Ok(Self(out.into()))
    }

    /// The path of `name`, one component, inside this one.
    ///
    /// # Errors
    ///
    /// As [`LayerPath::parse`], and [`Invalid`](crate::ErrorKind::Invalid) unless `name` is exactly
    /// one component.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, Error> {
        let name = name.as_ref();
        if name.is_empty() || name == b"." || name.contains(&b'/') {
            return Err(Error::invalid(format!(
                "`{}` is not the name of an entry",
                escaped(name)
            )));
        }
        Self::parse([&self.0, &b"/"[..], name].concat())
    }

    /// `inner` as seen from this path: all of its components after this one's.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::ErrorKind::Refused) when the result is beyond the limits.
    pub fn append(&self, inner: &LayerPath) -> Result<Self, Error> {
        if self.is_root() {
            return Ok(inner.clone());
        }
        if inner.is_root() {
            return Ok(self.clone());
        }
        Self::parse([&self.0, &b"/"[..], &inner.0].concat())
    }

    /// The folder that it is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// The last component; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.0
            .rsplit(|b| *b == b'/')
            .next()
            .filter(|n| !n.is_empty())
    }

    /// Its components, from the root on.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|n| !n.is_empty())
    }

    /// How many components it has.
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// The folders above it, from the root (included) down to its parent.
    pub fn ancestors(&self) -> impl Iterator<Item = LayerPath> + '_ {
        let ends = self.0.iter().enumerate().filter(|(_, b)| **b == b'/');
        let root = (!self.is_root()).then(Self::root);
        root.into_iter()
            .chain(ends.map(|(end, _)| Self(self.0[..end].into())))
    }

    /// Whether this is `base` or lies inside it, by components.
    pub fn starts_with(&self, base: &LayerPath) -> bool {
        self.strip(base).is_some()
    }

    /// What remains of it inside `base`; `None` when it is not `base` and not inside it.
    pub fn strip(&self, base: &LayerPath) -> Option<LayerPath> {
        if base.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&*base.0)? {
            [] => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(rest.into())),
            _ => None,
        }
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bytes, without a leading or trailing slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a relative path of this system; `None` where it cannot be written as one.
    pub fn to_path(&self) -> Option<PathBuf> {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            Some(PathBuf::from(std::ffi::OsStr::from_bytes(&self.0)))
        }
        #[cfg(not(unix))]
        {
            std::str::from_utf8(&self.0).ok().map(PathBuf::from)
        }
    }

    /// The smallest path that comes after it and everything inside it.
    pub(crate) fn beyond(&self) -> Option<Self> {
        (!self.is_root()).then(|| Self([&self.0, &b"\x01"[..]].concat().into()))
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash sorts before every byte of a name (there is no NUL in one), and so a folder's
        // content before its next sibling.
        let common = self.0.iter().zip(other.0.iter()).find(|(a, b)| a != b);
        match common {
            None => self.0.len().cmp(&other.0.len()),
            Some((b'/', _)) => Ordering::Less,
            Some((_, b'/')) => Ordering::Greater,
            Some((a, b)) => a.cmp(b),
        }
    }
}

impl PartialOrd for LayerPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for LayerPath {
    fn default() -> Self {
        Self::root()
    }
}

impl FromStr for LayerPath {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        Self::parse(s)
    }
}

impl fmt::Display for LayerPath {
    /// Escaped where it is not printable text; the root is `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        f.write_str(&escaped(&self.0))
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Bytes as text for a message: control characters and what is not UTF-8 become `\xNN`; long texts
/// are cut.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const SHOWN: usize = 300;
    let mut out = String::new();
    let cut = bytes.len().min(SHOWN);
    for chunk in bytes[..cut].utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    if cut < bytes.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(s: &str) -> LayerPath {
        s.parse().unwrap()
    }

    #[test]
    fn normalises() {
        for (text, expected) in [
            ("", ""),
            ("/", ""),
            ("./", ""),
            ("/usr//bin/./x/", "usr/bin/x"),
            ("...", "..."),
            ("a/..b", "a/..b"),
        ] {
            assert_eq!(path(text).as_bytes(), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_leave_or_is_too_much() {
        let long_name = "a".repeat(256);
        let long = ["a".repeat(200).as_str(); 21].join("/");
        let deep = "a/".repeat(513);
        for bad in [
            "..", "a/../b", "/..", "a/..", "a\0b", &long_name, &long, &deep,
        ] {
            assert!(LayerPath::parse(bad).is_err(), "{bad}");
        }
        assert!(LayerPath::parse("a/".repeat(512)).is_ok());
    }

    #[test]
    fn a_folder_comes_directly_before_what_is_in_it() {
        let mut all: Vec<_> = ["a.b", "a/z", "a", "", "a/b", "a/b/c", "a\x01", "b"]
            .map(path)
            .to_vec();
        all.sort();
        let sorted: Vec<_> = all.iter().map(LayerPath::as_bytes).collect();
        assert_eq!(
            sorted,
            ["", "a", "a/b", "a/b/c", "a/z", "a\x01", "a.b", "b"].map(str::as_bytes)
        );
        assert!(path("a/zz") < path("a").beyond().unwrap());
        assert!(path("a\x01") >= path("a").beyond().unwrap());
    }

    #[test]
    fn parts() {
        let p = path("usr/lib/x");
        assert_eq!(p.parent(), Some(path("usr/lib")));
        assert_eq!(path("usr").parent(), Some(LayerPath::root()));
        assert_eq!(LayerPath::root().parent(), None);
        assert_eq!(p.name(), Some(&b"x"[..]));
        assert_eq!(
            p.ancestors().collect::<Vec<_>>(),
            [path(""), path("usr"), path("usr/lib")]
        );
        assert_eq!(p.strip(&path("usr")), Some(path("lib/x")));
        assert_eq!(path("usrx").strip(&path("usr")), None);
        assert!(p.join("a/b").is_err() && p.join("..").is_err() && p.join("").is_err());
    }

    #[test]
    fn shows_every_byte() {
        let p = LayerPath::parse(b"a\xff\n").unwrap();
        assert_eq!(p.to_string(), "a\\xff\\n");
    }
}
