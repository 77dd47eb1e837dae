//! Whether everything in a store is whole: digests, trees, diff ids, records and names.

use std::{
    fs::File,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use kiln_durable::Lease;
use kiln_image::{Algorithm, Digest, HashingWriter};
use kiln_layer::{DIALECT, Times, Tree, decompress, pack};

use crate::{
    Error, ErrorKind, Facts, ImageRecord, Ref, Store,
    base::{exists, names, read},
    collect::digests,
    layout::escape,
    refs::decode,
    trees::blake3_of,
};

/// Something in a store that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is about: `blob sha256:…`, `layer sha256:…`, a name.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl Store {
    /// Reads everything, on all cores, and says what is not whole. Mends nothing.
    ///
    /// # Errors
    /// When something cannot be read at all.
    pub fn check(&self) -> Result<Vec<Problem>, Error> {
        let mut work = Vec::new();
        for (folder, algorithm, look) in [
            ("blobs/sha256", Algorithm::Sha256, blob as Look),
            ("trees", Algorithm::Blake3, tree),
            ("layers", Algorithm::Sha256, layer),
            ("unpacked", Algorithm::Sha256, body),
        ] {
            let found = digests(self, folder, algorithm)?;
            work.extend(found.into_iter().map(|digest| (look, digest)));
        }
        let problems = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        thread::scope(|scope| -> Result<(), Error> {
            let run = || -> Result<(), Error> {
                while let Some((look, digest)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = look(self, digest)?;
                    let mut all = problems.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend(found);
                }
                Ok(())
            };
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
            for thread in threads {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(())
        })?;
        let mut problems = problems
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        self.check_refs(&mut problems)?;
        self.check_leftovers(&mut problems)?;
        problems.sort();
        problems.dedup();
        Ok(problems)
    }

    fn check_refs(&self, problems: &mut Vec<Problem>) -> Result<(), Error> {
        let refs = self.layout().folder("refs");
        for kind in names(&refs)? {
            for file in names(&refs.join(&kind))? {
                let shown = format!("root {kind}/{file}");
                let Some(bytes) = read(&refs.join(&kind).join(&file))? else {
                    continue;
                };
                let Some((name, root)) = decode(&bytes) else {
                    problems.push(problem(shown, "the file is damaged"));
                    continue;
                };
                let there = name.strip_prefix(&format!("{kind}/")).map(escape);
                if there.as_deref() != Some(&file) {
                    problems.push(problem(shown, "the file has the name of another"));
                    continue;
                }
                if self.refs().is_good(&root)? {
                    self.check_root(&name, &root, problems)?;
                }
            }
        }
        Ok(())
    }

    fn check_root(&self, name: &str, root: &Ref, found: &mut Vec<Problem>) -> Result<(), Error> {
        for digest in &root.keeps {
            let layout = self.layout();
            let here = match digest.algorithm() {
                Algorithm::Sha256 => {
                    exists(&layout.blob(digest))? || exists(&layout.layer(digest))?
                }
                _ => exists(&layout.tree(digest))?,
            };
            if !here {
                found.push(problem(name.to_owned(), format!("`{digest}` is not here")));
            }
        }
        if !name.starts_with("image/") {
            return Ok(());
        }
        let image = match ImageRecord::decode(name, root) {
            Ok(image) => image,
            Err(e) => {
                found.push(problem(name.to_owned(), e.to_string()));
                return Ok(());
            }
        };
        match self.images().config(&image) {
            Ok(config) if config.rootfs.diff_ids == image.layers => {}
            Ok(_) => found.push(problem(name.to_owned(), "its config names other layers")),
            Err(e) if e.kind() == ErrorKind::Io => return Err(e),
            Err(e) => found.push(problem(name.to_owned(), e.to_string())),
        }
        for diff_id in &image.layers {
            if !self.has_body(diff_id)? {
                let why = format!("the layer `{diff_id}` has no body here or elsewhere");
                found.push(problem(name.to_owned(), why));
            }
        }
        Ok(())
    }

    fn has_body(&self, diff_id: &Digest) -> Result<bool, Error> {
        let Ok(Some(layer)) = self.layers().get(diff_id) else {
            // Told where layers are looked at, or where keeps are.
            return Ok(true);
        };
        let packed = |p: &crate::PackedAs| p.is_body() && self.blobs().has(&p.descriptor.digest);
        Ok(self.blobs().has(diff_id)
            || layer.facts.packed.iter().any(packed)
            || !layer.facts.locations.is_empty()
            || self.layers().unpacked(diff_id)?.is_some())
    }

    fn check_leftovers(&self, problems: &mut Vec<Problem>) -> Result<(), Error> {
        for id in names(&self.layout().folder("tmp"))? {
            if !id.starts_with('.') && !Lease::held(&self.layout().lease(&id))? {
                problems.push(problem(format!("tmp/{id}"), "its owner is no more"));
            }
        }
        Ok(())
    }
}

type Look = fn(&Store, &Digest) -> Result<Vec<Problem>, Error>;

fn problem(what: String, why: impl Into<String>) -> Problem {
    Problem {
        what,
        why: why.into(),
    }
}

/// The SHA-256 of a reader's bytes.
fn sha256_of(mut reader: impl io::Read) -> io::Result<Digest> {
    let mut hash = HashingWriter::new(io::sink());
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hash.finish().1),
            n => io::Write::write_all(&mut hash, &buffer[..n])?,
        }
    }
}

/// Whether the bytes of a blob have its digest. One that went meanwhile is whole.
pub(crate) fn blob_is_whole(store: &Store, digest: &Digest) -> Result<bool, Error> {
    let path = store.layout().blob(digest);
    match File::open(&path) {
        Ok(file) => Ok(sha256_of(file).map_err(Error::on("read", &path))? == *digest),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::on("open", &path)(e)),
    }
}

fn blob(store: &Store, digest: &Digest) -> Result<Vec<Problem>, Error> {
    if blob_is_whole(store, digest)? {
        return Ok(Vec::new());
    }
    let why = "its bytes have another digest";
    Ok(vec![problem(format!("blob {digest}"), why)])
}

fn tree(store: &Store, digest: &Digest) -> Result<Vec<Problem>, Error> {
    let Some(bytes) = read(&store.layout().tree(digest))? else {
        return Ok(Vec::new());
    };
    let why = match Tree::decode(&bytes) {
        // Of the bytes, which an earlier version may have written in its way.
        Ok(_) if blake3_of(&bytes) == *digest => return Ok(Vec::new()),
        Ok(_) => "its bytes have another digest".to_owned(),
        Err(e) => e.to_string(),
    };
    Ok(vec![problem(format!("tree {digest}"), why)])
}

fn layer(store: &Store, diff_id: &Digest) -> Result<Vec<Problem>, Error> {
    let what = format!("layer {diff_id}");
    let facts = match store.layers().get(diff_id) {
        Ok(Some(layer)) => layer.facts,
        Ok(None) => return Ok(Vec::new()),
        Err(e) if e.kind() == ErrorKind::Damaged => return Ok(vec![problem(what, e.to_string())]),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    if let Some(tree) = &facts.tree
        && !exists(&store.layout().tree(tree))?
    {
        found.push(problem(
            what.clone(),
            format!("its tree `{tree}` is not here"),
        ));
    }
    for packed in &facts.packed {
        let blob = &packed.descriptor;
        let Some(size) = store.blobs().size(&blob.digest)? else {
            continue;
        };
        if size != blob.size {
            let why = format!(
                "its blob `{}` has {size} bytes, not {}",
                blob.digest, blob.size
            );
            found.push(problem(what.clone(), why));
        }
        let opened = store.blobs().open(&blob.digest)?;
        let plain = decompress(opened).map_err(io::Error::from);
        let why = match plain.and_then(|(_, plain)| sha256_of(plain)) {
            Ok(is) if is == packed.diff_id(diff_id) => continue,
            Ok(is) => format!("its blob `{}` is `{is}` when unpacked", blob.digest),
            Err(e) => format!("its blob `{}` cannot be unpacked: {e}", blob.digest),
        };
        found.push(problem(what.clone(), why));
    }
    Ok(found)
}

fn body(store: &Store, diff_id: &Digest) -> Result<Vec<Problem>, Error> {
    let what = format!("unpacked layer {diff_id}");
    let Some(body) = store.layers().unpacked(diff_id)? else {
        return Ok(Vec::new());
    };
    if !exists(&body.root())? {
        return Ok(vec![problem(what, "there is no `root` in it")]);
    }
    match store.layers().get(diff_id) {
        Ok(Some(layer)) if layer.facts.dialect == Some(DIALECT) => {
            Ok(repacks(store, diff_id, &layer.facts, &body)
                .map_or_else(|why| vec![problem(what, why)], |()| Vec::new()))
        }
        // A foreign tar cannot be made again: its blob is what is looked at. A body comes before
        // its facts, so one without them is whole, and of a maker who is at it or was killed: the
        // next one takes it up, or a collection takes it away.
        Ok(_) | Err(_) => Ok(Vec::new()),
    }
}

/// Whether an unpacked layer that was made here still packs to the same bytes.
fn repacks(
    store: &Store,
    diff_id: &Digest,
    facts: &Facts,
    body: &crate::Body,
) -> Result<(), String> {
    let Some(tree) = &facts.tree else {
        return Ok(());
    };
    let Ok(Some(tree)) = store.trees().get(tree) else {
        return Ok(());
    };
    let files = store
        .unpacked_files(body, tree)
        .map_err(|e| e.to_string())?;
    let packed = pack(&files, io::sink(), Times::Keep);
    let (_, packed) = packed.map_err(|e| format!("it cannot be packed: {e}"))?;
    if packed.diff_id == *diff_id {
        return Ok(());
    }
    Err(format!("it packs to `{}`", packed.diff_id))
}
