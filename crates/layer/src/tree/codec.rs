//! Writing the stored form of a tree (see [`stored`](super::stored)), and reading it, of this version
//! or an earlier one.

use std::sync::Arc;

use kiln_image::{Algorithm, Digest};

use super::{
    Tree, blake3_of,
    blocks::{BLOCK, Blocks},
    old,
    read::{Before, tag, zigzag},
    stored::{Bytes, MAGIC, Stored, VERSION, invalid},
};
use crate::{Entry, Error, ErrorKind, File, Kind, Meta, path::shared};

/// The tree that `bytes` are, and the BLAKE3 of them all.
pub(super) fn load(bytes: Bytes) -> Result<(Tree, Digest), Error> {
    let version = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.first_chunk());
    let version = version.ok_or_else(|| invalid("it does not begin as one"))?;
    match u32::from_le_bytes(*version) {
        VERSION => {}
        old::VERSION => {
            let (entries, digest) = old::decode(&bytes)?;
            return Ok((Tree(Blocks::sorted(entries)), digest));
        }
        other => {
            let what = format!("stored tree of version {other}; known is {VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    }
    let (stored, found) = Stored::check(bytes)?;
    let stored = Arc::new(stored);
    let tree = Tree(Blocks::stored(Arc::clone(&stored)));
    let is_file = |target: &Vec<u8>| tree.0.get(target).is_some_and(|e| e.file().is_some());
    if stored.is_tidy != (found.is_tidy && found.links.iter().all(is_file)) {
        return Err(invalid("it says of itself what is not so"));
    }
    Ok((tree, stored.digest))
}

/// Whether links name files that come before them, and nothing lies inside what is not a folder.
pub(super) fn is_tidy(tree: &Tree) -> bool {
    if let Some(stored) = tree.0.as_stored() {
        return stored.is_tidy;
    }
    let mut leaf: Option<&Entry> = None;
    tree.iter().all(|entry| {
        let is_inside = leaf.is_some_and(|leaf| entry.path.starts_with(&leaf.path));
        leaf = (!entry.is_dir()).then_some(entry);
        !is_inside
            && (entry.is_dir() || !entry.path.is_root())
            && match &entry.kind {
                Kind::Hardlink { target } => {
                    *target < entry.path && tree.get(target).is_some_and(|e| e.file().is_some())
                }
                _ => true,
            }
    })
}

pub(super) fn encode(tree: &Tree) -> Vec<u8> {
    if let Some(stored) = tree.0.as_stored() {
        return stored.bytes().to_vec();
    }
    let mut out = Vec::with_capacity(64 + tree.len() * 72);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(tree.len() as u64).to_le_bytes());
    out.push(u8::from(tree.is_tidy()));
    let mut table = Vec::with_capacity(tree.len().div_ceil(BLOCK));
    let mut before = Before::default();
    let mut path: &[u8] = &[];
    for (n, entry) in tree.iter().enumerate() {
        if n % BLOCK == 0 {
            table.push(out.len() as u64);
            (before, path) = (Before::default(), &[]);
        }
        put(&mut out, entry, path, &mut before);
        path = entry.path.as_bytes();
    }
    for offset in table {
        out.extend_from_slice(&offset.to_le_bytes());
    }
    let sum = blake3_of(&out);
    out.extend_from_slice(sum.bytes());
    out
}

fn put(out: &mut Vec<u8>, entry: &Entry, path: &[u8], before: &mut Before) {
    let m = &entry.meta;
    let owner = (m.uid, m.gid) != (before.uid, before.gid);
    let head = tag_of(&entry.kind)
        | if owner { tag::OWNER } else { 0 }
        | if m.mtime.nanos > 0 { tag::NANOS } else { 0 }
        | if m.xattrs.is_empty() { 0 } else { tag::XATTRS };
    out.push(head);
    let own = entry.path.as_bytes();
    let shared = shared(path, own);
    number(out, shared as u64);
    bytes(out, &own[shared..]);
    meta(out, m, owner, before);
    kind(out, &entry.kind, before);
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, b: &[u8]) {
    number(out, b.len() as u64);
    out.extend_from_slice(b);
}

fn meta(out: &mut Vec<u8>, m: &Meta, owner: bool, before: &mut Before) {
    // One that is out of range stays so: it is refused by who reads it.
    let mode = u16::try_from(m.mode).unwrap_or(u16::MAX);
    out.extend_from_slice(&mode.to_le_bytes());
    if owner {
        number(out, u64::from(m.uid));
        number(out, u64::from(m.gid));
        (before.uid, before.gid) = (m.uid, m.gid);
    }
    number(out, zigzag(m.mtime.seconds.wrapping_sub(before.seconds)));
    before.seconds = m.mtime.seconds;
    if m.mtime.nanos > 0 {
        out.extend_from_slice(&m.mtime.nanos.to_le_bytes());
    }
    if !m.xattrs.is_empty() {
        number(out, m.xattrs.len() as u64);
        for (name, value) in &m.xattrs {
            bytes(out, name);
            bytes(out, value);
        }
    }
}

fn tag_of(kind: &Kind) -> u8 {
    match kind {
        Kind::File(file) => {
            let tag = match file.inline {
                Some(_) => tag::FILE_INLINE,
                None => tag::FILE,
            };
            match file.digest.algorithm() {
                Algorithm::Sha256 => tag + tag::SHA256,
                _ => tag,
            }
        }
        Kind::Dir { opaque: false } => tag::DIR,
        Kind::Dir { opaque: true } => tag::DIR_OPAQUE,
        Kind::Symlink { .. } => tag::SYMLINK,
        Kind::Hardlink { .. } => tag::HARDLINK,
        Kind::Char { .. } => tag::CHAR,
        Kind::Block { .. } => tag::BLOCK,
        Kind::Fifo => tag::FIFO,
        Kind::Whiteout => tag::WHITEOUT,
    }
}

fn kind(out: &mut Vec<u8>, kind: &Kind, before: &mut Before) {
    match kind {
        Kind::File(file) => content(out, file, before),
        Kind::Symlink { target } => bytes(out, target),
        Kind::Hardlink { target } => bytes(out, target.as_bytes()),
        Kind::Char { major, minor } | Kind::Block { major, minor } => {
            number(out, u64::from(*major));
            number(out, u64::from(*minor));
        }
        Kind::Dir { .. } | Kind::Fifo | Kind::Whiteout => {}
    }
}

fn content(out: &mut Vec<u8>, file: &File, before: &mut Before) {
    number(out, file.size);
    let difference = file.offset.wrapping_sub(before.content) as i64;
    number(out, zigzag(difference));
    before.content(file.offset, file.size);
    out.extend_from_slice(file.digest.bytes());
    if let Some(content) = &file.inline {
        bytes(out, content);
    }
}
