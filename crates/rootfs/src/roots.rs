//! From layers to a root that a process can stand on.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kiln_image::Digest;
use kiln_layer::{Files, LayerPath, Root, RootLayer, Time, Tree};
use kiln_store::{Body, Store};

use crate::prepared::{Point, Prepared, patches, stubs};
use crate::{Bodies, Error, ErrorKind};

/// How many layers the kernel mounts on each other (Linux `OVL_MAX_STACK`), but for one that
/// [`Roots::prepare`] may need for itself.
pub const MAX_LAYERS: usize = 499;

/// Layers of a store as roots. Cheap to share between threads.
pub struct Roots {
    pub(crate) store: Store,
    pub(crate) bodies: Arc<dyn Bodies>,
    /// The folders that foreign layers do not name, by layer.
    implied: Mutex<HashMap<Digest, Arc<Vec<LayerPath>>>>,
}

impl Roots {
    /// Layers of `store`, whose unpacked bodies are worked on by `bodies`; the store removes them and
    /// opens their files that way, too.
    pub fn new(store: Store, bodies: Arc<dyn Bodies>) -> Self {
        let remover = bodies.clone();
        let store = store.with_remover(Arc::new(move |dir: &Path| {
            remover.remove(dir).map_err(Into::into)
        }));
        let opener = bodies.clone();
        let store = store.with_opener(Arc::new(move |body: &Path, path: &LayerPath| {
            opener.open(body, path)
        }));
        Self {
            store,
            bodies,
            implied: Mutex::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who works on unpacked bodies.
    pub fn bodies(&self) -> &Arc<dyn Bodies> {
        &self.bodies
    }

    /// Removes a folder that was given to [`prepare`](Self::prepare), with all that is in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn remove(&self, dir: &Path) -> Result<(), Error> {
        self.bodies.remove(dir)
    }

    /// The layers (bottom first) as one file system to look things up in. Mounts nothing; a body is
    /// only asked for when a file is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] for a layer that is not here.
    pub fn root(&self, layers: &[Digest]) -> Result<Root, Error> {
        let layers = layers.iter().map(|diff_id| {
            Ok(RootLayer {
                diff_id: *diff_id,
                files: self.files(diff_id)?,
            })
        });
        Ok(Root::new(layers.collect::<Result<_, Error>>()?))
    }

    fn files(&self, diff_id: &Digest) -> Result<Arc<dyn Files>, Error> {
        match self.store.layers().tree(diff_id)? {
            Some(tree) => Ok(Arc::new(Lazy {
                store: self.store.clone(),
                diff_id: *diff_id,
                tree,
                files: OnceLock::new(),
            })),
            // The bytes were not seen yet; this looks at them.
            None => Ok(self.store.layers().files(diff_id)?),
        }
    }

    /// Makes the layers (bottom first) ready to be mounted, with an empty upper directory. `at` is an
    /// empty folder of the caller's on the file system of the store, a folder in
    /// [`Build::tmp`](kiln_store::Build::tmp) for one; the caller removes it ([`Roots::remove`]).
    ///
    /// Where the image lacks what a sandbox mounts on (`/proc`, `/etc/hosts` and the like), a topmost
    /// layer of the caller's own has it: nothing of that gets into the upper directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooManyLayers`] above [`MAX_LAYERS`]; as [`Roots::unpacked`].
    pub fn prepare(&self, layers: &[Digest], at: &Path) -> Result<Prepared, Error> {
        self.prepare_with(layers, &Point::usual(), Time::default(), at)
    }

    /// The same for a root in which `points` are mounted on, and nothing else; what has to be made for
    /// them, with the folders above, has the time `made`. Such a root is not
    /// [reopened](Self::reopen).
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    pub fn prepare_with(
        &self,
        layers: &[Digest],
        points: &[Point],
        made: Time,
        at: &Path,
    ) -> Result<Prepared, Error> {
        let prepared = self.layered(layers, points, made, at)?;
        if prepared.has_stubs() {
            self.bodies.make(&prepared.stubs, &prepared.lowers[0])?;
        }
        let make = |folder: &PathBuf| {
            std::fs::create_dir(folder).map_err(|e| Error::io("make the folder", folder, e))
        };
        make(&prepared.layer)?;
        let top = prepared.root.lookup(&LayerPath::root());
        let top: Tree = top.into_iter().map(Cow::into_owned).collect();
        self.bodies.make(&top, &prepared.upper)?;
        make(&prepared.work)?;
        Ok(prepared)
    }

    /// What [`prepare`](Self::prepare) gave for the folder `at` once, with what was changed in it
    /// since: for a root that is mounted again. `layers` are those that it was prepared of; bodies
    /// of theirs that were evicted are made again. Nothing in `at` is touched.
    ///
    /// Only for roots that were not mounted `volatile`: the kernel refuses those a second time.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    pub fn reopen(&self, layers: &[Digest], at: &Path) -> Result<Prepared, Error> {
        self.layered(layers, &Point::usual(), Time::default(), at)
    }

    fn layered(
        &self,
        layers: &[Digest],
        points: &[Point],
        made: Time,
        at: &Path,
    ) -> Result<Prepared, Error> {
        if layers.len() > MAX_LAYERS {
            let what = format!(
                "mount {} layers: the kernel takes {MAX_LAYERS} of them",
                layers.len()
            );
            return Err(Error::new(ErrorKind::TooManyLayers, what)
                .hint("join instructions, or build on a base of fewer layers"));
        }
        let mut lowers = self.all_unpacked(layers)?;
        lowers.reverse();
        // The kernel refuses a folder twice, and what a layer says counts where it is topmost.
        let mut seen = HashSet::new();
        lowers.retain(|lower| seen.insert(lower.clone()));
        let root = Arc::new(self.root(layers)?);
        let mut stubs = stubs(&root, points, made)?;
        for implied in self.implied(layers)? {
            patches(&root, &implied, &mut stubs);
        }
        let layer = at.join("layer");
        let upper = layer.join(Body::ROOT);
        let mut prepared = Prepared {
            root,
            stubs,
            lowers,
            layer,
            upper,
            work: at.join("work"),
        };
        if prepared.has_stubs() {
            prepared.lowers.insert(0, at.join("stub"));
        }
        Ok(prepared)
    }

    /// The folders that foreign layers do not name, for each layer that has such.
    fn implied(&self, layers: &[Digest]) -> Result<Vec<Arc<Vec<LayerPath>>>, Error> {
        let mut all = Vec::new();
        for diff_id in layers {
            let known = self.implied.lock().unwrap_or_else(PoisonError::into_inner);
            let found = known.get(diff_id).cloned();
            drop(known);
            let found = match found {
                Some(found) => found,
                None => {
                    let tree = self.store.layers().tree(diff_id)?;
                    let implied = tree.map(|tree| tree.implied().into_iter().collect());
                    let found: Arc<Vec<LayerPath>> = Arc::new(implied.unwrap_or_default());
                    let mut known = self.implied.lock().unwrap_or_else(PoisonError::into_inner);
                    known.insert(*diff_id, found.clone());
                    found
                }
            };
            if !found.is_empty() {
                all.push(found);
            }
        }
        Ok(all)
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Roots").field(&self.store).finish()
    }
}

pub(crate) fn no_body(diff_id: &Digest) -> Error {
    let what = format!("find the bytes of the layer `{diff_id}` here");
    Error::new(ErrorKind::NotFound, what).hint("pull the image again")
}

/// A layer whose body is looked for when a file is read.
struct Lazy {
    store: Store,
    diff_id: Digest,
    tree: Arc<Tree>,
    files: OnceLock<Arc<dyn Files>>,
}

impl Lazy {
    fn files(&self) -> std::io::Result<&Arc<dyn Files>> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = self.store.layers().files(&self.diff_id);
        let files = files.map_err(std::io::Error::from)?;
        Ok(self.files.get_or_init(|| files))
    }
}

impl Files for Lazy {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn open(&self, path: &LayerPath) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        self.files()?.open(path)
    }

    fn read(
        &self,
        select: &dyn Fn(&kiln_layer::Entry) -> bool,
        each: &mut dyn FnMut(&kiln_layer::Entry, &mut dyn std::io::Read) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        self.files()?.read(select, each)
    }
}
