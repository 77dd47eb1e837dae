//! Unpacked bodies of layers: made from a tar that is here, or straight from whoever writes it.
//! Nothing is seen of a body before its bytes are known to be those of the diff id.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

use kiln_image::Digest;
use kiln_layer::{Applied, Kind, Packed, PipeWriter, Tree, pipe, read_ahead};
use kiln_store::{Body, Build};

use crate::committed::facts_of;
use crate::cores::each;
use crate::roots::no_body;
use crate::{Error, ErrorKind, Roots};

impl Roots {
    /// The unpacked body of a layer, which is made where it is missing and checked against the diff
    /// id; of several who make it at once one does, and the others wait. The folder is to be mounted,
    /// never to be written to. One that was made with other ids is made again.
    ///
    /// `below` are the layers under it, the bottom first: some foreign layers lean on their files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is no body at all, [`ErrorKind::Mismatch`] when its bytes
    /// are not those of the diff id, and as [`Bodies::unpack`](crate::Bodies::unpack).
    pub fn unpacked(&self, diff_id: &Digest, below: &[Digest]) -> Result<PathBuf, Error> {
        let layers = self.store.layers();
        if let Some(body) = layers.unpacked(diff_id)?
            && self.fits(&body)?
        {
            return Ok(body.root());
        }
        let _lock = layers.lock(diff_id)?;
        if let Some(body) = layers.unpacked(diff_id)? {
            if self.fits(&body)? {
                return Ok(body.root());
            }
            self.discard(diff_id, &body)?;
        }
        let lower = match layers.tree(diff_id)? {
            Some(tree) if leans_on_lower(&tree) => Some(self.root(below)?),
            _ => None,
        };
        let mut tar = self.read(diff_id)?;
        let (scratch, at) = self.scratch()?;
        let to = at.join(Body::ROOT);
        let applied = self.bodies.unpack(&mut *tar, lower.as_ref(), &to)?;
        agree(&applied, diff_id, "its bytes have")?;
        crate::maker::mark(&at, &*self.bodies)?;
        let facts = facts_of(applied.size, &applied.tree);
        layers.put(diff_id, facts, Some(&applied.tree))?;
        let body = layers.adopt(diff_id, &at)?;
        drop(scratch);
        Ok(body.root())
    }

    /// The unpacked bodies of `layers` (bottom first); those that are missing are made at the same
    /// time, as many as there are cores.
    ///
    /// # Errors
    ///
    /// As [`unpacked`](Self::unpacked); of several errors, that of the lowest layer.
    pub(crate) fn all_unpacked(&self, layers: &[Digest]) -> Result<Vec<PathBuf>, Error> {
        let mut bodies = Vec::with_capacity(layers.len());
        let mut missing = Vec::new();
        for (index, diff_id) in layers.iter().enumerate() {
            let body = self.store.layers().unpacked(diff_id)?;
            let fits = match &body {
                Some(body) => self.fits(body)?,
                None => false,
            };
            if !fits {
                missing.push(index);
            }
            bodies.push(body.map(|body| body.root()).unwrap_or_default());
        }
        let made = each(&missing, |index| {
            self.unpacked(&layers[*index], &layers[..*index])
        })?;
        for (index, made) in missing.into_iter().zip(made) {
            bodies[index] = made;
        }
        Ok(bodies)
    }

    /// A layer made here whose only body is the unpacked one: `write` writes its tar (of the dialect
    /// [`DIALECT`](kiln_layer::DIALECT), large pieces at a time), which is unpacked meanwhile. It is
    /// called once, on this thread. Its files must not lean on those of other layers.
    ///
    /// # Errors
    ///
    /// That of `write`, unless it only failed because the other side did;
    /// [`ErrorKind::Mismatch`] when what was unpacked is not what `write` says it has written; as
    /// [`Bodies::unpack`](crate::Bodies::unpack), and what the store gives. Nothing stays behind.
    pub fn make_unpacked<E: From<Error>>(
        &self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<Packed, E>,
    ) -> Result<Packed, E> {
        let (scratch, at) = self.scratch()?;
        let (packed, applied) = self.write_and_unpack(write, &at.join(Body::ROOT))?;
        agree(&applied, &packed.diff_id, "unpacked it has")?;
        crate::maker::mark(&at, &*self.bodies)?;
        // The facts say that there is a body: so it comes first.
        let adopted = self.store.layers().adopt(&packed.diff_id, &at);
        adopted.map_err(Error::from)?;
        drop(scratch);
        self.learn(&packed)?;
        Ok(packed)
    }

    /// The writer on this thread, the unpacker on another, a pipe between them.
    fn write_and_unpack<E: From<Error>>(
        &self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<Packed, E>,
        to: &Path,
    ) -> Result<(Packed, Applied), E> {
        let failed = |e| Error::new(ErrorKind::Io, "start unpacking a layer").because(e);
        let (writer, mut reader) = pipe();
        let bodies = &*self.bodies;
        thread::scope(|scope| {
            let mut out = Out {
                pipe: writer,
                gone: false,
            };
            let unpack = move || bodies.unpack(&mut reader, None, to);
            let thread = thread::Builder::new().name("unpack".to_owned());
            let unpacker = thread.spawn_scoped(scope, unpack).map_err(failed)?;
            let packed = write(&mut out);
            let gone = out.end(packed.is_ok());
            let applied = unpacker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (packed, applied) {
                (Err(e), _) if !gone => Err(e),
                (_, Err(e)) => Err(e.into()),
                (Err(e), Ok(_)) => Err(e),
                (Ok(packed), Ok(applied)) => Ok((packed, applied)),
            }
        })
    }

    /// The uncompressed tar of a layer, from a blob. What is compressed is decompressed on another
    /// thread.
    fn read(&self, diff_id: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        let plain = self.store.blobs().has(diff_id);
        let tar = self.store.layers().tar(diff_id)?;
        let tar = tar.ok_or_else(|| no_body(diff_id))?;
        Ok(match plain {
            true => tar,
            false => Box::new(read_ahead(tar)),
        })
    }

    /// A new folder on the file system of the store, which goes with the first.
    fn scratch(&self) -> Result<(Build, PathBuf), Error> {
        let scratch = self.store.begin()?;
        let at = scratch.tmp()?.join("layer");
        std::fs::create_dir(&at).map_err(|e| Error::io("make the folder", &at, e))?;
        Ok((scratch, at))
    }
}

/// What was unpacked has to be the layer that it was unpacked for.
fn agree(applied: &Applied, diff_id: &Digest, how: &str) -> Result<(), Error> {
    if applied.diff_id == *diff_id {
        return Ok(());
    }
    let what = format!(
        "unpack the layer `{diff_id}`: {how} the digest `{}`",
        applied.diff_id
    );
    Err(Error::new(ErrorKind::Mismatch, what).hint("`kiln system check` looks at everything"))
}

/// Whether a layer has hard links to files that it does not have itself.
fn leans_on_lower(tree: &Tree) -> bool {
    let outside = |entry: &kiln_layer::Entry| match &entry.kind {
        Kind::Hardlink { target } => tree.get(target).is_none(),
        _ => false,
    };
    tree.iter().any(outside)
}

/// The writing end of a pipe, which knows whether the other one has gone.
struct Out {
    pipe: PipeWriter,
    gone: bool,
}

impl Out {
    /// Ends the stream, `well` or not; whether the other end had gone before.
    fn end(mut self, well: bool) -> bool {
        if well {
            let done = self.pipe.finish();
            self.gone |= done.is_err();
        }
        self.gone
    }

    fn seen<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.gone |= done.is_err();
        done
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.pipe.write(bytes);
        self.seen(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.pipe.flush();
        self.seen(done)
    }
}
