//! A tar as batches of headers and contents: the bytes as they stand, and what each entry is.
//!
//! Refuses two entries of one name, and more bytes between two contents than a header may have.

use std::{
    cell::RefCell,
    collections::HashSet,
    io::{self, Read},
    rc::Rc,
};

use kiln_image::Digest;

use super::{
    CHUNK, Layout,
    header::Headers,
    toc::{Entry, Stat},
    unsupported,
    work::{Batch, Note, Part, Summing},
};
use crate::{
    Error, LayerPath, Limits,
    archive::{Member, Members, Type},
};

/// A batch is given away when it is this long.
const BATCH: usize = 512 << 10;
/// The most bytes in a row that are not content.
const RAW: usize = 8 << 20;

const BLOCK: usize = 512;

/// The file that holds an eStargz blob's table of contents.
pub(super) const TOC_NAME: &str = "stargz.index.json";
/// The file by which an eStargz blob says that nothing of it is to be fetched beforehand.
const LANDMARK: &str = ".no.prefetch.landmark";
const PREFETCH: &str = ".prefetch.landmark";

/// Gives all of `tar` in batches, and what it was: its SHA-256 and length. `give` hands back a batch
/// to be used again.
pub(super) fn split(
    tar: &mut dyn Read,
    layout: Layout,
    give: &mut dyn FnMut(Batch) -> Result<Batch, Error>,
) -> Result<(Digest, u64), Error> {
    let record = Rc::new(RefCell::new(Record::default()));
    let tap = Tap {
        inner: tar,
        record: record.clone(),
    };
    let mut split = Split {
        members: Members::new(tap, Limits::default()),
        record,
        layout,
        batch: Batch::default(),
        give,
        before: Vec::new(),
        names: HashSet::new(),
    };
    if layout == Layout::EStargz {
        split.landmark()?;
    }
    let padding = split.entries()?;
    split.end(padding)
}

struct Split<'a, R> {
    members: Members<R>,
    record: Rc<RefCell<Record>>,
    layout: Layout,
    batch: Batch,
    give: &'a mut dyn FnMut(Batch) -> Result<Batch, Error>,
    /// The padding of the last entry that was taken.
    before: Vec<u8>,
    /// Of the names that came: a part of their hashes, for there may be millions.
    names: HashSet<[u8; 16]>,
}

impl<R: Read> Split<'_, R> {
    /// All entries. Gives how much padding of the last one there is.
    fn entries(&mut self) -> Result<usize, Error> {
        let (mut at, mut padding, mut taken) = (0, 0, true);
        let mut raw = Vec::new();
        while let Some(member) = self.members.next()? {
            let path = LayerPath::parse(&member.name)?;
            let headers = usize::try_from(member.offset - at).unwrap_or(usize::MAX);
            self.record.borrow_mut().take(headers, &mut raw);
            if raw.len() < padding {
                return Err(Error::invalid("tar: an entry without headers").at(&path));
            }
            if taken {
                self.before.extend_from_slice(&raw[..padding]);
            }
            taken = !self.is_of_layout(&path);
            if taken {
                self.entry(&path, &member, &raw[padding..])
                    .map_err(|e| e.at(&path))?;
            } else {
                self.pass(member.size)?;
            }
            at = member.offset + member.size;
            padding = (member.size.next_multiple_of(BLOCK as u64) - member.size) as usize;
        }
        Ok(if taken { padding } else { 0 })
    }

    /// Whether it belongs to an eStargz blob that the tar came from, and is made anew.
    fn is_of_layout(&self, path: &LayerPath) -> bool {
        let ours = [TOC_NAME, LANDMARK, PREFETCH];
        self.layout == Layout::EStargz && ours.iter().any(|n| path.as_bytes() == n.as_bytes())
    }

    fn entry(&mut self, path: &LayerPath, member: &Member, headers: &[u8]) -> Result<(), Error> {
        let mut name = [0; 16];
        name.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..16]);
        if !self.names.insert(name) {
            return Err(unsupported("there are two entries of this name"));
        }
        let entry = Entry::new(self.layout, member, &Headers::new(headers, member)?)?;
        let before = std::mem::take(&mut self.before);
        self.raw(&[&before, headers], Some(entry))?;
        if member.kind == Type::File {
            self.content(member.size)?;
        }
        Ok(())
    }

    fn raw(&mut self, parts: &[&[u8]], entry: Option<Entry>) -> Result<(), Error> {
        for part in parts {
            self.batch.plain.extend_from_slice(part);
        }
        self.batch.notes.push(Note::Raw {
            len: parts.iter().map(|p| p.len()).sum(),
            entry: entry.map(Box::new),
        });
        self.full()
    }

    fn content(&mut self, size: u64) -> Result<(), Error> {
        let failed = |e| Error::io("read the tar", e);
        let mut whole = (size > CHUNK as u64).then(Summing::new);
        let mut left = size;
        while left > 0 {
            let len = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let start = self.batch.plain.len();
            self.batch.plain.resize(start + len, 0);
            let chunk = &mut self.batch.plain[start..];
            self.members.read_exact(chunk).map_err(failed)?;
            self.record.borrow_mut().skip(len);
            if let Some(whole) = &mut whole {
                whole.update(chunk);
            }
            left -= len as u64;
            let part = match (left, whole.take()) {
                (_, None) => Part::Whole,
                (0, Some(sums)) => Part::Last(sums.finish()),
                (_, Some(sums)) => {
                    whole = Some(sums);
                    Part::Some
                }
            };
            self.batch.notes.push(Note::Content { len, part });
            self.full()?;
        }
        Ok(())
    }

    /// Passes over a content.
    fn pass(&mut self, size: u64) -> Result<(), Error> {
        let mut left = size;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let read = self.members.read_exact(&mut buffer[..len]);
            read.map_err(|e| Error::io("read the tar", e))?;
            self.record.borrow_mut().skip(len);
            left -= len as u64;
        }
        Ok(())
    }

    fn landmark(&mut self) -> Result<(), Error> {
        let entry = Entry {
            kind: "reg".to_owned(),
            name: LANDMARK.to_owned(),
            stat: Stat {
                mode: 0o644,
                size: 1,
                ..Stat::default()
            },
            ..Entry::default()
        };
        self.raw(&[&ustar(LANDMARK, 1)], Some(entry))?;
        self.batch.plain.push(0xf);
        self.batch.notes.push(Note::Content {
            len: 1,
            part: Part::Whole,
        });
        self.before = vec![0; BLOCK - 1];
        Ok(())
    }

    /// What follows the last entry; in eStargz another one will.
    fn end(mut self, padding: usize) -> Result<(Digest, u64), Error> {
        let source = self.members.finish()?;
        let mut rest = Vec::new();
        let len = self.record.borrow().len();
        self.record.borrow_mut().take(len, &mut rest);
        if self.layout == Layout::EStargz {
            rest.truncate(padding);
        }
        let before = std::mem::take(&mut self.before);
        self.batch.plain.extend_from_slice(&before);
        self.batch.plain.extend_from_slice(&rest);
        let len = before.len() + rest.len();
        if len > 0 {
            self.batch.notes.push(Note::Raw { len, entry: None });
        }
        if !self.batch.notes.is_empty() {
            (self.give)(self.batch)?;
        }
        Ok(source)
    }

    fn full(&mut self) -> Result<(), Error> {
        if self.batch.plain.len() >= BATCH {
            let full = std::mem::take(&mut self.batch);
            self.batch = (self.give)(full)?;
            self.batch.plain.clear();
            self.batch.notes.clear();
        }
        Ok(())
    }
}

/// The header of a file of the layout's own.
pub(super) fn ustar(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The bytes that were read and not yet taken.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    start: usize,
}

impl Record {
    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn take(&mut self, len: usize, to: &mut Vec<u8>) {
        let len = len.min(self.len());
        to.clear();
        to.extend_from_slice(&self.bytes[self.start..self.start + len]);
        self.start += len;
    }

    fn skip(&mut self, len: usize) {
        self.start = (self.start + len).min(self.bytes.len());
    }
}

/// Reads, and records what was read.
struct Tap<'a> {
    inner: &'a mut dyn Read,
    record: Rc<RefCell<Record>>,
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let mut record = self.record.borrow_mut();
        record.push(&buffer[..n]);
        if record.len() > RAW {
            let what = format!("more than {RAW} bytes in a row that are not a file's");
            return Err(unsupported(what).into());
        }
        Ok(n)
    }
}
