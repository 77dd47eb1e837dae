//! Points in time as people name them on a command line: `--since`, `--until` and filters. A date
//! (RFC 3339, or less of it, then in the zone of this machine), seconds since 1970 with a fraction,
//! or a duration before now as Go writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::failure::Failure;

/// Nanoseconds since 1970.
pub(crate) type Nanos = i128;

const SECOND: Nanos = 1_000_000_000;

/// Now.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| Nanos::try_from(d.as_nanos()).unwrap_or(Nanos::MAX))
}

/// The time that `text` names.
pub(crate) fn parse(text: &str) -> Result<Nanos, Failure> {
    at(text, now(), &TimeZone::system()).ok_or_else(|| {
        let what = format!("failed to parse value as time or duration: \"{text}\"");
        Failure::new(what)
            .hint("write a duration before now as 10m or 1h30m, or a date as 2024-05-01T10:00:00Z")
    })
}

/// The time that `text` names, in seconds since 1970.
pub(crate) fn in_seconds(text: &str) -> Result<i64, Failure> {
    let seconds = parse(text)?.div_euclid(SECOND);
    Ok(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// As docker shows the time of a line of a log: nine digits, UTC.
pub(crate) fn shown(nanos: Nanos) -> String {
    let time = Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.9}")
}

fn at(text: &str, now: Nanos, zone: &TimeZone) -> Option<Nanos> {
    if let Some(ago) = duration(text) {
        return now.checked_sub(ago);
    }
    if let Some(time) = seconds(text) {
        return Some(time);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_nanosecond());
    }
    // A zone that cannot be read must not be taken for none.
    if text.contains(['z', 'Z', '+', '[']) {
        return None;
    }
    let local: civil::DateTime = text.parse().ok()?;
    let zoned = local.to_zoned(zone.clone()).ok()?;
    Some(zoned.timestamp().as_nanosecond())
}

/// `1700000000` or `1700000000.5`.
fn seconds(text: &str) -> Option<Nanos> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    decimal(whole, fraction, SECOND)
}

/// `whole.fraction` of `unit`, both nothing but digits.
fn decimal(whole: &str, fraction: &str, unit: Nanos) -> Option<Nanos> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let mut sum = match whole {
        "" => 0,
        whole => whole.parse::<Nanos>().ok()?.checked_mul(unit)?,
    };
    let mut part = unit;
    for digit in fraction.bytes() {
        part /= 10;
        sum += part * Nanos::from(digit - b'0');
    }
    Some(sum)
}

/// `1h30m`, `1.5s`, `-10m`: Go's durations, in nanoseconds.
fn duration(text: &str) -> Option<Nanos> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut sum: Nanos = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "h" => 3600 * SECOND,
            "m" => 60 * SECOND,
            "s" => SECOND,
            "ms" => SECOND / 1000,
            "us" | "µs" => SECOND / 1_000_000,
            "ns" => 1,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        sum = sum.checked_add(decimal(whole, fraction, unit)?)?;
        rest = after;
    }
    Some(sign * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-05-01T10:00:00Z.
    const THEN: Nanos = 1_714_557_600 * SECOND;

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    #[test]
    fn times() {
        const MINUTE: Nanos = 60 * SECOND;
        for (text, want) in [
            ("10m", Some(THEN - 10 * MINUTE)),
            ("1h30m", Some(THEN - 90 * MINUTE)),
            ("1.5h", Some(THEN - 90 * MINUTE)),
            ("-10m", Some(THEN + 10 * MINUTE)),
            ("250ms", Some(THEN - SECOND / 4)),
            ("0", Some(0)),
            ("1714557600", Some(THEN)),
            ("1714557600.000000001", Some(THEN + 1)),
            ("1714557600.5", Some(THEN + SECOND / 2)),
            ("2024-05-01T10:00:00Z", Some(THEN)),
            ("2024-05-01T12:00:00.25+02:00", Some(THEN + SECOND / 4)),
            ("2024-05-01T12:00:00", Some(THEN)),
            ("2024-05-01T12:00", Some(THEN)),
            ("2024-05-01T12", Some(THEN)),
            ("2024-05-01", Some(THEN - 12 * 60 * MINUTE)),
            ("", None),
            (".", None),
            ("m", None),
            ("10x", None),
            ("1h30", None),
            ("yesterday", None),
            ("2024-13-01", None),
            ("99999999999999999999999999999999999999h", None),
        ] {
            assert_eq!(at(text, THEN, &zone()), want, "{text}");
        }
    }

    #[test]
    fn shown_with_nine_digits() {
        assert_eq!(shown(THEN), "2024-05-01T10:00:00.000000000Z");
        assert_eq!(shown(THEN + 1), "2024-05-01T10:00:00.000000001Z");
    }
}
