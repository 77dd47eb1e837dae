//! The file system that a path lies on: of which kind it is, and how much room it has. Changes
//! nothing, and does not judge.

use std::path::Path;

use crate::Error;

/// A file system, as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind, as the system calls it: `ext4`, `tmpfs`; empty where that cannot be told.
    pub kind: String,
    /// The bytes that this user can still write.
    pub free: u64,
    /// All of its bytes.
    pub size: u64,
}

impl FileSystem {
    /// The file system of an existing path.
    ///
    /// # Errors
    /// What the system said; [`Unsupported`](crate::ErrorKind::Unsupported) elsewhere than on Linux.
    #[cfg(target_os = "linux")]
    pub fn of(path: &Path) -> Result<Self, Error> {
        let asked = "ask for the file system of";
        let found = rustix::fs::statvfs(path).map_err(|e| Error::new(asked, path, e.into()))?;
        let whole = path.canonicalize().map_err(Error::on(asked, path))?;
        // Without /proc the numbers are still worth something.
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        Ok(Self {
            kind: kind(&String::from_utf8_lossy(&mounts), &whole).unwrap_or_default(),
            free: found.f_bavail.saturating_mul(found.f_frsize),
            size: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    /// The file system of an existing path.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported): only Linux is asked.
    #[cfg(not(target_os = "linux"))]
    pub fn of(path: &Path) -> Result<Self, Error> {
        let unsupported = std::io::ErrorKind::Unsupported.into();
        Err(Error::new("ask for the file system of", path, unsupported))
    }
}

/// The kind of the mount that `path` lies on (proc_pid_mountinfo(5)): the deepest, of several at one
/// place the last.
#[cfg(target_os = "linux")]
fn kind(mounts: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (place, kind) = line.split_once(" - ")?;
        let point = unescaped(place.split(' ').nth(4)?);
        let deeper = best.is_none_or(|(length, _)| point.len() >= length);
        if deeper && path.starts_with(&point) {
            best = Some((point.len(), kind.split(' ').next()?));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

/// Blanks and the like are written as `\040`.
#[cfg(target_os = "linux")]
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let octal = part.get(..3).and_then(|o| u8::from_str_radix(o, 8).ok());
        match octal {
            Some(byte) => {
                whole.push(char::from(byte));
                whole.push_str(&part[3..]);
            }
            None => {
                whole.push('\\');
                whole.push_str(part);
            }
        }
    }
    whole
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
                      2 1 0:5 / /var/lib rw shared:1 - xfs /dev/sdb rw\n\
                      3 1 0:6 / /var/lib rw - btrfs /dev/sdc rw\n\
                      4 1 0:7 / /a\\040b rw - tmpfs tmpfs rw\n";
        for (path, expected) in [
            ("/etc", "ext4"),
            ("/var/lib/kiln", "btrfs"),
            ("/var/library", "ext4"),
            ("/a b/c", "tmpfs"),
        ] {
            let found = kind(mounts, Path::new(path));
            assert_eq!(found.as_deref(), Some(expected), "{path}");
        }
        assert_eq!(kind("", Path::new("/")), None);
    }

    #[test]
    fn this_one_has_room() {
        let found = FileSystem::of(&std::env::temp_dir()).unwrap();
        assert!(found.size >= found.free && found.free > 0, "{found:?}");
        assert!(!found.kind.is_empty());
        assert!(FileSystem::of(Path::new("/surely/not")).is_err());
    }
}
