//! Where things lie under the root of a store; README.md describes it. Pure: opens nothing.

use std::{ffi::OsString, path::PathBuf};

use kiln_image::{Algorithm, Digest};

use crate::{Error, ErrorKind};

/// The content of the file `version`.
pub(crate) const VERSION: &str = "kiln store 1\n";

/// Every folder of the layout, parents first.
pub(crate) const FOLDERS: [&str; 18] = [
    "blobs",
    "blobs/sha256",
    "trees",
    "layers",
    "diffs",
    "unpacked",
    "refs",
    "refs/image",
    "refs/cache",
    "refs/container",
    "refs/build",
    "sealed",
    "unsynced",
    "leases",
    "indexes",
    "mounts",
    "tmp",
    "locks",
];

/// The files beside them.
pub(crate) const FILES: [&str; 2] = ["version", "boot"];

/// The files in `locks` that stay.
pub(crate) const LASTING_LOCKS: [&str; 3] = ["collect", "boot", "mounts"];

/// The paths of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.in_folder("blobs/sha256", digest)
    }

    pub(crate) fn tree(&self, digest: &Digest) -> PathBuf {
        self.in_folder("trees", digest)
    }

    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.in_folder("layers", diff_id)
    }

    pub(crate) fn diff(&self, blob: &Digest) -> PathBuf {
        self.in_folder("diffs", blob)
    }

    pub(crate) fn unpacked(&self, diff_id: &Digest) -> PathBuf {
        self.in_folder("unpacked", diff_id)
    }

    pub(crate) fn sealed(&self, build: &str) -> PathBuf {
        self.root.join("sealed").join(build)
    }

    pub(crate) fn lease(&self, owner: &str) -> PathBuf {
        self.root.join("leases").join(owner)
    }

    pub(crate) fn tmp(&self, owner: &str) -> PathBuf {
        self.root.join("tmp").join(owner)
    }

    pub(crate) fn lock(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(name)
    }

    /// The file of the named root `name`: `kind/rest`.
    pub(crate) fn named(&self, name: &str) -> Result<PathBuf, Error> {
        let (kind, rest) = kind_of(name)?;
        if rest.is_empty() {
            let what = format!("`{name}` is not the name of a root: it ends with its kind");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(self.root.join("refs").join(kind).join(escape(rest)))
    }

    fn in_folder(&self, folder: &str, digest: &Digest) -> PathBuf {
        let mut path = self.root.join(folder);
        path.push(digest.hex());
        path
    }
}

/// Splits the name of a root into its kind, which has a folder, and the rest.
pub(crate) fn kind_of(name: &str) -> Result<(&str, &str), Error> {
    match name.split_once('/') {
        Some((kind @ ("image" | "cache" | "container" | "build"), rest)) => Ok((kind, rest)),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            format!("`{name}` is not the name of a root: it begins with no known kind"),
        )),
    }
}

/// Diff ids, blobs: SHA-256 and nothing else, because their file names are bare digits.
pub(crate) fn sha256(digest: &Digest) -> Result<(), Error> {
    match digest.algorithm() {
        Algorithm::Sha256 => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            format!("`{digest}` is not the digest of a blob or layer"),
        )),
    }
}

/// The longest file name that names are escaped to; a longer one becomes its digest.
const LONGEST: usize = 200;

/// A file name for `name`, injective, also where file names are compared without case.
pub(crate) fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (i, b) in name.bytes().enumerate() {
        match b {
            b'.' if i == 0 => out.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(char::from(b)),
            _ => out.push_str(&format!("%{b:02x}")),
        }
    }
    if out.len() > LONGEST {
        return format!("%-{}", Digest::sha256(name.as_bytes()).hex());
    }
    out
}

/// The name that was escaped to `file`; `None` for digests of long names, and for what was not
/// made by [`escape`].
pub(crate) fn unescape(file: &str) -> Option<String> {
    let mut out = Vec::with_capacity(file.len());
    let mut rest = file.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let (high, low) = (rest.next()?, rest.next()?);
        let digit = |b: u8| char::from(b).to_digit(16);
        out.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
    }
    let name = String::from_utf8(out).ok()?;
    (escape(&name) == file).then_some(name)
}

/// The folder in which a user's store lies: `$KILN_ROOT`, else `/var/lib/kiln` for root (`uid` 0),
/// else `$XDG_DATA_HOME/kiln`, else `$HOME/.local/share/kiln`. `env` looks a variable up.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) when none of the variables is set.
pub fn default_root(env: &dyn Fn(&str) -> Option<OsString>, uid: u32) -> Result<PathBuf, Error> {
    let set = |name| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(root) = set("KILN_ROOT") {
        return Ok(root);
    }
    if uid == 0 {
        return Ok(PathBuf::from("/var/lib/kiln"));
    }
    // A relative XDG folder is to be ignored (XDG base directory specification).
    let data = set("XDG_DATA_HOME").filter(|p| p.is_absolute());
    let data = data.or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("kiln")).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find a folder for the store")
            .hint("set `KILN_ROOT` or `HOME`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_injective_and_safe() {
        let long = "a/".repeat(120);
        let names = [
            "",
            ".",
            "..",
            "a",
            "A",
            "a/b",
            "a%2fb",
            "é",
            "a b",
            "docker.io/x:1",
            &long,
        ];
        let files: Vec<String> = names.iter().map(|n| escape(n)).collect();
        for (i, (name, file)) in names.iter().zip(&files).enumerate() {
            assert!(!file.contains('/') && file.len() <= LONGEST, "{file}");
            assert!(!matches!(file.as_str(), "." | ".."));
            assert_eq!(*file, file.to_lowercase());
            assert!(!files[..i].contains(file), "{name}");
            let back = (*name != long).then(|| (*name).to_owned());
            assert_eq!(unescape(file), back);
        }
        assert_eq!(unescape("%4"), None);
        assert_eq!(unescape("%61"), None, "not how `a` is written");
    }

    #[test]
    fn where_the_store_lies() {
        let root = |vars: &[(&str, &str)], uid| {
            let env = |name: &str| {
                let found = vars.iter().find(|(k, _)| *k == name);
                found.map(|(_, v)| OsString::from(*v))
            };
            default_root(&env, uid)
        };
        let home = ("HOME", "/h");
        for (vars, uid, want) in [
            (&[("KILN_ROOT", "/k"), home][..], 0, "/k"),
            (&[home], 0, "/var/lib/kiln"),
            (&[home, ("XDG_DATA_HOME", "/x")], 7, "/x/kiln"),
            (&[home, ("XDG_DATA_HOME", "x")], 7, "/h/.local/share/kiln"),
            (&[("KILN_ROOT", ""), home], 7, "/h/.local/share/kiln"),
        ] {
            assert_eq!(root(vars, uid).unwrap(), PathBuf::from(want));
        }
        assert!(
            root(&[], 7)
                .unwrap_err()
                .hint_text()
                .unwrap()
                .contains("KILN_ROOT")
        );
    }
}
