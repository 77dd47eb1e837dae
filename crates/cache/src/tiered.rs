//! Two places as one: a near one that is asked first, and a far one.

use crate::{Error, Key, Record, Records};

/// Records in two places. What only the far one has is copied to the near one when it is asked
/// for; what is put goes to both, to the near one first.
///
/// An error of either is the caller's to judge: nothing is passed over.
#[derive(Clone, Debug)]
pub struct Tiered<A, B> {
    /// Asked first.
    pub near: A,
    /// Asked when the near one has nothing.
    pub far: B,
}

impl<A: Records, B: Records> Records for Tiered<A, B> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        if let Some(record) = self.near.get(key)? {
            return Ok(Some(record));
        }
        let found = self.far.get(key)?;
        if let Some(record) = &found {
            self.near.put(key, record)?;
        }
        Ok(found)
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        self.near.put(key, record)?;
        self.far.put(key, record)
    }
}
