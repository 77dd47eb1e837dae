//! The clock, and times as documents write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// RFC 3339 in UTC, whole seconds.
pub fn rfc3339(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_string()
}

/// As docker's lists show a time: `2024-05-01 10:00:00 +0000 UTC`.
pub fn shown(seconds: i64) -> String {
    let text = rfc3339(seconds).replace('T', " ");
    format!("{} +0000 UTC", text.trim_end_matches('Z'))
}

/// The seconds of an RFC 3339 time.
pub fn parse(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_second)
}
