//! The table of contents: JSON, nearly the same in both layouts. No IO.

use std::collections::BTreeMap;

use kiln_image::Digest;
use serde::{Deserialize, Serialize};

use super::{Layout, header::Headers, time, unsupported};
use crate::{
    Error, Time,
    archive::{Member, Type},
    path::escaped,
};

/// The table, as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Toc {
    pub(super) version: u64,
    pub(super) entries: Vec<Entry>,
}

/// One entry of the table: of the tar, or a further chunk of the file before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(rename = "linkName", skip_serializing_if = "String::is_empty")]
    pub(super) link: String,
    #[serde(flatten)]
    pub(super) stat: Stat,
    #[serde(flatten)]
    pub(super) place: Place,
}

/// What the entry is like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stat {
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) mode: i64,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) uid: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) gid: i64,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<String>,
    #[serde(rename = "accesstime", skip_serializing_if = "Option::is_none")]
    pub(super) accessed: Option<String>,
    #[serde(rename = "changetime", skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<String>,
    #[serde(rename = "devMajor", skip_serializing_if = "is_zero")]
    pub(super) major: i64,
    #[serde(rename = "devMinor", skip_serializing_if = "is_zero")]
    pub(super) minor: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) xattrs: BTreeMap<String, String>,
}

/// Where the content is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Place {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) digest: String,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) offset: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) end_offset: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) inner_offset: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) chunk_size: u64,
    #[serde(skip_serializing_if = "is_none")]
    pub(super) chunk_offset: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) chunk_digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) chunk_type: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

/// A chunk of a file as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// Where it begins in the blob, and where it ends.
    pub(super) offset: u64,
    pub(super) end: u64,
    /// How much it is, uncompressed.
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl Entry {
    /// The entry of a member whose headers are `headers`.
    pub(super) fn new(
        layout: Layout,
        member: &Member,
        headers: &Headers<'_>,
    ) -> Result<Self, Error> {
        let kind = match member.kind {
            Type::File => "reg",
            Type::Link => "hardlink",
            Type::Symlink => "symlink",
            Type::Char => "char",
            Type::Block => "block",
            Type::Folder => "dir",
            Type::Fifo => "fifo",
        };
        let is_chunked = layout == Layout::ZstdChunked;
        let (major, minor) = headers.device();
        let when = |key: &str| match headers.record(key).filter(|_| is_chunked) {
            Some(text) => stamp(seconds(text)).map(Some),
            None => Ok(None),
        };
        let stat = Stat {
            mode: headers.mode(),
            size: match (is_chunked, member.kind) {
                (_, Type::File) => member.size,
                (true, _) => headers.size(),
                (false, _) => 0,
            },
            uid: member.meta.uid.into(),
            gid: member.meta.gid.into(),
            modified: Some(stamp(Some(member.meta.mtime))?),
            accessed: when("atime")?,
            changed: when("ctime")?,
            major,
            minor,
            xattrs: headers.xattrs()?,
        };
        Ok(Self {
            kind: kind.to_owned(),
            name: text(&member.name)?,
            link: match member.kind {
                Type::Link | Type::Symlink => text(&member.link)?,
                _ => String::new(),
            },
            stat,
            place: Place::default(),
        })
    }

    /// The entries of a file with content: itself, and its further chunks.
    pub(super) fn with_chunks(
        mut self,
        layout: Layout,
        chunks: &[Chunk],
        whole: Digest,
    ) -> Vec<Self> {
        let is_chunked = layout == Layout::ZstdChunked;
        let single = chunks.len() == 1;
        self.place.digest = whole.to_string();
        let name = self.name.clone();
        let mut out = vec![self];
        let mut done = 0;
        for (i, chunk) in chunks.iter().enumerate() {
            if i > 0 {
                out.push(Self {
                    kind: "chunk".to_owned(),
                    name: name.clone(),
                    ..Self::default()
                });
            }
            let place = &mut out[i].place;
            place.offset = chunk.offset;
            // In eStargz the last one has no length; in zstd:chunked an only one says nothing.
            let is_last = i + 1 == chunks.len();
            if !(is_chunked && single) {
                place.chunk_digest = chunk.digest.to_string();
                place.chunk_offset = done;
                place.chunk_size = if is_last && !is_chunked {
                    0
                } else {
                    chunk.size
                };
            }
            done += chunk.size;
        }
        if let (true, Some(last)) = (is_chunked, chunks.last()) {
            out[0].place.end_offset = last.end;
        }
        out
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| unsupported(format!("`{}` is not UTF-8", escaped(bytes))))?;
    Ok(text.to_owned())
}

fn stamp(time: Option<Time>) -> Result<String, Error> {
    let text = time.and_then(time::format);
    text.ok_or_else(|| unsupported("a time outside the years 0 to 9999"))
}

/// A time of an extended header.
fn seconds(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some(match (whole.starts_with('-'), nanos) {
        (true, 1..) => Time {
            seconds: seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
        _ => Time { seconds, nanos },
    })
}
