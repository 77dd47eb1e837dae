//! One job becomes pieces of the tar: headers, contents with their BLAKE3, padding. Contents are read
//! straight to their place. Knows nothing of what comes before and after the job.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use kiln_image::{Algorithm, Digest};

use super::{
    Times, as_written, changed, header,
    jobs::{self, Item},
    kept_inline,
    previous::Window,
};
use crate::{Content, Entry, Error, File, Kind, LayerPath, tree::blake3_of};

/// Opens contents, for one thread.
pub(super) type Opener<'a> = Box<dyn FnMut(&Item<'_>) -> Result<Content, Error> + 'a>;

/// How long a piece is: much more than a usual file, and little enough to stay in a cache until it has
/// been hashed and written.
pub(super) const PIECE: usize = 512 << 10;

/// A part of the tar in a buffer of one size.
#[derive(Default)]
pub(super) struct Piece {
    buffer: Vec<u8>,
    used: usize,
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..]
    }
}

/// Buffers that are used again. How many there are is bounded by how many are on their way.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    fn take(&self) -> Piece {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Piece {
            buffer: spare.unwrap_or_else(|| vec![0; PIECE]),
            used: 0,
        }
    }

    pub(super) fn put(&self, piece: Piece) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(piece.buffer);
    }
}

/// A piece and the entries that end in it, files with their offsets from the start of the job.
pub(super) struct Part {
    pub(super) piece: Piece,
    pub(super) entries: Vec<Entry>,
    pub(super) is_last: bool,
}

/// What a thread reads with.
pub(super) struct Reader<'a> {
    items: &'a [Item<'a>],
    times: Times,
    open: Opener<'a>,
    window: Option<Window<'a>>,
    pool: &'a Pool,
    headers: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        items: &'a [Item<'a>],
        how: &super::Packing<'a>,
        open: Opener<'a>,
        pool: &'a Pool,
    ) -> Self {
        Self {
            items,
            times: how.times,
            open,
            window: how.previous.map(|previous| Window::new(previous.tar)),
            pool,
            headers: Vec::new(),
        }
    }

    /// Hands the parts of a job to `give`, in order; the last one says so.
    pub(super) fn job(
        &mut self,
        job: Range<usize>,
        give: &mut dyn FnMut(Part) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tar = Parts {
            piece: self.pool.take(),
            entries: Vec::with_capacity(job.len()),
            given: 0,
            pool: self.pool,
            give,
        };
        for i in job.clone() {
            jobs::check(self.items, i)?;
            let item = &self.items[i];
            let mut entry = as_written(item.entry, self.times);
            self.headers.clear();
            header::headers(&entry, &mut self.headers)?;
            tar.put(&self.headers)?;
            if let Kind::File(file) = &mut entry.kind {
                file.offset = tar.len();
                let known = (!file.is_unread()).then_some(file.digest);
                self.content(&mut tar, file, i, job.end)?;
                if known.is_some_and(|known| known != file.digest) {
                    return Err(changed(&entry.path));
                }
                let padding = file.size.next_multiple_of(header::BLOCK as u64) - file.size;
                tar.put(&[0; header::BLOCK][..padding as usize])?;
            }
            tar.entries.push(entry);
        }
        tar.end()
    }

    /// The content of the item `i`, and into `file` its digest.
    fn content(
        &mut self,
        tar: &mut Parts<'_>,
        file: &mut File,
        i: usize,
        end: usize,
    ) -> Result<(), Error> {
        let item = &self.items[i];
        let path = &item.entry.path;
        let inline = kept_inline(path, file.size);
        if file.size == 0 {
            file.digest = blake3_of(&[]);
            file.inline = inline.then(|| [][..].into());
            return Ok(());
        }
        // One byte more shows that a file has grown.
        let small = usize::try_from(file.size).ok().filter(|n| *n < PIECE);
        let Some(size) = small else {
            let content = (self.open)(item)?;
            return large(tar, file, path, content);
        };
        if tar.piece.room().len() <= size {
            tar.turn()?;
        }
        let room = &mut tar.piece.room()[..size + 1];
        let taken = match (&mut self.window, item.previous) {
            (Some(window), Some(_)) => window.take(&self.items[i..end], &mut room[..size]),
            _ => false,
        };
        if !taken {
            let mut content = (self.open)(item)?;
            if read_full(&mut content, room).map_err(|e| unread(path, e))? != size {
                return Err(changed(path));
            }
            file.digest = blake3_of(&room[..size]);
        }
        file.inline = inline.then(|| room[..size].into());
        tar.piece.used += size;
        Ok(())
    }
}

/// A content that does not fit into one piece.
fn large(
    tar: &mut Parts<'_>,
    file: &mut File,
    path: &LayerPath,
    mut content: Content,
) -> Result<(), Error> {
    let mut hash = blake3::Hasher::new();
    let mut inline = kept_inline(path, file.size).then(Vec::new);
    let mut left = file.size;
    while left > 0 {
        if tar.piece.room().is_empty() {
            tar.turn()?;
        }
        let room = tar.piece.room();
        let want = usize::try_from(left).map_or(room.len(), |n| n.min(room.len()));
        let read = &mut room[..want];
        if read_full(&mut content, read).map_err(|e| unread(path, e))? != want {
            return Err(changed(path));
        }
        hash.update(read);
        if let Some(inline) = &mut inline {
            inline.extend_from_slice(read);
        }
        tar.piece.used += want;
        left -= want as u64;
    }
    if read_full(&mut content, &mut [0]).map_err(|e| unread(path, e))? != 0 {
        return Err(changed(path));
    }
    file.digest = Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes());
    file.inline = inline.map(Into::into);
    Ok(())
}

/// Reads until `buffer` is full or at the end.
fn read_full(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn unread(path: &LayerPath, e: io::Error) -> Error {
    Error::io("read the file", e).at(path)
}

/// The tar of a job as it grows.
struct Parts<'a> {
    piece: Piece,
    entries: Vec<Entry>,
    /// The length of what was given away.
    given: u64,
    pool: &'a Pool,
    give: &'a mut dyn FnMut(Part) -> Result<(), Error>,
}

impl Parts<'_> {
    fn len(&self) -> u64 {
        self.given + self.piece.used as u64
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.piece.room().is_empty() {
                self.turn()?;
            }
            let room = self.piece.room();
            let n = room.len().min(bytes.len());
            room[..n].copy_from_slice(&bytes[..n]);
            self.piece.used += n;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Gives the piece away and begins another.
    fn turn(&mut self) -> Result<(), Error> {
        let fresh = self.pool.take();
        self.give(fresh, false)
    }

    fn end(mut self) -> Result<(), Error> {
        self.give(Piece::default(), true)
    }

    fn give(&mut self, next: Piece, is_last: bool) -> Result<(), Error> {
        self.given += self.piece.used as u64;
        (self.give)(Part {
            piece: std::mem::replace(&mut self.piece, next),
            entries: std::mem::take(&mut self.entries),
            is_last,
        })
    }
}
