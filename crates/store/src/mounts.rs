//! Folders that outlive builds: what `RUN --mount=type=cache` shows. Kept by what tells them apart,
//! locked while somebody has them, removed by name only: no collection takes them. Refuses to know
//! what is in them: who takes a new one fills it.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kiln_durable::{Lock, replace_by};
use kiln_image::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Store,
    base::{names, read},
};

/// How often one that waits looks again.
const AGAIN: Duration = Duration::from_millis(50);

/// The cache mounts of a store.
#[derive(Clone, Copy, Debug)]
pub struct CacheMounts<'a>(&'a Store);

impl Store {
    /// The folders that outlive builds.
    pub fn cache_mounts(&self) -> CacheMounts<'_> {
        CacheMounts(self)
    }
}

/// Who may have a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// Everybody who shares.
    #[default]
    Shared,
    /// One: who comes second gets another one.
    Private,
    /// One: who comes second waits.
    Locked,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// By what it is shown.
    pub id: &'a str,
    /// By what it is told from others: those who say the same have the same.
    pub key: &'a Digest,
    /// Who may have it at the same time.
    pub sharing: Sharing,
}

/// A cache mount that somebody has, until this is dropped.
#[derive(Debug)]
pub struct CacheMount {
    place: PathBuf,
    _lock: Lock,
}

/// What is known of a cache mount.
#[derive(Clone, Debug)]
pub struct CacheMountInfo {
    /// By what it is shown.
    pub id: String,
    /// By what it is named: hexadecimal digits, and a number behind a dash where there are several.
    pub name: String,
    /// Who may have it at the same time: as the last one said.
    pub sharing: Sharing,
    /// When it was made.
    pub created: SystemTime,
    /// When it was last taken.
    pub used: SystemTime,
    /// How many times it was taken.
    pub uses: u64,
    /// Whether somebody has it now.
    pub in_use: bool,
    /// The folder that is mounted; it may be missing.
    pub folder: PathBuf,
}

/// What stands beside the folder.
#[derive(Serialize, Deserialize)]
struct About {
    id: String,
    sharing: Sharing,
    /// Seconds since 1970, as `used`.
    created: u64,
    used: u64,
    uses: u64,
}

impl CacheMounts<'_> {
    /// Takes the cache mount that is `wanted`, and waits where it must: `waiting` is called again and
    /// again meanwhile, and ends it by `false`. `None` where it did.
    ///
    /// # Errors
    /// What the system said.
    pub fn take(
        &self,
        wanted: &Wanted<'_>,
        waiting: &mut dyn FnMut() -> bool,
    ) -> Result<Option<CacheMount>, Error> {
        fs::create_dir_all(self.all()).map_err(Error::on("create", &self.all()))?;
        loop {
            if let Some(taken) = self.try_take(wanted)? {
                return Ok(Some(taken));
            }
            if !waiting() {
                return Ok(None);
            }
            thread::sleep(AGAIN);
        }
    }

    fn try_take(&self, wanted: &Wanted<'_>) -> Result<Option<CacheMount>, Error> {
        // Nobody removes one while a lock is looked for.
        let _here = Lock::shared(&self.gate())?;
        for number in 0_u64.. {
            let place = self.all().join(name(wanted.key, number));
            fs::create_dir_all(&place).map_err(Error::on("create", &place))?;
            let path = place.join("lock");
            let lock = match wanted.sharing {
                Sharing::Shared => Lock::try_shared(&path)?,
                Sharing::Private | Sharing::Locked => Lock::try_exclusive(&path)?,
            };
            match lock {
                Some(lock) => {
                    self.note(&place, wanted)?;
                    return Ok(Some(CacheMount { place, _lock: lock }));
                }
                None if wanted.sharing == Sharing::Private => {}
                // Who has it wants it alone: it is not worth waiting for.
                None if about(&place)?.is_some_and(|a| a.sharing == Sharing::Private) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Puts down that it was taken. Of two who do so at the same time, one wins.
    fn note(&self, place: &Path, wanted: &Wanted<'_>) -> Result<(), Error> {
        let now = since_1970(SystemTime::now());
        let before = about(place)?;
        let about = About {
            id: wanted.id.to_owned(),
            sharing: wanted.sharing,
            created: before.as_ref().map_or(now, |before| before.created),
            used: now,
            uses: before.map_or(0, |before| before.uses) + 1,
        };
        let bytes = serde_json::to_vec(&about).expect("plain data can be written");
        let tmp = self.0.owner()?.tmp()?;
        Ok(replace_by(&tmp, &place.join("about"), &bytes)?)
    }

    /// All cache mounts, the one that was used longest ago first.
    ///
    /// # Errors
    /// What the system said.
    pub fn list(&self) -> Result<Vec<CacheMountInfo>, Error> {
        // Looking whether one is in use takes its lock for a moment, which nobody else must see.
        let _alone = Lock::exclusive(&self.gate())?;
        let mut all = Vec::new();
        for name in names(&self.all())? {
            let place = self.all().join(&name);
            let Some(about) = about(&place)? else {
                continue;
            };
            all.push(CacheMountInfo {
                id: about.id,
                sharing: about.sharing,
                created: UNIX_EPOCH + Duration::from_secs(about.created),
                used: UNIX_EPOCH + Duration::from_secs(about.used),
                uses: about.uses,
                in_use: Lock::try_exclusive(&place.join("lock"))?.is_none(),
                folder: place.join("data"),
                name,
            });
        }
        all.sort_by(|a, b| (a.used, &a.id, &a.name).cmp(&(b.used, &b.id, &b.name)));
        Ok(all)
    }

    /// Removes one with all that is in it. `false` where somebody has it, or it is not there.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove(&self, info: &CacheMountInfo) -> Result<bool, Error> {
        let place = self.all().join(&info.name);
        let _alone = Lock::exclusive(&self.gate())?;
        if !place.exists() {
            return Ok(false);
        }
        match Lock::try_exclusive(&place.join("lock"))? {
            Some(_lock) => self.0.base().discard(&place),
            None => Ok(false),
        }
    }

    fn all(&self) -> PathBuf {
        self.0.layout().folder("mounts")
    }

    /// Held shared while one is looked for, exclusively while one is removed.
    fn gate(&self) -> PathBuf {
        self.0.layout().lock("mounts")
    }
}

impl CacheMount {
    /// The folder that is mounted. Where it is missing, `fill` makes it: in a folder with another name,
    /// so that it is there whole or not at all. Where somebody else makes it, this waits, and calls
    /// `waiting` as [`take`](CacheMounts::take) does. `None` where that ended it.
    ///
    /// # Errors
    /// What the system said, and what `fill` gives.
    pub fn folder<E: From<Error>>(
        &self,
        waiting: &mut dyn FnMut() -> bool,
        fill: impl FnOnce(&Path) -> Result<(), E>,
        remove: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Option<PathBuf>, E> {
        let data = self.place.join("data");
        let lock = self.place.join("filling");
        let _filling = loop {
            if data.exists() {
                return Ok(Some(data));
            }
            if let Some(lock) = Lock::try_exclusive(&lock).map_err(Error::from)? {
                break lock;
            }
            if !waiting() {
                return Ok(None);
            }
            thread::sleep(AGAIN);
        };
        if data.exists() {
            return Ok(Some(data));
        }
        let new = self.place.join("new");
        if new.exists() {
            // Of somebody who was killed.
            remove(&new)?;
        }
        fill(&new)?;
        fs::rename(&new, &data).map_err(Error::on("rename", &new))?;
        Ok(Some(data))
    }
}

fn name(key: &Digest, number: u64) -> String {
    match number {
        0 => key.hex(),
        number => format!("{}-{number}", key.hex()),
    }
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// What stands beside a folder; nothing where it cannot be read: then it was never taken.
fn about(place: &Path) -> Result<Option<About>, Error> {
    let text = read(&place.join("about"))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(store: &Store, key: &str, sharing: Sharing) -> Option<CacheMount> {
        let wanted = Wanted {
            id: key,
            key: &Digest::sha256(key.as_bytes()),
            sharing,
        };
        let mounts = store.cache_mounts();
        mounts.take(&wanted, &mut || false).unwrap()
    }

    fn folder(mount: &CacheMount) -> PathBuf {
        let make = |at: &Path| fs::create_dir(at).map_err(Error::on("create", at));
        let folder = mount.folder::<Error>(&mut || false, make, |_| Ok(()));
        folder.unwrap().unwrap()
    }

    #[test]
    fn who_may_have_one_at_the_same_time() {
        use Sharing::{Locked, Private, Shared};
        // The first, the second, and whether the second has the same one; `None` where it waits.
        for (first, second, same) in [
            (Shared, Shared, Some(true)),
            (Shared, Private, Some(false)),
            (Shared, Locked, None),
            (Private, Private, Some(false)),
            (Private, Shared, Some(false)),
            (Locked, Locked, None),
            (Locked, Shared, None),
            (Locked, Private, Some(false)),
        ] {
            let at = tempfile::tempdir().unwrap();
            let store = Store::open(at.path()).unwrap();
            let one = take(&store, "/c", first).unwrap();
            let other = take(&store, "/c", second);
            let found = other.as_ref().map(|other| folder(other) == folder(&one));
            assert_eq!(found, same, "{first:?}, then {second:?}");
            drop((one, other));
            let again = take(&store, "/c", second).unwrap();
            assert!(folder(&again).ends_with("data"), "{second:?}");
        }
    }

    #[test]
    fn one_in_use_is_not_removed() {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path()).unwrap();
        let one = take(&store, "/c", Sharing::Shared).unwrap();
        let place = folder(&one);
        let all = store.cache_mounts().list().unwrap();
        assert_eq!(
            (all.len(), all[0].id.as_str(), all[0].in_use),
            (1, "/c", true)
        );
        assert!(!store.cache_mounts().remove(&all[0]).unwrap());
        drop(one);
        assert!(store.cache_mounts().remove(&all[0]).unwrap());
        assert!(!place.exists());
        assert!(store.cache_mounts().list().unwrap().is_empty());
    }

    #[test]
    fn what_was_half_made_is_made_anew() {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path()).unwrap();
        let one = take(&store, "/c", Sharing::Shared).unwrap();
        let broken = |at: &Path| {
            fs::create_dir(at).map_err(Error::on("create", at))?;
            Err(Error::new(crate::ErrorKind::Invalid, "broken"))
        };
        let alone = &mut || false;
        assert!(one.folder::<Error>(alone, broken, |_| Ok(())).is_err());
        let make = |at: &Path| fs::create_dir(at).map_err(Error::on("create", at));
        let remove = |at: &Path| fs::remove_dir_all(at).map_err(Error::on("remove", at));
        let made = one.folder::<Error>(alone, make, remove).unwrap();
        assert!(made.unwrap().is_dir());
    }

    #[test]
    fn who_waits_for_another_to_fill_one_can_be_told_to_stop() {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path()).unwrap();
        let one = take(&store, "/c", Sharing::Shared).unwrap();
        let second = take(&store, "/c", Sharing::Shared).unwrap();
        let make = |at: &Path| fs::create_dir(at).map_err(Error::on("create", at));
        let never = |_: &Path| -> Result<(), Error> { panic!("two fill it") };
        let mut asked = 0;
        let fill = |at: &Path| {
            let mut stop = || {
                asked += 1;
                asked < 3
            };
            let waited = second.folder::<Error>(&mut stop, never, |_| Ok(()))?;
            assert_eq!(waited, None);
            make(at)
        };
        let made = one.folder::<Error>(&mut || false, fill, |_| Ok(()));
        let made = made.unwrap();
        assert_eq!(asked, 3);
        let there = second.folder::<Error>(&mut || false, never, |_| Ok(()));
        assert_eq!(there.unwrap(), made);
    }
}
