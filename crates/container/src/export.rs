//! `export`: the file system of a container as one tar, without what is mounted in it.
//!
//! Nothing is mounted for it: what the container changed lies over the image's layers as one more
//! layer, and each file is read from where it is.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_image::Digest;
use kiln_layer::{Entry, File, Files, Kind, LayerPath, Packer, Root, RootLayer, Times, Tree};
use kiln_rootfs::Bodies;

use crate::Error;
use crate::containers::Container;
use crate::files::{Exactly, spoiled};
use crate::root::changed;

impl Container {
    /// Writes a tar of its file system to `out`, and gives its length. What changes meanwhile cannot
    /// spoil the tar: of a file that grows or shrinks there is as much as it had, with zeros for what
    /// is missing; a file that goes away is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), and as [`Roots::changes`](kiln_rootfs::Roots::changes).
    pub fn export(&self, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
        let layers = &self.details.layers;
        let mut all = self.roots.root(layers)?.layers().to_vec();
        let mut own = Tree::new();
        if let Some(prepared) = changed(self)? {
            let (_, tree) = self.roots.changes(&prepared, layers, Times::Keep, false)?;
            own = tree;
            all.push(RootLayer {
                // Nobody asks for it here.
                diff_id: Digest::sha256(&[]),
                files: Arc::new(Upper {
                    bodies: self.roots.bodies().clone(),
                    at: prepared.upper().to_owned(),
                    tree: own.clone(),
                }),
            });
        }
        flat(&Root::new(all), &own, out).map_err(spoiled)
    }
}

/// Everything of `root`, of which `own` is what may change while it is read.
fn flat(root: &Root, own: &Tree, out: &mut dyn Write) -> Result<u64, kiln_layer::Error> {
    let mut packer = Packer::new(io::BufWriter::with_capacity(128 << 10, out), Times::Keep);
    for entry in root.tree().iter().filter(|entry| !entry.path.is_root()) {
        let Kind::File(file) = &entry.kind else {
            packer.add(entry, None)?;
            continue;
        };
        let failed = |e: io::Error| kiln_layer::Error::from(e).at(&entry.path);
        let content = root.open(&entry.path).map_err(failed)?;
        if own.get(&entry.path).is_none() {
            let mut content = content;
            packer.add(entry, Some(&mut *content))?;
            continue;
        }
        let entry = Entry {
            kind: Kind::File(File::unread(file.size)),
            ..entry.clone()
        };
        let mut content = Exactly {
            file: content,
            left: file.size,
        };
        packer.add(&entry, Some(&mut content))?;
    }
    let (mut out, packed) = packer.finish()?;
    out.flush()?;
    Ok(packed.size)
}

/// The upper directory of a container as a layer.
struct Upper {
    bodies: Arc<dyn Bodies>,
    at: PathBuf,
    tree: Tree,
}

impl Files for Upper {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> io::Result<Box<dyn Read + Send>> {
        let path = self.tree.file(path).map_or(path, |(entry, _)| &entry.path);
        Ok(Box::new(self.bodies.open(&self.at, path)?))
    }
}
