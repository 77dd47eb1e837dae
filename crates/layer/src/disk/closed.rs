//! Folders that are there, belong to who writes into them, and do not let him: they are opened for as
//! long as it takes. Refuses those of others, and to open anything for more than their owner.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::{
    fs::{Mode, fchmod, fstat},
    io::Result,
    process::geteuid,
};

use super::at;
use crate::{LayerPath, Tree};

/// What its owner must be allowed.
const NEEDED: Mode = Mode::RWXU;

/// Folders that were opened, and the modes that they had.
#[derive(Default)]
pub(super) struct Opened(Vec<(LayerPath, Mode)>);

impl Opened {
    /// Opens a folder, where that is needed.
    pub(super) fn open(&mut self, folder: BorrowedFd<'_>, path: &LayerPath) -> Result<()> {
        self.0.extend(open(folder)?.map(|was| (path.clone(), was)));
        Ok(())
    }

    /// Closes those again to which `tree` does not give another mode.
    pub(super) fn close(self, root: BorrowedFd<'_>, tree: &Tree) -> Result<()> {
        for (path, was) in self
            .0
            .into_iter()
            .filter(|(path, _)| tree.get(path).is_none())
        {
            match at::open(root, &path, at::FOLDER) {
                Ok(folder) => fchmod(folder.as_fd(), was)?,
                // Something else has come in its place.
                Err(e) if at::is_missing(e) || at::is_not_a_folder(e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Opens a folder, and gives the mode that it had where that did not do.
pub(super) fn open(folder: BorrowedFd<'_>) -> Result<Option<Mode>> {
    let stat = fstat(folder)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let me = geteuid();
    if mode.contains(NEEDED) || me.is_root() || stat.st_uid != me.as_raw() {
        return Ok(None);
    }
    fchmod(folder, mode | NEEDED)?;
    Ok(Some(mode))
}
