//! Writing a layer's tar: one pass over each file gives its BLAKE3, its place in the tar and the
//! stream's SHA-256. Refuses entries out of order: the same tree always gives the same bytes.

mod header;

use std::io::{Read, Write};

use kiln_image::{Algorithm, Digest, HashingWriter};

use crate::{
    Content, Entry, Error, ErrorKind, File, Files, Kind, LayerPath, Meta, Time, Tree, copy::Change,
};

/// The version of the tar dialect: which bytes a [`Tree`] becomes. Sorted entries; ustar headers,
/// with a PAX header where needed; whole seconds, rounded down; no names of users or groups;
/// explicit whiteouts (`.wh.x`); two blocks of zeros at the end.
pub const DIALECT: u32 = 1;

/// The largest file that is kept inline.
const INLINE: u64 = 1 << 20;

/// Whether planning needs the content of the file at `path` (names of users, of the system).
pub(crate) fn kept_inline(path: &LayerPath, size: u64) -> bool {
    size <= INLINE
        && matches!(
            path.as_bytes(),
            b"etc/passwd" | b"etc/group" | b"etc/os-release" | b"usr/lib/os-release"
        )
}

/// Which times the entries of a layer get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Their own, without the fraction of a second.
    #[default]
    Keep,
    /// Their own, but none after this many seconds since 1970.
    Clamp(i64),
    /// All of them this many seconds since 1970.
    Exactly(i64),
}

impl Times {
    /// The time that is written for `time`.
    pub fn of(self, time: Time) -> Time {
        match self {
            Times::Keep => time.whole(),
            Times::Clamp(latest) => Time::at(time.seconds.min(latest)),
            Times::Exactly(seconds) => Time::at(seconds),
        }
    }
}

/// What a [`Packer`] wrote.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The SHA-256 of the uncompressed tar.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The entries as they were written, with the digests and offsets of the files.
    pub tree: Tree,
}

/// Writes the tar of a layer, entry by entry.
#[derive(Debug)]
pub struct Packer<W: Write> {
    out: HashingWriter<W>,
    times: Times,
    tree: Tree,
    last: Option<LayerPath>,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    /// Writes to `out`, which should be buffered or take large writes well.
    pub fn new(out: W, times: Times) -> Self {
        Self {
            out: HashingWriter::new(out),
            times,
            tree: Tree::new(),
            last: None,
            buffer: vec![0; 128 << 10],
        }
    }

    /// Writes one entry. Entries come in the order of their paths; a hard link after its file. A
    /// regular file with a size comes with its content; a digest that is already known must be
    /// that of the content, else ([`File::unread`]) it is found.
    ///
    /// # Errors
    ///
    /// [`Changed`](ErrorKind::Changed) when the content is not what the entry says,
    /// [`Invalid`](ErrorKind::Invalid) for an entry out of order or a link without its file,
    /// [`Unsupported`](ErrorKind::Unsupported) for what a tar cannot say, and what reading and
    /// writing give. After an error the stream is of no use.
    pub fn add(&mut self, entry: &Entry, content: Option<&mut dyn Read>) -> Result<(), Error> {
        self.check(entry)?;
        let mut entry = entry.clone();
        entry.meta.mode &= 0o7777;
        entry.meta.mtime = self.times.of(entry.meta.mtime);
        if entry.is_whiteout() {
            entry.meta = Meta::default();
        }
        self.write(&header::headers(&entry)?)?;
        match &mut entry.kind {
            Kind::File(file) => {
                file.offset = self.out.len();
                let mut nothing = std::io::empty();
                let content = content.unwrap_or(&mut nothing);
                self.content(&entry.path, file, content)?;
            }
            Kind::Dir { opaque: true } => self.write(&header::opaque_mark(&entry)?)?,
            _ => {}
        }
        self.last = Some(entry.path.clone());
        self.tree.insert(entry);
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err(Error::invalid("the entry is out of order").at(&entry.path));
        }
        let mut names = entry.path.components();
        if names.any(|n| n.starts_with(b".wh.")) {
            let what = "the name begins with `.wh.`, which in a layer means a removal";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .at(&entry.path)
                .hint("rename it, or leave it out"));
        }
        if let Kind::Hardlink { target } = &entry.kind
            && self.tree.get(target).is_none_or(|e| e.file().is_none())
        {
            let what = format!("a hard link to `{target}`, which is not a file before it");
            return Err(Error::invalid(what).at(&entry.path));
        }
        Ok(())
    }

    fn content(
        &mut self,
        path: &LayerPath,
        file: &mut File,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let mut hash = blake3::Hasher::new();
        let mut inline = kept_inline(path, file.size).then(Vec::new);
        let mut left = file.size;
        loop {
            // One byte more than is left shows that a file has grown.
            let want = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
            let want = want.min(self.buffer.len());
            let n = match content.read(&mut self.buffer[..want]) {
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read the file", e).at(path)),
            };
            if n as u64 > left || (n == 0 && left > 0) {
                return Err(changed(path));
            }
            if n == 0 {
                break;
            }
            left -= n as u64;
            let read = &self.buffer[..n];
            hash.update(read);
            if let Some(inline) = &mut inline {
                inline.extend_from_slice(read);
            }
            write(&mut self.out, read)?;
        }
        let digest = Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes());
        if !file.is_unread() && digest != file.digest {
            return Err(changed(path));
        }
        file.digest = digest;
        file.inline = inline.map(Into::into);
        let padding = file.size.next_multiple_of(header::BLOCK as u64) - file.size;
        self.write(&[0; header::BLOCK][..padding as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        write(&mut self.out, bytes)
    }

    /// Writes the end of the archive.
    ///
    /// # Errors
    ///
    /// What writing gives.
    pub fn finish(mut self) -> Result<(W, Packed), Error> {
        self.write(&[0; 2 * header::BLOCK])?;
        self.out
            .flush()
            .map_err(|e| Error::io("write the tar", e))?;
        let (out, diff_id, size) = self.out.finish();
        let tree = self.tree;
        Ok((
            out,
            Packed {
                diff_id,
                size,
                tree,
            },
        ))
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes)
        .map_err(|e| Error::io("write the tar", e))
}

fn changed(path: &LayerPath) -> Error {
    Error::new(ErrorKind::Changed, "the file changed while it was read")
        .at(path)
        .hint("build again when nothing writes to it")
}

/// How a layer's tar is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packing<'a> {
    /// Which times the entries get.
    pub times: Times,
    /// How many threads read; 0: one for each processor, at most eight. The bytes do not depend on it.
    pub threads: usize,
    /// Where many of the contents are already.
    pub previous: Option<Previous<'a>>,
}

/// An uncompressed tar that many of the contents are in already: an earlier state of the same files.
/// What is taken from it is checked, so that a damaged one costs time and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// The tar.
    pub tar: &'a std::fs::File,
    /// What is in it, and where.
    pub tree: &'a Tree,
}

/// Packs `entries`, which come in the order of their paths. `open` gives the content of the regular
/// files that have a size; it is called by several threads, about in order. The bytes are those that a
/// [`Packer`] gives.
///
/// # Errors
///
/// As [`Packer::add`], and what `open` gives: of several errors, the one of the first entry.
pub fn pack_entries<'e, W: Write>(
    entries: impl IntoIterator<Item = &'e Entry>,
    open: &(dyn Fn(&Entry) -> Result<Content, Error> + Sync),
    out: W,
    how: &Packing<'_>,
) -> Result<(W, Packed), Error> {
    let mut packer = Packer::new(out, how.times);
    for entry in entries {
        match entry.file() {
            Some(file) if file.size > 0 => packer.add(entry, Some(&mut *open(entry)?))?,
            _ => packer.add(entry, None)?,
        }
    }
    packer.finish()
}

/// [`pack_entries`] for planned changes, whose contents are in `from`.
///
/// # Errors
///
/// As [`pack_entries`]; [`Invalid`](ErrorKind::Invalid) for a file that has no source.
pub fn pack_changes<W: Write>(
    changes: &[Change],
    from: &dyn Files,
    out: W,
    how: &Packing<'_>,
) -> Result<(W, Packed), Error> {
    let mut packer = Packer::new(out, how.times);
    for Change { entry, source } in changes {
        match (entry.file(), source) {
            (Some(file), Some(source)) if file.size > 0 => {
                let content = from.open(source);
                let mut content = content.map_err(|e| Error::io("open the file", e).at(source))?;
                packer.add(entry, Some(&mut *content))?;
            }
            _ => packer.add(entry, None)?,
        }
    }
    packer.finish()
}

/// Packs all of `files` into a tar.
///
/// # Errors
///
/// As [`pack_entries`].
pub fn pack<W: Write>(files: &dyn Files, out: W, times: Times) -> Result<(W, Packed), Error> {
    let open = |entry: &Entry| {
        let opened = files.open(&entry.path);
        opened.map_err(|e| Error::io("open the file", e).at(&entry.path))
    };
    let how = Packing {
        times,
        ..Packing::default()
    };
    pack_entries(files.tree().iter(), &open, out, &how)
}
