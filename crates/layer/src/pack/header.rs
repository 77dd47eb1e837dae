//! Dialect 1 of the tar headers, byte by byte. Refuses what it cannot write exactly.
//!
//! POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Extended Header". What fits is in the
//! ustar header; what does not (long names, big sizes and ids, times before 1970, attributes) is in
//! one extended header before it, its records sorted by key. No names of users, no other times.
//! The bytes are part of every diff id: a change here is another `DIALECT`.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{Entry, Error, ErrorKind, Kind};

pub(super) const BLOCK: usize = 512;

/// The end of the archive.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Appends all header blocks of `entry`, whose time is already the one to write; of an opaque folder
/// also the empty file that makes it so.
pub(super) fn headers(entry: &Entry, out: &mut Vec<u8>) -> Result<(), Error> {
    let name = name(entry)?;
    let records = records(entry, &name)?;
    if !records.is_empty() {
        let mut extended = Header::new(b'x', &extended_name(&name));
        extended.number(MODE, 0o644);
        extended.number(SIZE, records.len() as u64);
        out.extend_from_slice(&extended.finish());
        out.extend_from_slice(&records);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.extend_from_slice(&main(entry, &name).finish());
    match entry.kind {
        Kind::Dir { opaque: true } => opaque_mark(entry, out),
        _ => Ok(()),
    }
}

fn opaque_mark(entry: &Entry, out: &mut Vec<u8>) -> Result<(), Error> {
    let mark = Entry {
        path: entry.path.join(b".wh..wh..opq")?,
        meta: crate::Meta::default(),
        kind: Kind::File(crate::File::unread(0)),
    };
    headers(&mark, out)
}

type Field = std::ops::Range<usize>;
const NAME: Field = 0..100;
const MODE: Field = 100..108;
const UID: Field = 108..116;
const GID: Field = 116..124;
const SIZE: Field = 124..136;
const MTIME: Field = 136..148;
const CHECKSUM: Field = 148..156;
const TYPE: usize = 156;
const LINK: Field = 157..257;
const MAGIC: Field = 257..265;
const MAJOR: Field = 329..337;
const MINOR: Field = 337..345;

/// The largest number of an octal field: one byte of it is the NUL at its end.
fn largest(field: &Field) -> u64 {
    (1 << (3 * (field.len() - 1))) - 1
}

struct Header([u8; BLOCK]);

impl Header {
    fn new(kind: u8, name: &[u8]) -> Self {
        let mut header = Self([0; BLOCK]);
        header.0[TYPE] = kind;
        header.0[MAGIC].copy_from_slice(b"ustar\x0000");
        header.text(NAME, name);
        for field in [MODE, UID, GID, SIZE, MTIME, MAJOR, MINOR] {
            header.number(field, 0);
        }
        header
    }

    /// As much of `text` as there is room for; the rest is in the extended header.
    fn text(&mut self, field: Field, text: &[u8]) {
        let n = text.len().min(field.len());
        self.0[field][..n].copy_from_slice(&text[..n]);
    }

    /// `n` in octal; 0 when it does not fit, and is in the extended header.
    fn number(&mut self, field: Field, n: u64) {
        let mut n = if n > largest(&field) { 0 } else { n };
        let digits = field.start..field.end - 1;
        for byte in self.0[digits].iter_mut().rev() {
            *byte = b'0' + (n & 7) as u8;
            n >>= 3;
        }
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[CHECKSUM].fill(b' ');
        let sum: u64 = self.0.iter().map(|b| u64::from(*b)).sum();
        self.number(CHECKSUM.start..CHECKSUM.end - 1, sum);
        self.0[CHECKSUM.end - 2] = 0;
        self.0
    }
}

/// The name in the archive: folders end in a slash, whiteouts begin with `.wh.`.
fn name(entry: &Entry) -> Result<Cow<'_, [u8]>, Error> {
    let path = entry.path.as_bytes();
    let last = entry.path.name().unwrap_or_default();
    match &entry.kind {
        Kind::Dir { .. } if entry.path.is_root() => Ok(b"./"[..].into()),
        _ if entry.path.is_root() => Err(Error::invalid("the root is not a folder")),
        Kind::Whiteout => {
            let folder = &path[..path.len() - last.len()];
            Ok([folder, b".wh.", last].concat().into())
        }
        Kind::Dir { .. } => Ok([path, b"/"].concat().into()),
        _ => Ok(path.into()),
    }
}

/// What the extended header is called: seen only by readers that do not know it.
fn extended_name(name: &[u8]) -> Vec<u8> {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let last = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    [b"PaxHeaders.0/", &last[..last.len().min(80)]].concat()
}

fn link(entry: &Entry) -> &[u8] {
    match &entry.kind {
        Kind::Symlink { target } => target,
        Kind::Hardlink { target } => target.as_bytes(),
        _ => &[],
    }
}

fn size(entry: &Entry) -> u64 {
    entry.file().map_or(0, |f| f.size)
}

fn main(entry: &Entry, name: &[u8]) -> Header {
    let kind = match &entry.kind {
        Kind::File(_) | Kind::Whiteout => b'0',
        Kind::Hardlink { .. } => b'1',
        Kind::Symlink { .. } => b'2',
        Kind::Char { .. } => b'3',
        Kind::Block { .. } => b'4',
        Kind::Dir { .. } => b'5',
        Kind::Fifo => b'6',
    };
    let mut header = Header::new(kind, name);
    header.text(LINK, link(entry));
    header.number(SIZE, size(entry));
    if !entry.is_whiteout() {
        let meta = &entry.meta;
        header.number(MODE, u64::from(meta.mode & 0o7777));
        header.number(UID, u64::from(meta.uid));
        header.number(GID, u64::from(meta.gid));
        header.number(MTIME, u64::try_from(meta.mtime.seconds).unwrap_or(0));
    }
    if let Kind::Char { major, minor } | Kind::Block { major, minor } = entry.kind {
        header.number(MAJOR, u64::from(major));
        header.number(MINOR, u64::from(minor));
    }
    header
}

fn records(entry: &Entry, name: &[u8]) -> Result<Vec<u8>, Error> {
    let meta = &entry.meta;
    let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut put = |key: &str, value: Vec<u8>| records.insert(key.into(), value);
    if name.len() > NAME.len() {
        put("path", name.to_vec());
    }
    if link(entry).len() > LINK.len() {
        put("linkpath", link(entry).to_vec());
    }
    if size(entry) > largest(&SIZE) {
        put("size", size(entry).to_string().into());
    }
    if !entry.is_whiteout() {
        if u64::from(meta.uid) > largest(&UID) {
            put("uid", meta.uid.to_string().into());
        }
        if u64::from(meta.gid) > largest(&GID) {
            put("gid", meta.gid.to_string().into());
        }
        let seconds = meta.mtime.seconds;
        if u64::try_from(seconds).map_or(true, |s| s > largest(&MTIME)) {
            put("mtime", seconds.to_string().into());
        }
        for (key, value) in &meta.xattrs {
            if key.contains(&b'=') || key.contains(&0) {
                let key = crate::path::escaped(key);
                let what = format!("the name of the attribute `{key}` cannot be written");
                return Err(Error::new(ErrorKind::Unsupported, what).at(&entry.path));
            }
            records.insert([b"SCHILY.xattr.", &key[..]].concat(), value.clone());
        }
    }
    if let Kind::Char { major, minor } | Kind::Block { major, minor } = entry.kind
        && u64::from(major.max(minor)) > largest(&MAJOR)
    {
        let what = format!("the device {major}:{minor} has numbers too large for a tar");
        return Err(Error::new(ErrorKind::Unsupported, what).at(&entry.path));
    }
    let mut out = Vec::new();
    for (key, value) in &records {
        record(&mut out, key, value);
    }
    Ok(out)
}

/// One record: its own length in decimal, a space, `key=value`, a newline.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(format!("{len} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}
