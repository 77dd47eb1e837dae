//! After a power failure: what was renamed but not synced may be torn, and is marked in
//! `unsynced/`. The first process of a new boot looks at just that, and removes what is not whole.

use kiln_durable::{Lock, replace_by};
use kiln_image::{Algorithm, Digest};

use crate::{
    Error, ErrorKind, Store,
    base::{exists, read, remove_file, sweep_unowned},
    owner::{Mark, Unsynced, marks},
    refs::decode,
};

/// Sees to what other boots left; nothing to do in all but the first opening of a boot.
pub(crate) fn recover(store: &Store) -> Result<(), Error> {
    let path = store.layout().root.join("boot");
    let boot = store.base().boot.as_bytes();
    if read(&path)?.as_deref() == Some(boot) {
        return Ok(());
    }
    let _lock = Lock::exclusive(&store.layout().lock("boot"))?;
    if read(&path)?.as_deref() == Some(boot) {
        return Ok(());
    }
    let marks = marks(store.base())?;
    for mark in &marks {
        look_at(store, mark)?;
    }
    if marks.iter().any(|m| m.kind == Unsynced::Records) {
        remove_torn_records(store)?;
    }
    for mark in &marks {
        remove_file(&mark.path)?;
    }
    sweep_unowned(store.layout())?;
    Ok(replace_by(&store.layout().folder("tmp"), &path, boot)?)
}

fn look_at(store: &Store, mark: &Mark) -> Result<(), Error> {
    let algorithm = match mark.kind {
        Unsynced::Tree => Algorithm::Blake3,
        _ => Algorithm::Sha256,
    };
    let Ok(digest) = format!("{}:{}", algorithm.name(), mark.digits).parse::<Digest>() else {
        return Ok(());
    };
    match mark.kind {
        Unsynced::Blob => {
            if store.blobs().has(&digest) && !crate::check::blob_is_whole(store, &digest)? {
                remove_file(&store.layout().blob(&digest))?;
            }
        }
        Unsynced::Tree => {
            if matches!(store.trees().get(&digest), Err(e) if e.kind() == ErrorKind::Damaged) {
                remove_file(&store.layout().tree(&digest))?;
            }
        }
        Unsynced::Layer => {
            if matches!(store.layers().get(&digest), Err(e) if e.kind() == ErrorKind::Damaged) {
                store.layers().forget(&digest)?;
            }
        }
        // Many files of which none says what it should be: it is made again.
        Unsynced::Body => {
            store.base().discard(&store.layout().unpacked(&digest))?;
        }
        Unsynced::Records | Unsynced::Names => {}
    }
    Ok(())
}

/// Records that no build sealed may be torn. Names are synced one by one, and are not looked at.
fn remove_torn_records(store: &Store) -> Result<(), Error> {
    for prefix in ["cache/", "image/sha256:", "build/"] {
        for name in store.refs().names(prefix)? {
            let path = store.layout().named(&name)?;
            if exists(&path)? && read(&path)?.is_none_or(|bytes| decode(&bytes).is_none()) {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}
