//! A tree of folders and empty files onto the disk: mount points, and folders in a root.

use std::path::Path;

use kiln_layer::{Kind, Tree};
use kiln_sandbox::IdMap;

use crate::disk::{ATTRIBUTE, on_disk};
use crate::folder::Folder;
use crate::{Error, ErrorKind};

/// `ids`: those that are mapped, where not all are.
pub(crate) fn make(tree: &Tree, at: &Path, ids: Option<&IdMap>) -> Result<(), Error> {
    match std::fs::create_dir(at) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("make the folder", at, e));
        }
        _ => {}
    }
    let folder = Folder::open(at)?;
    for entry in tree.iter() {
        match &entry.kind {
            Kind::Dir { .. } => folder.make_folder(&entry.path)?,
            Kind::File(file) if file.size == 0 => folder.make_file(&entry.path)?,
            kind => {
                let what = format!("making a {} with content", kind.name());
                return Err(Error::new(ErrorKind::Unsupported, what).at(at));
            }
        }
        let Some(ids) = ids else {
            folder.set_meta(&entry.path, &entry.meta)?;
            continue;
        };
        let put = on_disk(entry, ids).meta;
        folder.set_meta(&entry.path, &put)?;
        if !put.xattrs.contains_key(ATTRIBUTE) {
            folder.set_note(&entry.path, None)?;
        }
    }
    // The folders after what is in them.
    for entry in tree.iter().rev() {
        folder.set_time(&entry.path, entry.meta.mtime)?;
    }
    Ok(())
}
