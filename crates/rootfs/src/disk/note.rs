//! The content of the attribute: a version, then fields with what the image says and what was put on
//! the disk for it. It refuses, as a whole, what it does not know.
//!
//! ```text
//! 1 uid=70000/65536 gid=70000/65536 char=1:3 attr=757365722e78=79
//! ```
//!
//! An attribute that the kernel refused stands as name and value in hexadecimal.

use std::collections::BTreeMap;

use kiln_layer::{Entry, Kind};
use kiln_sandbox::IdMap;

const VERSION: &str = "1";

/// What the disk cannot hold of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// The owner that the image says, and the one on the disk.
    pub(crate) uid: Option<(u32, u32)>,
    /// The group likewise.
    pub(crate) gid: Option<(u32, u32)>,
    /// The device that an empty file stands for.
    pub(crate) device: Option<Kind>,
    /// Attributes that are not on the disk.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Note {
    /// What a disk in a namespace with `ids` cannot hold of `entry`. Which attributes the kernel
    /// refuses only it can tell.
    pub(crate) fn of(entry: &Entry, ids: &IdMap) -> Self {
        let meta = &entry.meta;
        let device = matches!(entry.kind, Kind::Char { .. } | Kind::Block { .. });
        Self {
            uid: (!ids.has_uid(meta.uid)).then(|| (meta.uid, ids.last_uid())),
            gid: (!ids.has_gid(meta.gid)).then(|| (meta.gid, ids.last_gid())),
            device: device.then(|| entry.kind.clone()),
            xattrs: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = VERSION.to_owned();
        for (name, ids) in [("uid", self.uid), ("gid", self.gid)] {
            if let Some((image, put)) = ids {
                text += &format!(" {name}={image}/{put}");
            }
        }
        match self.device {
            Some(Kind::Char { major, minor }) => text += &format!(" char={major}:{minor}"),
            Some(Kind::Block { major, minor }) => text += &format!(" block={major}:{minor}"),
            _ => {}
        }
        for (name, value) in &self.xattrs {
            text += &format!(" attr={}={}", hex(name), hex(value));
        }
        text.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(bytes).ok()?.split(' ');
        if fields.next() != Some(VERSION) {
            return None;
        }
        let mut note = Self::default();
        for field in fields {
            let (name, value) = field.split_once('=')?;
            match name {
                "uid" => note.uid = Some(pair(value, '/')?),
                "gid" => note.gid = Some(pair(value, '/')?),
                "char" => {
                    let (major, minor) = pair(value, ':')?;
                    note.device = Some(Kind::Char { major, minor });
                }
                "block" => {
                    let (major, minor) = pair(value, ':')?;
                    note.device = Some(Kind::Block { major, minor });
                }
                "attr" => {
                    let (name, value) = value.split_once('=')?;
                    let name = unhex(name)?;
                    if !kiln_layer::keeps_attribute(&name) {
                        return None;
                    }
                    note.xattrs.insert(name, unhex(value)?);
                }
                _ => return None,
            }
        }
        Some(note)
    }
}

fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(between)?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |d: u8| char::from(d).to_digit(16);
            u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
        }
        _ => None,
    };
    pairs.map(byte).collect()
}
