//! Reading version 1 of a stored tree, which stores of earlier versions have: decoded whole, nothing
//! trusted. Writes nothing.
//!
//! ```text
//! "kilntree" version:u32le count entry* blake3[32]
//! entry = shared_len rest_len rest mode uid gid seconds(zigzag) nanos
//!         xattrs_count (name_len name value_len value)* kind:u8 fields
//! ```

use std::sync::Arc;

use kiln_image::{Algorithm, Digest};

use super::{
    read::{Input, tag, unzigzag},
    stored::{SUM, invalid, summed},
};
use crate::{Entry, Error, File, Kind, LayerPath, Meta, Time, path::are_names};

pub(super) const VERSION: u32 = 1;
/// Magic and version.
const HEAD: usize = 8 + 4;

/// The entries of `bytes`, in order, and the BLAKE3 of all of them.
pub(super) fn decode(bytes: &[u8]) -> Result<(Vec<Entry>, Digest), Error> {
    let digest = summed(bytes)?;
    let body = bytes[..bytes.len() - SUM].get(HEAD..);
    let mut input = Input(body.ok_or_else(|| invalid("it is cut short"))?);
    let entries = entries(&mut input).map_err(invalid)?;
    Ok((entries, digest))
}

fn entries(input: &mut Input<'_>) -> Result<Vec<Entry>, &'static str> {
    let count = input.number()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let path = path(input, entries.last().map(|e| &e.path))?;
        if entries.last().is_some_and(|b| b.path >= path) {
            return Err("its paths are out of order");
        }
        let (meta, kind) = (meta(input)?, kind(input)?);
        entries.push(Entry { path, meta, kind });
    }
    match input.0 {
        [] => Ok(entries),
        _ => Err("there is more behind its last entry"),
    }
}

fn path(input: &mut Input<'_>, before: Option<&LayerPath>) -> Result<LayerPath, &'static str> {
    let shared = usize::try_from(input.number()?).unwrap_or(usize::MAX);
    let before = before.map_or(&[][..], LayerPath::as_bytes);
    let shared = before
        .get(..shared)
        .ok_or("a path shares more than there is")?;
    strict(&[shared, input.bytes()?].concat())
}

/// A path that is written as it was encoded, and in no other way.
fn strict(text: &[u8]) -> Result<LayerPath, &'static str> {
    match text.is_empty() || are_names(text, 0) {
        true => Ok(LayerPath::known(text)),
        false => Err("a path is not normalised, or beyond the limits"),
    }
}

fn meta(input: &mut Input<'_>) -> Result<Meta, &'static str> {
    let (mode, uid, gid) = (input.number32()?, input.number32()?, input.number32()?);
    let seconds = unzigzag(input.number()?);
    let nanos = input.number32()?;
    if mode > 0o7777 || nanos >= 1_000_000_000 {
        return Err("a mode or time is out of range");
    }
    let mut meta = Meta {
        uid,
        gid,
        mtime: Time { seconds, nanos },
        ..Meta::with_mode(mode)
    };
    for _ in 0..input.number()? {
        let (name, value) = (input.bytes()?, input.bytes()?);
        meta.xattrs.insert(name.to_vec(), value.to_vec());
    }
    Ok(meta)
}

fn kind(input: &mut Input<'_>) -> Result<Kind, &'static str> {
    Ok(match input.byte()? {
        tag @ (tag::FILE | tag::FILE_INLINE) => {
            let (size, offset) = (input.number()?, input.number()?);
            let algorithm = match input.byte()? {
                0 => Algorithm::Blake3,
                1 => Algorithm::Sha256,
                _ => return Err("a digest is of an unknown kind"),
            };
            Kind::File(File {
                size,
                digest: Digest::new(algorithm, *input.fixed()?),
                offset,
                inline: match tag {
                    tag::FILE => None,
                    _ => Some(Arc::from(input.bytes()?)),
                },
            })
        }
        tag::DIR => Kind::Dir { opaque: false },
        tag::DIR_OPAQUE => Kind::Dir { opaque: true },
        tag::SYMLINK => Kind::Symlink {
            target: input.bytes()?.to_vec(),
        },
        tag::HARDLINK => Kind::Hardlink {
            target: strict(input.bytes()?)?,
        },
        tag @ (tag::CHAR | tag::BLOCK) => {
            let (major, minor) = (input.number32()?, input.number32()?);
            match tag {
                tag::CHAR => Kind::Char { major, minor },
                _ => Kind::Block { major, minor },
            }
        }
        tag::FIFO => Kind::Fifo,
        tag::WHITEOUT => Kind::Whiteout,
        _ => return Err("an entry is of an unknown kind"),
    })
}
