//! Records in memory: for tests, and as the near tier of a place that is far.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::{Error, Key, Record, Records};

/// Records in memory.
#[derive(Debug, Default)]
pub struct Memory {
    records: RwLock<HashMap<Key, Record>>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Records for Memory {
    fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        Ok(records.get(key).cloned())
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), Error> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        records.insert(*key, record.clone());
        Ok(())
    }
}
