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
        Self(Arc::default())
    }

    /// The path that `bytes` are, which are known to be one: those of another path, cut at a slash,
    /// or those of a stored tree that was checked.
    pub(crate) fn known(bytes: &[u8]) -> Self {
        Self(bytes.into())
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
        let slash = usize::from(!self.is_root());
        let len = self.0.len() + slash + name.len();
        // On the stack where it fits: then the path itself is all that is allocated.
        let mut short = [0; 512];
        if len > short.len() || !are_names(name, 0) {
            return Self::parse([&self.0, &b"/"[..], name].concat());
        }
        short[..self.0.len()].copy_from_slice(&self.0);
        short[self.0.len()..self.0.len() + slash].fill(b'/');
        short[len - name.len()..len].copy_from_slice(name);
        Ok(Self::known(&short[..len]))
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
        Some(Self::known(folder(&self.0)))
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
        is_within(&self.0, &base.0)
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
}

/// The order of paths, by their bytes.
pub(crate) fn order(a: &[u8], b: &[u8]) -> Ordering {
    let same = shared(a, b);
    match (a.get(same), b.get(same)) {
        (Some(a), Some(b)) => rank(*a).cmp(&rank(*b)),
        _ => a.len().cmp(&b.len()),
    }
}

/// Where a byte of a path sorts: a slash before every byte of a name (there is no NUL in one), and
/// so a folder's content before its next sibling.
pub(crate) const fn rank(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

/// How many bytes two paths begin with alike.
pub(crate) fn shared(a: &[u8], b: &[u8]) -> usize {
    // Neighbours in a tree share most of their bytes: eight at a time.
    let ((a8, _), (b8, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a8.iter().zip(b8).take_while(|(a, b)| a == b).count() * 8;
    let rest = a[words..].iter().zip(&b[words..]);
    words + rest.take_while(|(a, b)| a == b).count()
}

/// The folder that a path, which is not the root, is in.
pub(crate) fn folder(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    &path[..end]
}

/// Whether `path`, which is not the root, is one as it must be written, as far as its components
/// from the byte `start` on are concerned, where one of them begins.
pub(crate) fn are_names(path: &[u8], start: usize) -> bool {
    let is_deep = |path: &[u8]| path.iter().filter(|b| **b == b'/').count() >= LayerPath::MAX_DEPTH;
    // Each component but the last takes two bytes at least.
    if path.len() >= 2 * LayerPath::MAX_DEPTH && (path.len() > LayerPath::MAX_LEN || is_deep(path))
    {
        return false;
    }
    let mut names = path[start..].split(|b| *b == b'/');
    names.all(|name| {
        (1..=LayerPath::MAX_NAME).contains(&name.len())
            && !matches!(name, b"." | b"..")
            && !name.contains(&0)
    })
}

/// Whether `path` is `base` or lies inside it.
pub(crate) fn is_within(path: &[u8], base: &[u8]) -> bool {
    match path.strip_prefix(base) {
        Some([] | [b'/', ..]) => true,
        Some(_) => base.is_empty(),
        None => false,
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
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
        for (a, b) in [("a/b", "a"), ("a", "a"), ("a", "")] {
            assert!(is_within(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
        assert!(!is_within(b"ab", b"a") && !is_within(b"", b"a"));
        // Where they differ in the ninth byte, and one of them ends there.
        assert!(path("12345678/a") < path("12345678.") && path("12345678") < path("123456789"));
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
        assert_eq!(p.join("y").unwrap(), path("usr/lib/x/y"));
        assert_eq!(LayerPath::root().join("y").unwrap(), path("y"));
        for bad in ["a/b", "..", ".", "", "a\0b", &"n".repeat(256)] {
            assert!(p.join(bad).is_err(), "{bad}");
        }
        let mut deep = LayerPath::root();
        for _ in 0..512 {
            deep = deep.join("d").unwrap();
        }
        assert!(deep.join("d").is_err());
    }

    #[test]
    fn shows_every_byte() {
        let p = LayerPath::parse(b"a\xff\n").unwrap();
        assert_eq!(p.to_string(), "a\\xff\\n");
    }
}
