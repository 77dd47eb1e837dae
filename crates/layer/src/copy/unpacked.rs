//! An archive unpacked onto a root, as `tar -x` in the destination does it: links that are there lead
//! where they would with the destination as the root, folders that the archive only implies belong to
//! root, and what is in the way of an entry is replaced, a folder that a folder meets excepted. A hard link to
//! what only the root has takes that into the layer, with the owner, mode and time of the link.

use super::{Copy, Made, Source};
use crate::{Entry, Error, Kind, LayerPath};

impl Copy<'_, '_> {
    /// Puts all of an input into the folder `target`.
    pub(super) fn unpacked(&mut self, source: &Source, target: &LayerPath) -> Result<(), Error> {
        self.to.enter(target)?;
        let implied = Made::new(None, 0o755, self.request.made).as_it_is();
        // Entries of one folder come one after the other.
        let mut last: Option<(LayerPath, LayerPath)> = None;
        let tree = self.tree(source.input)?;
        for entry in tree.iter() {
            let (Some(above), Some(name)) = (entry.path.parent(), entry.path.name()) else {
                continue; // The root is there already, and stays as it is.
            };
            let parent = match last.take() {
                Some((path, parent)) if path == above => parent,
                _ => {
                    let parent = self.to.resolve_in(target, &above)?;
                    self.to.enter_with(&parent, implied)?;
                    parent
                }
            };
            let at = parent.join(name)?;
            last = Some((above, parent));
            match &entry.kind {
                Kind::Whiteout => {}
                Kind::Dir { .. } => {
                    let meta = self.meta(source, entry);
                    self.to.make_way(&at, true);
                    self.to.folder(Entry::folder(at, meta))?;
                }
                Kind::Hardlink { target: file } if tree.file(&entry.path).is_none() => {
                    self.to.make_way(&at, false);
                    let above = file.parent().unwrap_or_default();
                    let above = self.to.resolve_in(target, &above)?;
                    let file = above.join(file.name().unwrap_or_default())?;
                    let (meta, root) = (self.meta(source, entry), self.from.files.len());
                    self.to.link(at, &file, meta, root)?;
                }
                _ => {
                    self.to.make_way(&at, false);
                    self.leaf(source, entry, at)?;
                }
            }
        }
        Ok(())
    }
}
