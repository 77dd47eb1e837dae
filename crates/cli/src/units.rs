//! Sizes and times in docker's words.

/// A size in decimal units with `digits` significant digits, as docker prints it: `7.05MB`.
pub(crate) fn size(bytes: u64, digits: usize) -> String {
    #[allow(
        clippy::cast_precision_loss,
        reason = "for people, who see three digits"
    )]
    let mut value = bytes as f64;
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// `%.{digits}g`: significant digits, no trailing zeros.
fn significant(value: f64, digits: usize) -> String {
    let whole = format!("{value:.0}").len();
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A size as people write it: `512mb`, `1g`, `100`; units are decimal, as docker has them.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, unit) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], 1_000),
        Some('m') => (&lower[..lower.len() - 1], 1_000_000),
        Some('g') => (&lower[..lower.len() - 1], 1_000_000_000),
        Some('t') => (&lower[..lower.len() - 1], 1_000_000_000_000),
        _ => (lower, 1_u64),
    };
    let number = number.trim().parse::<u64>().ok();
    let size = number.and_then(|n| n.checked_mul(unit));
    size.ok_or_else(|| format!("`{text}` is no size: write it as 512mb"))
}

/// An amount of memory as people write it: `512m`, `1gb`, `100`; units are powers of 1024, as docker has
/// them for memory.
pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => 0,
    };
    let number = digits.parse::<u64>().ok().filter(|_| unit > 0);
    let size = number.and_then(|n| n.checked_mul(unit));
    size.ok_or_else(|| format!("`{text}` is no size: write it as 512m"))
}

/// How long ago something was, for `seconds` of it: `3 weeks`.
pub(crate) fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    let days = hours / 24;
    match (seconds, minutes, hours) {
        (..1, _, _) => "Less than a second".to_owned(),
        (1, _, _) => "1 second".to_owned(),
        (..60, _, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{days} days"),
        (_, _, ..1440) => format!("{} weeks", days / 7),
        (_, _, ..17520) => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, digits, want) in [
            (0, 3, "0B"),
            (999, 3, "999B"),
            (1000, 3, "1kB"),
            (3072, 4, "3.072kB"),
            (7_050_000, 3, "7.05MB"),
            (123_456_789, 3, "123MB"),
            (1_240_000_000, 3, "1.24GB"),
        ] {
            assert_eq!(size(bytes, digits), want);
        }
    }

    #[test]
    fn sizes_as_people_write_them() {
        for (text, want) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("10kb", Some(10_000)),
            ("1GB", Some(1_000_000_000)),
            ("2 m", Some(2_000_000)),
            ("", None),
            ("x", None),
            ("99999999999999t", None),
        ] {
            assert_eq!(parse_size(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn durations() {
        const DAY: i64 = 86_400;
        for (seconds, want) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (47 * 3600, "47 hours"),
            (3 * DAY, "3 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(duration(seconds), want, "{seconds}");
        }
    }
}
