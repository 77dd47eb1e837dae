//! Finding the table of contents in a blob: its text, checked, and where all content has ended.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
};

use flate2::bufread::GzDecoder;
use kiln_image::Digest;

use super::{
    super::{CHUNKED_CHECKSUM, CHUNKED_POSITION, ESTARGZ_TOC, TOC_LIMIT, split::TOC_NAME},
    MAGIC, ReadAt, TOC_KIND, parse_digest,
};
use crate::{Error, ErrorKind, Limits, archive::Members};

/// The footer of an eStargz blob.
const FOOTER: u64 = 51;
/// That of a zstd:chunked one, without the head of its frame.
const CHUNKED_FOOTER: u64 = 64;

fn failed(e: io::Error) -> Error {
    Error::io("read the table of contents", e)
}

fn range(blob: &impl ReadAt, from: u64, to: u64, size: u64) -> Result<Vec<u8>, Error> {
    if from >= to || to > size {
        return Err(Error::refused("the table of contents is outside the blob"));
    }
    if to - from > TOC_LIMIT {
        let what = format!(
            "a table of contents of {} bytes; the limit is {TOC_LIMIT}",
            to - from
        );
        return Err(Error::refused(what));
    }
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
    blob.read_at(from, &mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// No more than the limit of what `from` gives.
fn all(from: impl Read) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    from.take(TOC_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    match text.len() as u64 > TOC_LIMIT {
        true => Err(Error::refused(format!(
            "a table of contents of more than {TOC_LIMIT} bytes"
        ))),
        false => Ok(text),
    }
}

fn check(found: Digest, annotations: &BTreeMap<String, String>, key: &str) -> Result<(), Error> {
    let expected = parse_digest(annotations.get(key).map_or("", String::as_str))?;
    match found == expected {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Changed,
            format!("the table of contents is `{found}`, and the annotations say `{expected}`"),
        )),
    }
}

pub(super) fn estargz(
    blob: &impl ReadAt,
    size: u64,
    annotations: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, u64), Error> {
    let odd = || Error::invalid("the footer of an eStargz blob is not what it should be");
    let end = size.checked_sub(FOOTER).ok_or_else(odd)?;
    let footer = range(blob, end, size, size)?;
    let offset = footer[16..].strip_suffix(&footer[38..]).ok_or_else(odd)?;
    let offset = offset.strip_suffix(b"STARGZ").ok_or_else(odd)?;
    let offset = std::str::from_utf8(offset).map_err(|_| odd())?;
    let offset = u64::from_str_radix(offset, 16).map_err(|_| odd())?;
    let member = GzDecoder::new(Cursor::new(range(blob, offset, end, size)?));
    let mut tar = Members::new(member, Limits::default());
    let first = tar.next()?.filter(|m| m.name == TOC_NAME.as_bytes());
    if first.is_none() {
        let what = format!("there is no `{TOC_NAME}` where the footer says");
        return Err(Error::invalid(what));
    }
    let json = all(&mut tar)?;
    check(Digest::sha256(&json), annotations, ESTARGZ_TOC)?;
    Ok((json, offset))
}

pub(super) fn chunked(
    blob: &impl ReadAt,
    size: u64,
    annotations: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, u64), Error> {
    let place = match annotations.get(CHUNKED_POSITION) {
        Some(text) => position(text)?,
        None => from_footer(blob, size)?,
    };
    let [offset, length, plain, kind] = place;
    if kind != TOC_KIND {
        let what = format!("a table of contents of the kind {kind}");
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    let end = offset.saturating_add(length);
    let packed = range(blob, offset, end, size)?;
    check(Digest::sha256(&packed), annotations, CHUNKED_CHECKSUM)?;
    let mut decoder = zstd::Decoder::with_buffer(&packed[..]).map_err(failed)?;
    decoder.window_log_max(27).map_err(failed)?;
    let json = all(decoder)?;
    if json.len() as u64 != plain {
        return Err(Error::invalid("the table of contents has another length"));
    }
    Ok((json, offset))
}

fn position(text: &str) -> Result<[u64; 4], Error> {
    let odd = || Error::invalid("the annotation with the place of the table of contents");
    let numbers: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
    let numbers = numbers.map_err(|_| odd())?;
    numbers.try_into().map_err(|_| odd())
}

fn from_footer(blob: &impl ReadAt, size: u64) -> Result<[u64; 4], Error> {
    let odd = || Error::invalid("the footer of a zstd:chunked blob is not what it should be");
    let from = size.checked_sub(CHUNKED_FOOTER).ok_or_else(odd)?;
    let footer = range(blob, from, size, size)?;
    let (numbers, _) = footer.as_chunks::<8>();
    let mut place = [0; 4];
    for (to, from) in place.iter_mut().zip(numbers) {
        *to = u64::from_le_bytes(*from);
    }
    match numbers.last() == Some(&MAGIC) {
        true => Ok(place),
        false => Err(odd()),
    }
}
