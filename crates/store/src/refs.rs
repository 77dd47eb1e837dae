//! Named roots: what garbage collection follows, and nothing else. Each is a file with the digests
//! that it keeps and a value; it is replaced whole.
//!
//! A root that a build wrote is good in the boot in which it was written, because what is renamed
//! is whole until the power fails; and for ever when that build was sealed.

use std::{io::Write, path::Path, sync::PoisonError};

use kiln_durable::NewFile;
use kiln_image::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind, Store,
    base::{exists, names, read, remove_file},
    layout::{kind_of, unescape},
    owner::Owner,
};

/// The named roots of a store: `image/…`, `cache/…`, `container/…`, `build/…`.
#[derive(Clone, Copy, Debug)]
pub struct Refs<'a>(pub(crate) &'a Store);

/// A named root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// What it keeps: blobs; layers by diff id, with their trees and bodies; trees.
    pub keeps: Vec<Digest>,
    /// Whatever its maker reads.
    pub value: Vec<u8>,
    /// The boot in which it was written.
    pub boot: String,
    /// The build that wrote it; empty: it is good without one.
    pub build: String,
}

impl Store {
    /// Its named roots.
    pub fn refs(&self) -> Refs<'_> {
        Refs(self)
    }
}

/// How sure a root has to be when it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    No,
    Yes,
}

impl Refs<'_> {
    /// A root; `None` when it is not there, or was written in another boot by a build that was
    /// never sealed. One open and one read.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) when the file is not what was written.
    pub fn get(&self, name: &str) -> Result<Option<Ref>, Error> {
        let Some(bytes) = read(&self.0.layout().named(name)?)? else {
            return Ok(None);
        };
        let (found, stored) = decode(&bytes).ok_or_else(|| damaged(name))?;
        if found != name {
            return Err(damaged(name));
        }
        Ok(self.is_good(&stored)?.then_some(stored))
    }

    /// Writes a root that stands without a build: for what is not remade when it is lost. Not
    /// synced; see [`set_synced`](Refs::set_synced).
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), or what else the system said.
    pub fn set(&self, name: &str, keeps: Vec<Digest>, value: Vec<u8>) -> Result<(), Error> {
        let root = self.standing(keeps, value);
        self.write(&*self.0.owner()?, name, &root, Sync::No)
    }

    /// Like [`set`](Refs::set), and returns when a power failure can no longer undo it. What it
    /// keeps is not synced by this.
    ///
    /// # Errors
    /// As [`set`](Refs::set).
    pub fn set_synced(&self, name: &str, keeps: Vec<Digest>, value: Vec<u8>) -> Result<(), Error> {
        let root = self.standing(keeps, value);
        self.write(&*self.0.owner()?, name, &root, Sync::Yes)
    }

    /// When a root was written; `None` when it is not there.
    ///
    /// # Errors
    /// What the system said.
    pub fn written(&self, name: &str) -> Result<Option<std::time::SystemTime>, Error> {
        let path = self.0.layout().named(name)?;
        match std::fs::metadata(&path).and_then(|meta| meta.modified()) {
            Ok(time) => Ok(Some(time)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::on("read", &path)(e)),
        }
    }

    /// Removes a root; whether it was there. What only it kept goes with the next collection.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        remove_file(&self.0.layout().named(name)?)
    }

    /// The good roots whose names begin with `prefix`, which has at least a kind, by name.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged), naming the one that is.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, Ref)>, Error> {
        let mut found = Vec::new();
        for name in self.names(prefix)? {
            if let Some(root) = self.get(&name)? {
                found.push((name, root));
            }
        }
        Ok(found)
    }

    /// The names of all roots that begin with `prefix`, which has at least a kind, in order; the
    /// roots themselves are not read, and may turn out not to be good.
    ///
    /// # Errors
    /// What the system said.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (kind, _) = kind_of(prefix)?;
        let folder = self.0.layout().folder("refs").join(kind);
        let mut found = Vec::new();
        for file in names(&folder)? {
            let name = match unescape(&file) {
                Some(rest) => Some(format!("{kind}/{rest}")),
                None => name_inside(&folder.join(&file))?,
            };
            found.extend(name.filter(|n| n.starts_with(prefix)));
        }
        found.sort();
        Ok(found)
    }

    /// Whether a root stands for good: not only in this boot.
    pub(crate) fn is_sealed(&self, root: &Ref) -> Result<bool, Error> {
        if root.build.is_empty() {
            return Ok(true);
        }
        let memo = &self.0.0.sealed;
        let known = memo.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&root.build) {
            return Ok(true);
        }
        drop(known);
        if !exists(&self.0.layout().sealed(&root.build))? {
            return Ok(false);
        }
        let mut known = memo.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(root.build.clone());
        Ok(true)
    }

    pub(crate) fn is_good(&self, root: &Ref) -> Result<bool, Error> {
        Ok(root.boot == self.0.base().boot || self.is_sealed(root)?)
    }

    pub(crate) fn standing(&self, keeps: Vec<Digest>, value: Vec<u8>) -> Ref {
        Ref {
            keeps,
            value,
            boot: self.0.base().boot.clone(),
            build: String::new(),
        }
    }

    pub(crate) fn write(
        &self,
        owner: &Owner,
        name: &str,
        root: &Ref,
        sync: Sync,
    ) -> Result<(), Error> {
        let path = self.0.layout().named(name)?;
        let new = NewFile::create_in(&owner.tmp()?)?;
        let mut file = new.file();
        file.write_all(&encode(name, root))
            .map_err(Error::on("write", &path))?;
        let _guard = self.0.base().no_collection()?;
        match sync {
            Sync::No => new.keep(&path)?,
            Sync::Yes => new.keep_synced(&path)?,
        };
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    name: std::borrow::Cow<'a, str>,
    boot: std::borrow::Cow<'a, str>,
    build: std::borrow::Cow<'a, str>,
    keeps: std::borrow::Cow<'a, [Digest]>,
}

const MAGIC: &str = "kiln ref 1 ";

/// A line with the SHA-256 of all that follows, a line of JSON, and the value.
fn encode(name: &str, root: &Ref) -> Vec<u8> {
    let head = Head {
        name: name.into(),
        boot: root.boot.as_str().into(),
        build: root.build.as_str().into(),
        keeps: root.keeps.as_slice().into(),
    };
    let mut body = serde_json::to_vec(&head).expect("a head has string keys and no floats");
    body.push(b'\n');
    body.extend_from_slice(&root.value);
    let mut out = format!("{MAGIC}{}\n", Digest::sha256(&body).hex()).into_bytes();
    out.append(&mut body);
    out
}

/// The name and the root in a file; `None` when it is not one.
pub(crate) fn decode(bytes: &[u8]) -> Option<(String, Ref)> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
    let (digest, rest) = rest.split_at_checked(64)?;
    let body = rest.strip_prefix(b"\n")?;
    if Digest::sha256(body).hex().as_bytes() != digest {
        return None;
    }
    let end = body.iter().position(|b| *b == b'\n')?;
    let head: Head<'_> = serde_json::from_slice(&body[..end]).ok()?;
    let root = Ref {
        keeps: head.keeps.into_owned(),
        value: body[end + 1..].to_vec(),
        boot: head.boot.into_owned(),
        build: head.build.into_owned(),
    };
    Some((head.name.into_owned(), root))
}

/// The name of a root whose file name does not tell it.
fn name_inside(path: &Path) -> Result<Option<String>, Error> {
    Ok(read(path)?
        .and_then(|bytes| decode(&bytes))
        .map(|(name, _)| name))
}

fn damaged(name: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("read `{name}` in the store: the file is damaged"),
    )
    .hint("`kiln system check` looks at everything")
}
