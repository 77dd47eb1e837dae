//! Writing a layer's tar: one pass over each file gives its BLAKE3, its place in the tar and the
//! stream's SHA-256. Refuses entries out of order: the same tree always gives the same bytes.
//!
//! [`Packer`] takes entries one at a time; the functions here take them all, and read on several
//! threads: [`jobs`] are cut, [`reader`]s turn them into pieces of the tar, [`ordered`] puts those
//! one after the other.

mod header;
mod jobs;
mod ordered;
mod packer;
mod previous;
mod reader;

use std::io::Write;

use kiln_image::Digest;

use crate::{
    Content, Entry, Error, ErrorKind, Files, Kind, LayerPath, Meta, Time, Tree, copy::Change,
};
use jobs::Item;
pub use packer::Packer;

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
    let mut items: Vec<_> = entries.into_iter().map(Item::of).collect();
    let opener = || -> reader::Opener<'_> { Box::new(|item| open(item.entry)) };
    ordered::pack(&mut items, &opener, out, how)
}

/// [`pack_entries`] for planned changes, whose contents are in `from`, by number.
///
/// # Errors
///
/// As [`pack_entries`]; [`Invalid`](ErrorKind::Invalid) for a file that has no source.
pub fn pack_changes<W: Write>(
    changes: &[Change],
    from: &[&dyn Files],
    out: W,
    how: &Packing<'_>,
) -> Result<(W, Packed), Error> {
    let mut items = Vec::with_capacity(changes.len());
    for Change { entry, source } in changes {
        let item = match (entry.file(), source) {
            (Some(file), None) if file.size > 0 => {
                let what = "a file that has a content, and no source of it";
                return Err(Error::invalid(what).at(&entry.path));
            }
            (Some(_), Some(source)) if source.input >= from.len() => {
                return Err(Error::invalid("a file of an input that is not there").at(&entry.path));
            }
            (Some(_), Some(source)) => Item {
                input: source.input,
                source: &source.path,
                ..Item::of(entry)
            },
            _ => Item::of(entry),
        };
        items.push(item);
    }
    ordered::pack(&mut items, &|| opener(from), out, how)
}

/// Packs all of `files` into a tar.
///
/// # Errors
///
/// As [`pack_entries`].
pub fn pack<W: Write>(files: &dyn Files, out: W, times: Times) -> Result<(W, Packed), Error> {
    let mut items: Vec<_> = files.tree().iter().map(Item::of).collect();
    let how = Packing {
        times,
        ..Packing::default()
    };
    ordered::pack(&mut items, &|| opener(&[files]), out, &how)
}

/// Opens what items name, for one thread; an input that none of them names is left alone.
fn opener<'a>(inputs: &[&'a dyn Files]) -> reader::Opener<'a> {
    let mut inputs: Vec<_> = inputs.iter().map(|files| (*files, None)).collect();
    Box::new(move |item| {
        let (files, opening) = &mut inputs[item.input];
        let open = opening.get_or_insert_with(|| files.opening());
        let opened = open(item.source);
        opened.map_err(|e| Error::io("open the file", e).at(item.source))
    })
}

/// The entry as it is written.
fn as_written(entry: &Entry, times: Times) -> Entry {
    let mut entry = entry.clone();
    if entry.is_whiteout() {
        entry.meta = Meta::default();
        return entry;
    }
    entry.meta.mode &= 0o7777;
    entry.meta.mtime = times.of(entry.meta.mtime);
    if let Kind::File(file) = &mut entry.kind {
        file.inline = None;
    }
    entry
}

/// Refuses a name that would be read as a removal.
fn refuse_mark(path: &LayerPath) -> Result<(), Error> {
    let bytes = path.as_bytes();
    let mark = b"/.wh.";
    if !bytes.starts_with(&mark[1..]) && !bytes.windows(mark.len()).any(|w| w == mark) {
        return Ok(());
    }
    let what = "the name begins with `.wh.`, which in a layer means a removal";
    Err(Error::new(ErrorKind::Unsupported, what)
        .at(path)
        .hint("rename it, or leave it out"))
}

fn out_of_order(path: &LayerPath) -> Error {
    Error::invalid("the entry is out of order").at(path)
}

fn not_before(target: &LayerPath, path: &LayerPath) -> Error {
    let what = format!("a hard link to `{target}`, which is not a file before it");
    Error::invalid(what).at(path)
}

fn changed(path: &LayerPath) -> Error {
    Error::new(ErrorKind::Changed, "the file changed while it was read")
        .at(path)
        .hint("build again when nothing writes to it")
}

fn unwritten(e: std::io::Error) -> Error {
    Error::io("write the tar", e)
}
