//! The files of images as one tree: of one platform as they are, of several each in a folder of its own
//! or all in one. And as a tar. Refuses to change a file of one platform for that of another.

use std::io::{self, Read};

use kiln_graph::Cancel;
use kiln_layer::{Content, Entry, Files, Kind, LayerPath, Opening, Root, Times, Tree, pack};

use super::{Made, Target, archive::stream, stop::Until};
use crate::{Destination, Error, ErrorKind};

/// The roots of images, as one.
pub(super) struct Joined {
    parts: Vec<(LayerPath, Root)>,
    tree: Tree,
    cancel: Cancel,
}

/// Changes an entry on its way out.
pub(super) type Changed<'a> = &'a dyn Fn(Entry) -> Entry;

impl Joined {
    /// Opens the file at a path where it lies.
    fn find(&self, path: &LayerPath) -> io::Result<(&Root, LayerPath)> {
        for (prefix, root) in &self.parts {
            if let Some(inner) = path.strip(prefix)
                && root.file(&inner).is_some()
            {
                return Ok((root, inner));
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Files for Joined {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Content> {
        let (root, inner) = self.find(path)?;
        Ok(Box::new(Until::new(root.open(&inner)?, &self.cancel)))
    }

    fn opening(&self) -> Opening<'_> {
        if let [(prefix, root)] = &self.parts[..]
            && prefix.is_root()
        {
            let mut open = root.opening();
            return Box::new(move |path| {
                Ok(Box::new(Until::new(open(path)?, &self.cancel)) as Content)
            });
        }
        Box::new(|path| self.open(path))
    }

    fn read(
        &self,
        select: &dyn Fn(&Entry) -> bool,
        each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        for entry in self.tree.iter().filter(|e| e.file().is_some() && select(e)) {
            each(entry, &mut *self.open(&entry.path)?)?;
        }
        Ok(())
    }
}

impl Target<'_> {
    /// The files of the images, each entry as `changed` has it, without the root folder itself.
    pub(super) fn joined(
        &self,
        made: &[Made],
        split: Option<bool>,
        changed: Changed<'_>,
    ) -> Result<Joined, Error> {
        let split = split.unwrap_or(made.len() > 1);
        let mut joined = Joined {
            parts: Vec::new(),
            tree: Tree::new(),
            cancel: self.cancel.clone(),
        };
        for image in made {
            let root = self.builder.roots().root(&image.config.rootfs.diff_ids)?;
            let prefix = match split {
                true => LayerPath::parse(image.platform.to_string().replace('/', "_"))?,
                false => LayerPath::root(),
            };
            for entry in root.tree().iter() {
                if entry.path.is_root() && !split {
                    continue;
                }
                let entry = changed(below(&prefix, entry)?);
                let met = joined.tree.get(&entry.path);
                if met.is_some_and(|met| !(met.is_dir() && entry.is_dir()) && *met != entry) {
                    let what = format!(
                        "`{}` is not the same for {} as for another platform",
                        entry.path, image.platform
                    );
                    return Err(
                        Error::new(ErrorKind::Input, what).hint("leave `platform-split=false` out")
                    );
                }
                joined.tree.insert(entry);
            }
            joined.parts.push((prefix, root));
        }
        Ok(joined)
    }

    /// Writes the files as a tar.
    pub(super) fn tar(
        &self,
        to: &Destination,
        split: Option<bool>,
        made: &[Made],
    ) -> Result<(), Error> {
        let files = self.joined(made, split, &|entry| entry)?;
        let times = match self.epoch.filter(|_| !self.request.outputs.keep_times) {
            Some(epoch) => Times::Clamp(epoch),
            None => Times::Keep,
        };
        stream(to, &mut |out| {
            pack(&files, Until::new(&mut *out, self.cancel), times)?;
            Ok(())
        })
    }
}

fn below(prefix: &LayerPath, entry: &Entry) -> Result<Entry, Error> {
    let mut entry = entry.clone();
    if prefix.is_root() {
        return Ok(entry);
    }
    entry.path = prefix.append(&entry.path)?;
    if let Kind::Hardlink { target } = &mut entry.kind {
        *target = prefix.append(target)?;
    }
    Ok(entry)
}
