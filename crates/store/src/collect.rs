//! Garbage collection: what no named root keeps, and no living owner has named, goes. Nothing else
//! is asked.
//!
//! Who relies on something names it in its lease first, under the shared lock that
//! [`no_collection`](crate::base::Base::no_collection) takes, and looks afterwards. Under the
//! exclusive lock nothing is deleted, only renamed out of sight; so it is held for a moment.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use kiln_durable::{Lease, Lock};
use kiln_image::{Algorithm, Digest};

use crate::{
    Error, ErrorKind, Ref, Store,
    base::{names, read, remove_file},
    owner::{Owner, claims, sweep},
    refs::decode,
};

/// How to collect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectOptions {
    /// Say what would go, and leave it.
    pub dry_run: bool,
}

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The blobs, by digest.
    pub blobs: Vec<Digest>,
    /// The layers, by diff id: their facts and unpacked bodies. Their blobs are among `blobs`.
    pub layers: Vec<Digest>,
    /// How many trees.
    pub trees: u64,
    /// How many bytes that frees; for unpacked bodies, those of the files that the layer has.
    pub bytes: u64,
}

impl Store {
    /// Removes what nothing needs. May be called at any time, by several at once.
    ///
    /// What was put through this very handle stays while it lives.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) when a root cannot be read, so that it is not known what it
    /// keeps: then nothing was removed. Damaged cache records are removed.
    pub fn collect(&self, options: &CollectOptions) -> Result<Collected, Error> {
        sweep(self.base())?;
        if options.dry_run {
            let live = Roots::read(self)?.live(self)?;
            return Ok(Garbage::find(self, &live)?.told);
        }
        let trash = Owner::start(self.base().clone())?;
        let folder = trash.tmp()?;
        let alone = Lock::exclusive(&self.layout().lock("collect"))?;
        let roots = Roots::read(self)?;
        let garbage = Garbage::find(self, &roots.live(self)?)?;
        for (n, path) in garbage.paths.iter().enumerate() {
            take_away(path, &folder.join(n.to_string()))?;
        }
        for path in &roots.dead {
            remove_file(path)?;
        }
        self.forget_seals(&roots)?;
        drop(alone);
        drop(trash);
        Ok(garbage.told)
    }

    /// Seals are there for records; those of which no record is left go.
    fn forget_seals(&self, roots: &Roots) -> Result<(), Error> {
        let needed: HashSet<&str> = roots.good.iter().map(|(_, r)| r.build.as_str()).collect();
        for build in names(&self.layout().folder("sealed"))? {
            // A build that lives may have sealed, and not be done with its names.
            if !needed.contains(build.as_str()) && !Lease::held(&self.layout().lease(&build))? {
                remove_file(&self.layout().sealed(&build))?;
            }
        }
        Ok(())
    }
}

fn take_away(path: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(path, to) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(Error::on("remove", path)),
    }
}

/// All named roots.
pub(crate) struct Roots {
    /// Those that count, by name.
    pub(crate) good: Vec<(String, Ref)>,
    /// The files of those that do not.
    dead: Vec<PathBuf>,
}

impl Roots {
    pub(crate) fn read(store: &Store) -> Result<Self, Error> {
        let mut roots = Self {
            good: Vec::new(),
            dead: Vec::new(),
        };
        let refs = store.layout().folder("refs");
        for kind in names(&refs)? {
            for file in names(&refs.join(&kind))? {
                let path = refs.join(&kind).join(file);
                let Some(bytes) = read(&path)? else {
                    continue;
                };
                match decode(&bytes) {
                    Some((name, root)) if store.refs().is_good(&root)? => {
                        roots.good.push((name, root));
                    }
                    None if kind != "cache" => {
                        return Err(Error::new(
                            ErrorKind::Damaged,
                            format!("read `{}`: the file is damaged", path.display()),
                        )
                        .hint("what it kept is not known, so nothing was removed"));
                    }
                    _ => roots.dead.push(path),
                }
            }
        }
        Ok(roots)
    }

    /// All that must stay: what roots keep, what living owners named, and what belongs to it.
    pub(crate) fn live(&self, store: &Store) -> Result<HashSet<Digest>, Error> {
        let kept = self.good.iter().flat_map(|(_, root)| root.keeps.clone());
        closure(store, kept.chain(claimed(store)?))
    }
}

/// What living owners have named.
pub(crate) fn claimed(store: &Store) -> Result<Vec<Digest>, Error> {
    let leases = store.layout().folder("leases");
    let mut all = Vec::new();
    for owner in names(&leases)? {
        let lease = leases.join(owner);
        if Lease::held(&lease)? {
            all.extend(claims(&lease)?);
        }
    }
    Ok(all)
}

/// `kept` and what belongs to it: of a layer its tree and its blobs.
pub(crate) fn closure(
    store: &Store,
    kept: impl IntoIterator<Item = Digest>,
) -> Result<HashSet<Digest>, Error> {
    let mut all = HashSet::new();
    for digest in kept {
        if !all.insert(digest) || digest.algorithm() != Algorithm::Sha256 {
            continue;
        }
        if let Some(layer) = store.layers().get(&digest)? {
            all.extend(layer.facts.tree);
            all.extend(layer.facts.packed.iter().map(|p| p.descriptor.digest));
        }
    }
    Ok(all)
}

#[derive(Default)]
struct Garbage {
    paths: Vec<PathBuf>,
    told: Collected,
}

impl Garbage {
    fn find(store: &Store, live: &HashSet<Digest>) -> Result<Self, Error> {
        let mut found = Self::default();
        for digest in not_in(store, "blobs/sha256", Algorithm::Sha256, live)? {
            found.file(store.layout().blob(&digest))?;
            found.told.blobs.push(digest);
        }
        for digest in not_in(store, "unpacked", Algorithm::Sha256, live)? {
            found.paths.push(store.layout().unpacked(&digest));
            let facts = store.layers().get(&digest)?.map(|l| l.facts);
            found.told.bytes += facts.map_or(0, |f| f.content);
        }
        for digest in not_in(store, "layers", Algorithm::Sha256, live)? {
            found.file(store.layout().layer(&digest))?;
            found.told.layers.push(digest);
        }
        for digest in not_in(store, "diffs", Algorithm::Sha256, live)? {
            found.file(store.layout().diff(&digest))?;
        }
        for digest in not_in(store, "trees", Algorithm::Blake3, live)? {
            found.file(store.layout().tree(&digest))?;
            found.told.trees += 1;
        }
        Ok(found)
    }

    fn file(&mut self, path: PathBuf) -> Result<(), Error> {
        match fs::metadata(&path) {
            Ok(meta) => self.told.bytes += meta.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::on("look at", &path)(e)),
        }
        self.paths.push(path);
        Ok(())
    }
}

/// The digests in a folder.
pub(crate) fn digests(
    store: &Store,
    folder: &str,
    algorithm: Algorithm,
) -> Result<Vec<Digest>, Error> {
    let parse = |hex: String| format!("{}:{hex}", algorithm.name()).parse().ok();
    let mut found: Vec<Digest> = names(&store.layout().folder(folder))?
        .into_iter()
        .filter_map(parse)
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn not_in(
    store: &Store,
    folder: &str,
    algorithm: Algorithm,
    live: &HashSet<Digest>,
) -> Result<Vec<Digest>, Error> {
    let mut found = digests(store, folder, algorithm)?;
    found.retain(|d| !live.contains(d));
    Ok(found)
}
