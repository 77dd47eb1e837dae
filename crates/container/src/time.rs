//! Times as logs write them: RFC 3339 in UTC, to the nanosecond.

use jiff::Timestamp;

/// Now, in nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Nanoseconds since 1970 as text.
pub(crate) fn text(nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_string()
}

/// The nanoseconds of a text; `None` before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for nanos in [0, 1, 1_714_557_600_123_456_789, 1_714_557_600_000_000_000] {
            assert_eq!(parse(&text(nanos)), Some(nanos), "{}", text(nanos));
        }
        assert_eq!(text(1_714_557_600_500_000_000), "2024-05-01T10:00:00.5Z");
        assert_eq!(parse("1960-01-01T00:00:00Z"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
