//! Cache records in the store: an adapter between `cache::Records` and `store::Refs`. A record is a
//! named root, so what it stands for is kept as long as it is, and it is believed by the store's
//! own rule (made in this boot, or by a build that was sealed).

use kiln_cache::{Key, Record, Records};
use kiln_store::Store;

/// Records as roots `cache/<key>` of a store, put there by one build.
pub(crate) struct StoreRecords<'a> {
    pub(crate) store: &'a Store,
    pub(crate) lease: &'a kiln_store::Build,
}

fn name(key: &Key) -> String {
    format!("cache/{}", key.hex())
}

fn failed(what: &str, e: kiln_store::Error) -> kiln_cache::Error {
    let kind = match e.kind() {
        // To the graph that is a miss: the step runs again.
        kiln_store::ErrorKind::Damaged => kiln_cache::ErrorKind::Damaged,
        _ => kiln_cache::ErrorKind::Io,
    };
    kiln_cache::Error::new(kind, what).because(e)
}

impl Records for StoreRecords<'_> {
    fn get(&self, key: &Key) -> Result<Option<Record>, kiln_cache::Error> {
        let found = self.store.refs().get(&name(key));
        match found.map_err(|e| failed("read a cache record", e))? {
            // A record that cannot be read is no record: the step runs again.
            Some(found) => Ok(Record::decode(&found.value).ok()),
            None => Ok(None),
        }
    }

    fn put(&self, key: &Key, record: &Record) -> Result<(), kiln_cache::Error> {
        self.lease
            .record(&name(key), record.refs.clone(), record.encode())
            .map_err(|e| failed("write a cache record", e))
    }
}
