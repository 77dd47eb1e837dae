//! Files that a case needs, made from a table: what a checkout cannot carry is described.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use serde::Deserialize;

use super::Result;

/// Paths, each with what is there. A path that ends with a slash is a folder.
pub(super) type Items = BTreeMap<String, Item>;

/// What is at a path.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Item {
    /// The text of a file; `-> target` is a symbolic link.
    Text(String),
    /// More than that.
    Made(Made),
}

/// A file, with what is special about it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    #[serde(default)]
    text: String,
    /// Octal.
    mode: Option<String>,
    /// `user:group`, in an archive.
    owner: Option<String>,
    /// Seconds since 1970.
    mtime: Option<u64>,
    /// The path of which it is another name.
    hard: Option<String>,
    #[serde(default)]
    fifo: bool,
    /// The text is an archive of these.
    tar: Option<Items>,
    /// By which program an archive is compressed.
    compress: Option<String>,
    xattr: Option<BTreeMap<String, String>>,
}

impl Item {
    fn made(&self) -> Made {
        match self {
            Self::Made(made) => made.clone(),
            Self::Text(text) => Made {
                text: text.clone(),
                ..Made::default()
            },
        }
    }
}

impl Made {
    fn bytes(&self) -> Result<Vec<u8>> {
        let Some(items) = &self.tar else {
            return Ok(self.text.clone().into_bytes());
        };
        let mut tar = tar::Builder::new(Vec::new());
        archive(items, &mut tar)?;
        let plain = tar.into_inner()?;
        match &self.compress {
            None => Ok(plain),
            Some(program) => filter(program, &plain),
        }
    }

    fn mode(&self, otherwise: u32) -> Result<u32> {
        match &self.mode {
            None => Ok(otherwise),
            Some(octal) => Ok(u32::from_str_radix(octal, 8)?),
        }
    }
}

/// Makes files below a folder, theirs who are named.
pub(super) fn place(items: &Items, folder: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let folders = |path: &str| path.ends_with('/');
    fs::create_dir_all(folder)?;
    for (path, item) in items {
        let (made, at) = (item.made(), folder.join(path));
        let above = if folders(path) {
            Some(at.as_path())
        } else {
            at.parent()
        };
        fs::create_dir_all(above.ok_or("a file is in a folder")?)?;
        if folders(path) || made.hard.is_some() {
            continue;
        }
        if let Some(target) = made.text.strip_prefix("-> ") {
            symlink(target, &at)?;
            continue;
        }
        match made.fifo {
            true => drop(Command::new("mkfifo").arg(&at).status()?),
            false => fs::write(&at, made.bytes()?)?,
        }
        for (name, value) in made.xattr.iter().flatten() {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&at, name.as_str(), value.as_bytes(), flags)?;
        }
    }
    for (path, item) in items {
        if let Some(hard) = item.made().hard {
            fs::hard_link(folder.join(hard), folder.join(path))?;
        }
    }
    if let Some((user, group)) = owner {
        give(folder, user, group)?;
    }
    // Last, and what is inside a folder before it: a change of owner takes bits away, and a new
    // entry gives its folder another time.
    for (path, item) in items.iter().rev() {
        let (made, at) = (item.made(), folder.join(path));
        if made.text.starts_with("-> ") || made.hard.is_some() {
            continue;
        }
        let mode = made.mode(if folders(path) { 0o755 } else { 0o644 })?;
        fs::set_permissions(&at, fs::Permissions::from_mode(mode))?;
        if let Some(mtime) = made.mtime {
            fs::File::open(&at)?.set_modified(UNIX_EPOCH + Duration::from_secs(mtime))?;
        }
    }
    Ok(())
}

fn give(path: &Path, user: u32, group: u32) -> Result<()> {
    lchown(path, Some(user), Some(group))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

/// Puts files into an archive, in the order of their paths.
pub(super) fn archive(items: &Items, tar: &mut tar::Builder<Vec<u8>>) -> Result<()> {
    for (path, item) in items {
        let made = item.made();
        let mut header = tar::Header::new_gnu();
        let folder = path.ends_with('/');
        header.set_mode(made.mode(if folder { 0o755 } else { 0o644 })?);
        header.set_mtime(made.mtime.unwrap_or(1_000_000_000));
        let (user, group) = match &made.owner {
            None => (0, 0),
            Some(owner) => {
                let (user, group) = owner.split_once(':').ok_or("an owner is user:group")?;
                (user.parse()?, group.parse()?)
            }
        };
        header.set_uid(user);
        header.set_gid(group);
        header.set_size(0);
        let target = made.text.strip_prefix("-> ");
        if let Some(target) = target.or(made.hard.as_deref()) {
            header.set_entry_type(match target.len() < made.text.len() {
                true => tar::EntryType::Symlink,
                false => tar::EntryType::Link,
            });
            header.set_mode(made.mode(0o777)?);
            tar.append_link(&mut header, path, target)?;
            continue;
        }
        let bytes = made.bytes()?;
        header.set_size(bytes.len() as u64);
        header.set_entry_type(match (folder, made.fifo) {
            (true, _) => tar::EntryType::Directory,
            (false, true) => tar::EntryType::Fifo,
            (false, false) => tar::EntryType::Regular,
        });
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    Ok(())
}

/// What a program makes of these bytes.
fn filter(program: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{program}: {e}"))?;
    // The archives of cases are smaller than what a pipe holds.
    child.stdin.take().ok_or("a pipe")?.write_all(bytes)?;
    Ok(child.wait_with_output()?.stdout)
}
