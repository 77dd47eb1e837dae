//! What scans of folders found out, kept in the store: an adapter between `Indexes`, which a context
//! is handed, and `store::Indexes`. Nothing depends on it but time, so nothing fails because of it.

use std::path::Path;

use kiln_store::Store;

use crate::Indexes;

/// The indexes of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreIndexes<'a>(pub &'a Store);

impl Indexes for StoreIndexes<'_> {
    fn get(&self, folder: &Path) -> Option<Vec<u8>> {
        self.0.indexes().get(folder).ok().flatten()
    }

    fn put(&self, folder: &Path, index: &[u8]) {
        // A full disk is for somebody to tell who has to write.
        let _ = self.0.indexes().put(folder, index);
    }
}
