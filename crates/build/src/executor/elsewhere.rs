//! What builds keep of what they fetched from elsewhere: in the store, but of no concern to it.

use kiln_fetch::Fetcher;
use kiln_store::Store;

use crate::{Builder, Error};

impl Builder {
    /// Who fetches for builds: what is kept can be listed and removed, and other things fetched.
    ///
    /// # Errors
    /// When there is something else in the place of its folder.
    pub fn fetcher(&self) -> Result<Fetcher, Error> {
        fetcher(self.store())
    }
}

/// Who fetches for this store.
pub(crate) fn fetcher(store: &Store) -> Result<Fetcher, Error> {
    let options = kiln_fetch::Options {
        user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..kiln_fetch::Options::default()
    };
    Ok(Fetcher::open(&store.root().join("fetch"))?.with(options))
}
