//! A volume as it is made: empty, or with what an image has at the place where it is mounted.

use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use kiln_image::Digest;
use kiln_layer::{Files as _, Kind, LayerPath, Packer, Root, Times, Tree};

use super::{DATA, Noted, USERS, Volume, Volumes, note, stored};
use crate::files::through;
use crate::mounts::check_name;
use crate::state::failed;
use crate::{Error, ErrorKind};

/// Where the first content of a volume comes from.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    /// The image's layers, the bottom first.
    pub(super) layers: &'a [Digest],
    /// The path inside.
    pub(super) path: &'a str,
}

/// What one attempt came to.
enum Met {
    Volume(Volume),
    /// There is none, or it is empty and could be filled.
    Wanting,
}

impl Volumes {
    /// The volume `name`, made where it is missing, filled where it is empty and nobody else's, and
    /// used by the container `user`.
    pub(super) fn make(
        &self,
        name: &str,
        noted: &Noted,
        user: Option<&str>,
        content: Option<Content<'_>>,
    ) -> Result<Volume, Error> {
        check_name(name)?;
        if let Met::Volume(volume) = self.meet(name, user, content.is_some())? {
            return Ok(volume);
        }
        let scratch = self.roots.store().begin().map_err(stored)?;
        let new = scratch.tmp().map_err(stored)?.join("volume");
        std::fs::create_dir_all(new.join(USERS)).map_err(failed("make", &new))?;
        self.fill(&new.join(DATA), content)?;
        let lock = self.lock()?;
        let at = self.folder.join(name);
        match self.read(name)? {
            None => {
                note(&new, noted)?;
                mark(&new, user)?;
                std::fs::rename(&new, &at).map_err(failed("make", &at))?;
            }
            // Somebody was faster, or it is the empty one.
            Some(there) => {
                mark(&at, user)?;
                if content.is_some() && self.is_fresh(&there, user)? {
                    let old = Noted {
                        created: there.created,
                        anonymous: there.anonymous,
                        labels: there.labels,
                    };
                    note(&new, &old)?;
                    mark(&new, user)?;
                    exchange(&new, &at)?;
                }
            }
        }
        drop(lock);
        self.get(name)
    }

    fn meet(&self, name: &str, user: Option<&str>, fills: bool) -> Result<Met, Error> {
        let _lock = self.lock()?;
        match self.read(name)? {
            Some(volume) if !fills || !self.is_fresh(&volume, user)? => {
                mark(&self.folder.join(name), user)?;
                Ok(Met::Volume(volume))
            }
            _ => Ok(Met::Wanting),
        }
    }

    /// Whether a volume is empty, and no container but `user` could have it open.
    fn is_fresh(&self, volume: &Volume, user: Option<&str>) -> Result<bool, Error> {
        let mut others = self.users(volume)?.into_iter();
        if others.any(|other| Some(other.as_str()) != user) {
            return Ok(false);
        }
        let empty = match std::fs::read_dir(&volume.mountpoint) {
            Ok(mut entries) => entries.next().is_none(),
            // It has an owner that this user cannot read of.
            Err(_) => self.roots.bodies().measure(&volume.mountpoint)?.entries == 0,
        };
        Ok(empty)
    }

    /// Makes the folder `to` with what an image has there.
    fn fill(&self, to: &Path, content: Option<Content<'_>>) -> Result<(), Error> {
        let (tree, root) = match content {
            Some(content) => {
                let root = self.roots.root(content.layers)?;
                (
                    Subtree::of(&root, content.path).map_err(kiln_rootfs::Error::from)?,
                    root,
                )
            }
            None => Default::default(),
        };
        if tree.entries.is_empty() {
            std::fs::create_dir(to).map_err(failed("make", to))?;
            return open_to_all(to);
        }
        let packing = |out: &mut (dyn Write + Send)| {
            pack(&tree, &root, out).map_err(|e| {
                let what = format!("copy what the image has to a volume: {e}");
                Error::new(ErrorKind::Io, what).because(e)
            })
        };
        through(packing, |tar| {
            let mut tar = BufReader::with_capacity(128 << 10, tar);
            Ok(self.roots.bodies().unpack(&mut tar, None, to)?)
        })?;
        Ok(())
    }
}

/// What is in a folder of a root.
#[derive(Default)]
struct Subtree {
    /// The folder, without symbolic links.
    top: LayerPath,
    /// Paths from there, the folder itself the first.
    entries: Tree,
}

impl Subtree {
    /// Of the folder `path`, symbolic links on the way to it followed; empty where there is none. A
    /// file whose first name lies outside is a file by the first name that lies within.
    fn of(root: &Root, path: &str) -> Result<Self, kiln_layer::Error> {
        let resolved = root.resolve(&LayerPath::parse(path)?)?;
        let mut found = Self {
            top: resolved.path,
            entries: Tree::new(),
        };
        if !resolved.entry.is_some_and(|entry| entry.is_dir()) {
            return Ok(found);
        }
        let mut first: HashMap<LayerPath, LayerPath> = HashMap::new();
        for mut entry in root.within(&found.top) {
            let Some(path) = entry.path.strip(&found.top) else {
                continue;
            };
            if let Kind::Hardlink { target } = &entry.kind {
                let known = target
                    .strip(&found.top)
                    .or_else(|| first.get(target).cloned());
                entry.kind = match (known, root.file(target)) {
                    (Some(target), _) => Kind::Hardlink { target },
                    (None, Some(file)) => {
                        first.insert(target.clone(), path.clone());
                        Kind::File(file.clone())
                    }
                    (None, None) => continue,
                };
            }
            entry.path = path;
            found.entries.insert(entry);
        }
        Ok(found)
    }
}

/// Writes it as a tar.
fn pack(tree: &Subtree, root: &Root, to: impl Write) -> Result<u64, kiln_layer::Error> {
    let mut packer = Packer::new(BufWriter::with_capacity(128 << 10, to), Times::Keep);
    for entry in tree.entries.iter() {
        match entry.kind {
            Kind::File(_) => {
                let mut content = root
                    .open(&tree.top.append(&entry.path)?)
                    .map_err(|e| kiln_layer::Error::from(e).at(&entry.path))?;
                packer.add(entry, Some(&mut *content))?;
            }
            _ => packer.add(entry, None)?,
        }
    }
    let (mut out, packed) = packer.finish()?;
    out.flush()?;
    Ok(packed.size)
}

/// Says that a container uses a volume.
fn mark(volume: &Path, user: Option<&str>) -> Result<(), Error> {
    if let Some(user) = user {
        let path = volume.join(USERS).join(user);
        std::fs::write(&path, b"").map_err(failed("write", &path))?;
    }
    Ok(())
}

/// Lets everybody read it, whatever the umask.
fn open_to_all(folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, mode).map_err(failed("make", folder))?;
    }
    let _ = folder;
    Ok(())
}

/// Puts each of two folders at the other's place, at once.
fn exchange(one: &Path, other: &Path) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            // The file system cannot.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            done => return done.map_err(|e| failed("write", other)(e.into())),
        }
    }
    let mut away = one.as_os_str().to_owned();
    away.push("-old");
    std::fs::rename(other, &away).map_err(failed("write", other))?;
    std::fs::rename(one, other).map_err(failed("write", other))
}
