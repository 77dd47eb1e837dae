//! Hard links of an archive: to what came before them in it, or to what only lies beneath. Refuses
//! links to folders, and out of the archive.

use super::{Layer, Named};
use crate::{Error, Kind, LayerPath, Meta, path::escaped};

impl Layer<'_> {
    /// What unpacks an archive puts the owner, mode and time of a hard link on the file that it is: the
    /// other names of that learn of it in the end.
    fn describe(&mut self, target: &LayerPath, meta: &Meta) {
        let tree = self.tree.tree();
        let file = match tree.get(target).map(|entry| &entry.kind) {
            Some(Kind::Hardlink { target }) => target.clone(),
            _ => target.clone(),
        };
        match tree.get(&file) {
            Some(entry) if entry.is_dir() || entry.is_whiteout() => {}
            Some(entry) => {
                let meta = meta.clone().put_on(entry);
                self.tree.describe(&file, meta);
            }
            None => drop(self.awaited.insert(file, meta.clone())),
        }
        self.describes = true;
    }

    pub(super) fn link(
        &mut self,
        path: &LayerPath,
        target: &[u8],
        meta: Meta,
    ) -> Result<(), Error> {
        let shown = escaped(target);
        let of = |e: Error| Error::refused(format!("a hard link to `{shown}`")).because(e);
        let named = (self.named)(target).map_err(of)?;
        let (Named::Layer(target) | Named::Plain(target)) = &named;
        let target = self.inside(target).map_err(of)?;
        if let Named::Plain(_) = named {
            self.describe(&target, &meta);
        }
        let found = self.tree.tree().get(&target).cloned();
        let (meta, kind) = match found.map(|e| (e.meta, e.kind)) {
            Some((meta, Kind::File(_))) => (meta, Kind::Hardlink { target }),
            Some((meta, kind @ Kind::Hardlink { .. })) => (meta, kind),
            Some((_, kind @ (Kind::Dir { .. } | Kind::Whiteout))) => {
                let what = format!("a hard link to `{target}`, which is a {}", kind.name());
                return Err(Error::refused(what));
            }
            // Another name of a symbolic link, a device, a pipe: one more of its kind.
            Some(other) => other,
            None if target.is_root() => {
                return Err(Error::refused("a hard link to the root"));
            }
            None => {
                self.awaited.insert(target.clone(), meta.clone());
                (meta, Kind::Hardlink { target })
            }
        };
        if let Kind::Hardlink { target } = &kind
            && (target == path || target.starts_with(path))
        {
            // It is the same file already; or it would be lost with the folder that it replaces.
            return match target == path {
                true if self.tree.tree().get(path).is_some() => Ok(()),
                _ => Err(Error::refused("a hard link to itself")),
            };
        }
        self.put(path, meta, kind)
    }
}
