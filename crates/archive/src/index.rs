//! Where the files of a tar lie: one pass over its headers, no contents read. Written for archives
//! by strangers: names that leave the archive are not there, links are only looked up among its
//! other names, and all that a header can claim has a limit.

use std::{collections::HashMap, fs::File, io};

use kiln_image::{Error, ErrorKind};
use tar::{EntryType, Header, PaxExtensions};

use crate::files::read_exact_at;

const BLOCK: u64 = 512;
/// How many entries an archive may have.
const ENTRIES: usize = 1_000_000;
/// How long an extension (a long name, a set of PAX records) may be.
const EXTENSION: u64 = 1 << 20;
/// How long a name may be.
const NAME: usize = 4096;
/// How many links may lead from one to the next.
const HOPS: usize = 4;

/// The files of a tar by name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    places: HashMap<String, Place>,
}

#[derive(Debug)]
enum Place {
    File { offset: u64, size: u64 },
    Link(String),
}

/// What extensions say about the next entry.
#[derive(Default)]
struct Extra {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Index {
    /// Reads the headers of the tar in `file`.
    pub(crate) fn scan(file: &File) -> Result<Self, Error> {
        let end = file.metadata()?.len();
        let mut index = Self::default();
        let mut extra = Extra::default();
        let (mut at, mut entries) = (0, 0);
        while let Some(header) = header(file, at, end)? {
            entries += 1;
            if entries > ENTRIES {
                return Err(invalid(format!("more than {ENTRIES} entries")));
            }
            let kind = header.entry_type();
            let claimed = header.entry_size().map_err(|e| broken(at, &e))?;
            let size = match kind {
                EntryType::Regular | EntryType::Continuous => extra.size.unwrap_or(claimed),
                EntryType::Symlink | EntryType::Link | EntryType::Directory => 0,
                _ => claimed,
            };
            let offset = at + BLOCK;
            let after = size
                .checked_next_multiple_of(BLOCK)
                .and_then(|padded| offset.checked_add(padded))
                .filter(|_| offset.checked_add(size).is_some_and(|last| last <= end))
                .ok_or_else(|| invalid(format!("it ends inside the entry at byte {at}")))?;
            match kind {
                EntryType::GNUSparse => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "the archive has a sparse file in it, which images never have",
                    ));
                }
                EntryType::GNULongName => extra.name = Some(text(file, offset, size)?),
                EntryType::GNULongLink => extra.link = Some(text(file, offset, size)?),
                EntryType::XHeader => extra.pax(&extension(file, offset, size)?, at)?,
                EntryType::XGlobalHeader => {}
                _ => index.add(&header, std::mem::take(&mut extra), (offset, size)),
            }
            at = after;
        }
        Ok(index)
    }

    fn add(&mut self, header: &Header, extra: Extra, (offset, size): (u64, u64)) {
        let name = extra.name.unwrap_or_else(|| header.path_bytes().into());
        let Some(name) = normal("", &name) else {
            return;
        };
        let link = |base: &str| {
            let target = extra
                .link
                .clone()
                .or_else(|| header.link_name_bytes().map(Into::into))?;
            normal(base, &target).map(Place::Link)
        };
        let place = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => Some(Place::File { offset, size }),
            EntryType::Symlink => link(name.rsplit_once('/').map_or("", |(folder, _)| folder)),
            EntryType::Link => link(""),
            _ => None,
        };
        // The last of several entries with one name is the one that counts, as when unpacking.
        match place {
            Some(place) => self.places.insert(name, place),
            None => self.places.remove(&name),
        };
    }

    /// Offset and size of a file; links are followed inside the archive.
    pub(crate) fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = normal("", name.as_bytes())?;
        for _ in 0..HOPS {
            match self.places.get(&name)? {
                Place::File { offset, size } => return Some((*offset, *size)),
                Place::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// Whether anything lies below a folder.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        let below = |n: &String| n.strip_prefix(name).is_some_and(|r| r.starts_with('/'));
        self.places.keys().any(below)
    }
}

impl Extra {
    fn pax(&mut self, records: &[u8], at: u64) -> Result<(), Error> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|e| broken(at, &e))?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                    self.size = Some(size.ok_or_else(|| invalid("a size is not a number"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The header at `at`; `None` at the end of the archive.
fn header(file: &File, at: u64, end: u64) -> Result<Option<Header>, Error> {
    let mut block = [0; 512];
    if at >= end {
        return Ok(None);
    }
    read_exact_at(file, &mut block, at).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => invalid(format!("it ends inside the header at byte {at}")),
        _ => e.into(),
    })?;
    if block.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let header = Header::from_byte_slice(&block);
    let checksum = (148..156).fold(0, |sum, i| sum + u32::from(block[i]));
    let sum = block.iter().map(|b| u32::from(*b)).sum::<u32>() - checksum + 8 * u32::from(b' ');
    if header.cksum().ok() != Some(sum) {
        return Err(invalid(format!("no tar header at byte {at}")));
    }
    Ok(Some(header.clone()))
}

fn extension(file: &File, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
    if size > EXTENSION {
        return Err(invalid(format!("a name or attributes of {size} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    read_exact_at(file, &mut bytes, offset)?;
    Ok(bytes)
}

/// A long name: up to its zero byte.
fn text(file: &File, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = extension(file, offset, size)?;
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(bytes)
}

/// `name` as seen from the folder `base`, without `.` and `..`; `None` when it leaves the archive,
/// is no text, or too long.
fn normal(base: &str, name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.len() > NAME || name.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn invalid(why: impl AsRef<str>) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("the archive is not readable: {}", why.as_ref()),
    )
}

fn broken(at: u64, e: &io::Error) -> Error {
    invalid(format!("the entry at byte {at}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (base, name, expected) in [
            ("", "./a/b", Some("a/b")),
            ("", "a//b/", Some("a/b")),
            ("", "../a", None),
            ("", "/etc/passwd", None),
            ("x", "../y/layer.tar", Some("y/layer.tar")),
            ("x", "../../y", None),
        ] {
            assert_eq!(normal(base, name.as_bytes()).as_deref(), expected, "{name}");
        }
        assert_eq!(normal("", b"\xff"), None);
    }
}
