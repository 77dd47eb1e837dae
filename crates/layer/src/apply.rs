//! Reading the tar of a layer that nobody vouches for: into a [`Tree`] and to a [`Target`] in one
//! pass, which also finds the diff id.
//!
//! Refuses entries that leave the root (`..` in a name or in a hard link's target), entries beneath
//! what is not a folder, devices that are whiteouts in disguise, and what is beyond the
//! [`Limits`]. A symbolic link of the same archive on the way to an entry is followed inside the
//! archive's own tree, as container runtimes do; it never leads anywhere else. Of two entries with
//! the same name the later wins.

mod content;
mod link;

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use kiln_image::Digest;

use content::Content;

use crate::{
    Entry, Error, ErrorKind, File, Kind, LayerPath, Meta, Target, Tree,
    archive::{Limits, Member, Members, Type},
    links::LinkedTree,
    pack::kept_inline,
    root::resolve,
};

/// What was found in the pass of [`apply`].
#[derive(Clone, Debug)]
pub struct Applied {
    /// The SHA-256 of the whole uncompressed stream, what follows the archive's end included.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What the layer changes.
    pub tree: Tree,
}

/// Applies an uncompressed tar stream to a target, within the usual [`Limits`].
///
/// The diff id is to be compared before what the target holds is relied on.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for what is not a tar, [`Refused`](ErrorKind::Refused) and
/// [`Unsupported`](ErrorKind::Unsupported) with the entry and the reason, and what reading or the
/// target gives.
pub fn apply(tar: impl Read, to: &mut dyn Target) -> Result<Applied, Error> {
    apply_within(&Limits::default(), tar, to)
}

/// [`apply`] within other limits.
///
/// # Errors
///
/// As [`apply`].
pub fn apply_within(
    limits: &Limits,
    tar: impl Read,
    to: &mut dyn Target,
) -> Result<Applied, Error> {
    apply_named(limits, tar, to, &|name| {
        LayerPath::parse(name).map(Named::Layer)
    })
}

/// What the name of a member means.
pub(crate) enum Named {
    /// What it means in a layer, where some names stand for removals.
    Layer(LayerPath),
    /// Itself, in an archive that is no layer: for targets that keep nothing, as
    /// [`Nothing`](crate::Nothing).
    Plain(LayerPath),
}

/// [`apply_within`] with names that mean what `named` says.
pub(crate) fn apply_named(
    limits: &Limits,
    tar: impl Read,
    to: &mut dyn Target,
    named: &dyn Fn(&[u8]) -> Result<Named, Error>,
) -> Result<Applied, Error> {
    let mut members = Members::new(tar, limits.clone());
    let mut layer = Layer {
        tree: LinkedTree::default(),
        to,
        named,
        awaited: BTreeMap::new(),
        describes: false,
    };
    if let Err(e) = layer.all(&mut members) {
        // What the target has put off comes before it.
        layer.to.settle()?;
        return Err(e);
    }
    let (diff_id, size) = members.finish()?;
    let Layer {
        mut tree,
        to,
        awaited,
        describes,
        ..
    } = layer;
    if describes {
        tree.describe_links(&awaited);
    }
    let tree = tree.finish();
    to.finish(&tree)?;
    Ok(Applied {
        diff_id,
        size,
        tree,
    })
}

struct Layer<'a> {
    tree: LinkedTree,
    to: &'a mut dyn Target,
    named: &'a dyn Fn(&[u8]) -> Result<Named, Error>,
    /// What hard links of this layer name that was not in it when they came, and what the last of them
    /// says of it.
    awaited: BTreeMap<LayerPath, Meta>,
    /// Whether a hard link said something of its file.
    describes: bool,
}

const WHITEOUT: &[u8] = b".wh.";
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Layer<'_> {
    fn all(&mut self, members: &mut Members<impl Read>) -> Result<(), Error> {
        while let Some(member) = members.next()? {
            if let Some(path) = self.place(&member)? {
                self.member(&path, member, members)
                    .map_err(|e| e.at(&path))?;
            }
        }
        Ok(())
    }

    /// Where a member goes; `None` for the notes that aufs kept for itself.
    fn place(&self, member: &Member) -> Result<Option<LayerPath>, Error> {
        let path = match (self.named)(&member.name)? {
            Named::Layer(path) => path,
            Named::Plain(path) => return self.inside(&path).map(Some),
        };
        let name = path.name().unwrap_or_default();
        let mut folders = path.components().rev().skip(1);
        if (name.starts_with(META) && name != OPAQUE) || folders.any(|n| n.starts_with(META)) {
            return Ok(None);
        }
        let mut folders = path.components().rev().skip(1);
        if folders.any(|n| n.starts_with(WHITEOUT)) {
            return Err(Error::refused("lies in a whiteout").at(&path));
        }
        self.inside(&path).map(Some)
    }

    /// `path` with the symbolic links of this archive followed in its folders.
    fn inside(&self, path: &LayerPath) -> Result<LayerPath, Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Ok(path.clone());
        };
        // Most often it is a folder that came before.
        if self.tree.tree().get(&parent).is_some_and(Entry::is_dir) {
            return Ok(path.clone());
        }
        let parent = resolve(self.tree.tree(), &parent).map_err(|e| e.at(path))?;
        match parent.entry.map(|e| e.kind) {
            None | Some(Kind::Dir { .. } | Kind::Whiteout) => parent.path.join(name),
            Some(kind) => {
                let what = format!("lies in `{}`, which is a {}", parent.path, kind.name());
                Err(Error::new(ErrorKind::Conflict, what).at(path))
            }
        }
    }

    fn member(
        &mut self,
        path: &LayerPath,
        member: Member,
        content: &mut impl Read,
    ) -> Result<(), Error> {
        let name = path.name().unwrap_or_default();
        let parent = path.parent().unwrap_or_default();
        if name == OPAQUE {
            self.reveal(path)?;
            return self.opaque(&parent, None);
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.whiteout(parent.join(hidden)?);
        }
        self.reveal(path)?;
        let meta = member.meta;
        let kind = match member.kind {
            Type::File => {
                let sparse = if member.sparse { File::SPARSE } else { 0 };
                let file = File {
                    offset: member.offset | sparse,
                    ..File::unread(member.size)
                };
                return self.file(path, meta, &file, content);
            }
            Type::Folder => return self.folder(path, meta),
            Type::Link => return self.link(path, &member.link, meta),
            Type::Symlink => Kind::Symlink {
                target: symlink(member.link)?,
            },
            Type::Char if member.device == (0, 0) => {
                return Err(Error::refused("the device 0:0 is a whiteout in disguise"));
            }
            Type::Char => Kind::Char {
                major: member.device.0,
                minor: member.device.1,
            },
            Type::Block => Kind::Block {
                major: member.device.0,
                minor: member.device.1,
            },
            Type::Fifo => Kind::Fifo,
        };
        self.put(path, meta, kind)
    }

    /// Makes way for an entry that is not a folder.
    fn vacate(&mut self, path: &LayerPath) -> Result<(), Error> {
        if path.is_root() {
            return Err(Error::refused("the root is not a folder"));
        }
        let inside = self.tree.tree().within(path).next().is_some();
        if inside {
            self.to.remove(path)?;
            self.tree.remove_within(path);
        }
        Ok(())
    }

    /// An entry beneath a whiteout makes a folder of it that hides the lower layers'.
    fn reveal(&mut self, path: &LayerPath) -> Result<(), Error> {
        if self.awaited.contains_key(path) {
            return Err(Error::refused("comes after a hard link to it"));
        }
        match self.whiteout_above(path) {
            Some(folder) => self.opaque(&folder, None),
            None => Ok(()),
        }
    }

    /// The whiteout that `path` lies beneath. Nothing of the tree lies beneath one, and so what is
    /// nearest above tells.
    fn whiteout_above(&self, path: &LayerPath) -> Option<LayerPath> {
        let mut up = path.parent();
        while let Some(folder) = up {
            let nearest = self.tree.tree().within(&folder).next();
            match nearest.map(|e| e.is_whiteout() && e.path == folder) {
                Some(true) => return Some(folder),
                Some(false) => return None,
                None => up = folder.parent(),
            }
        }
        None
    }

    fn put(&mut self, path: &LayerPath, meta: Meta, kind: Kind) -> Result<(), Error> {
        self.vacate(path)?;
        let entry = Entry {
            path: path.clone(),
            meta,
            kind,
        };
        self.to.put(&entry)?;
        self.tree.put(entry);
        Ok(())
    }

    fn file(
        &mut self,
        path: &LayerPath,
        meta: Meta,
        file: &File,
        content: &mut impl Read,
    ) -> Result<(), Error> {
        self.vacate(path)?;
        let mut content = Content::new(content, kept_inline(path, file.size));
        let entry = Entry {
            path: path.clone(),
            meta,
            kind: Kind::File(file.clone()),
        };
        self.to.file(&entry, &mut content)?;
        io::copy(&mut content, &mut io::sink()).map_err(|e| Error::io("read the tar", e))?;
        let (digest, kept) = content.finish();
        self.tree.put(Entry {
            kind: Kind::File(File {
                digest,
                inline: kept.map(Into::into),
                ..file.clone()
            }),
            ..entry
        });
        Ok(())
    }

    fn folder(&mut self, path: &LayerPath, meta: Meta) -> Result<(), Error> {
        let mut opaque = false;
        match self.tree.tree().get(path).map(|e| &e.kind) {
            Some(Kind::Dir { opaque: before }) => opaque = *before,
            Some(Kind::Whiteout) => return self.opaque(path, Some(meta)),
            Some(_) => self.vacate(path)?,
            None => {}
        }
        let entry = Entry {
            path: path.clone(),
            meta,
            kind: Kind::Dir { opaque },
        };
        self.to.put(&entry)?;
        self.tree.put(entry);
        Ok(())
    }

    /// Hides what the lower layers have in a folder.
    fn opaque(&mut self, path: &LayerPath, meta: Option<Meta>) -> Result<(), Error> {
        let before = self.tree.tree().get(path);
        let known = before.filter(|e| e.is_dir()).map(|e| e.meta.clone());
        if before.is_some_and(Entry::is_whiteout) {
            self.to.remove(path)?;
            self.tree.remove_within(path);
        }
        let entry = Entry {
            path: path.clone(),
            meta: meta.or(known).unwrap_or_else(|| Meta::with_mode(0o755)),
            kind: Kind::Dir { opaque: true },
        };
        self.to.put(&entry)?;
        self.to.clear(path, self.tree.tree())?;
        self.tree.put(entry);
        Ok(())
    }

    /// Removes what the lower layers have at `path`. What this layer has there stays.
    fn whiteout(&mut self, path: LayerPath) -> Result<(), Error> {
        match self.tree.tree().get(&path).map(|e| &e.kind) {
            Some(Kind::Dir { .. }) => self.opaque(&path, None),
            Some(_) => Ok(()),
            // Entries beneath a folder that has none of its own.
            None if self.whiteout_above(&path).is_some() => Ok(()),
            None if self.tree.tree().within(&path).next().is_some() => self.opaque(&path, None),
            None => {
                let entry = Entry::whiteout(path);
                self.to.put(&entry)?;
                self.tree.put(entry);
                Ok(())
            }
        }
    }
}

fn symlink(target: Vec<u8>) -> Result<Vec<u8>, Error> {
    match target.len() {
        0 => Err(Error::invalid("a symbolic link without a target")),
        1..=LayerPath::MAX_LEN if !target.contains(&0) => Ok(target),
        _ => Err(Error::refused("a symbolic link with a target too long")),
    }
}
