//! What the headers of an answer say. No IO.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    LAST_MODIFIED, RETRY_AFTER,
};
use serde::{Deserialize, Serialize};

use super::address::decoded;

/// By what one asks whether a file is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Validators {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: text(headers, &ETAG),
            last_modified: text(headers, &LAST_MODIFIED),
        }
    }

    /// By which a part can be gone on with: only a strong tag, or a date, says that bytes are the same.
    pub(super) fn strong(&self) -> Option<&str> {
        let tag = self.etag.as_deref().filter(|tag| tag.starts_with('"'));
        tag.or(self.last_modified.as_deref())
    }

    /// In seconds since 1970.
    pub(super) fn modified(&self) -> Option<i64> {
        let text = self.last_modified.as_deref()?;
        let time = DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(time.as_second())
    }
}

pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text(headers, &RETRY_AFTER)?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.parse().ok()
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    text(headers, &CONTENT_TYPE)
}

/// `bytes 5-9/10`: where a part begins, and how long the whole is where that is said.
pub(super) fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = text(headers, &CONTENT_RANGE)?;
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let whole: Option<u64> = match whole.trim() {
        "*" => None,
        whole => Some(whole.parse().ok()?),
    };
    let fits = first <= last && whole.is_none_or(|whole| last + 1 == whole);
    fits.then_some((first, whole))
}

/// The file's name as the other side has it: without folders, unable to leave one.
pub(super) fn name(headers: &HeaderMap) -> Option<String> {
    let value = text(headers, &CONTENT_DISPOSITION)?;
    let mut plain = None;
    for part in value.split(';').skip(1) {
        let Some((key, value)) = part.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "filename*" => {
                let encoded = value.splitn(3, '\'').nth(2)?;
                return as_name(&decoded(encoded));
            }
            "filename" => {
                let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                plain = as_name(bare.unwrap_or(value));
            }
            _ => {}
        }
    }
    plain
}

/// The last component of a path, if that is a name.
pub(super) fn as_name(path: &str) -> Option<String> {
    let name = path
        .trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()?;
    let usable = !matches!(name, "" | "." | "..") && name.len() <= 255;
    (usable && !name.contains(char::is_control)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn names() {
        for (value, want) in [
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("attachment; filename=../../etc/passwd", Some("passwd")),
            ("attachment; filename=\"..\"", None),
            (
                "attachment; filename=x; filename*=UTF-8''a%2Fb%20c",
                Some("b c"),
            ),
            ("inline", None),
            ("attachment; filename=\"C:\\x\\y.exe\"", Some("y.exe")),
        ] {
            let found = name(&headers(CONTENT_DISPOSITION, value));
            assert_eq!(found.as_deref(), want, "{value}");
        }
    }

    #[test]
    fn ranges() {
        for (value, want) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 5-8/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("lines 5-9/10", None),
        ] {
            assert_eq!(range(&headers(CONTENT_RANGE, value)), want, "{value}");
        }
    }

    #[test]
    fn times() {
        let of = |text: &str| Validators::of(&headers(LAST_MODIFIED, text)).modified();
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480));
        assert_eq!(of("yesterday"), None);
    }
}
