//! Times as RFC 3339 writes them. No IO.

use crate::Time;

const DAY: i64 = 86_400;

/// A time as `2006-01-02T15:04:05.999999999Z`; `None` outside the years 0 to 9999.
pub(super) fn format(time: Time) -> Option<String> {
    let (days, second) = (time.seconds.div_euclid(DAY), time.seconds.rem_euclid(DAY));
    let (year, month, day) = date(days)?;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match time.nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
    ))
}

/// The inverse of [`format`], with any offset from UTC.
pub(super) fn parse(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = bytes.get(from..from + len)?;
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let (month, day) = (number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = &text.get(19..)?;
    let zone = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone);
    let nanos = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        None => return None,
        Some(digits) => {
            let fits = (1..=9).contains(&digits.len());
            let all = digits.bytes().all(|b| b.is_ascii_digit());
            let padded = format!("{digits:0<9}");
            (fits && all).then(|| padded.parse().ok()).flatten()?
        }
    };
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign, h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => {
            let two = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let ahead = (two(h1, h2) * 60 + two(m1, m2)) * 60;
            if *sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let seconds = days(number(0, 4)?, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(Time {
        seconds: seconds - offset,
        nanos,
    })
}

/// The date of a day after 1970-01-01, in the calendar of today. Years begin in March here, so that
/// the day that some have is their last.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(719_468)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    (0..=9999).contains(&year).then_some((year, month, day))
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (1_566_297_043, 120_000_000, "2019-08-20T10:30:43.12Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ] {
            let time = Time { seconds, nanos };
            assert_eq!(format(time).as_deref(), Some(text));
            assert_eq!(parse(text), Some(time));
        }
        for beyond in [-62_167_219_201, 253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(format(Time::at(beyond)), None);
        }
    }

    #[test]
    fn only_in() {
        let at = |seconds| Some(Time::at(seconds));
        assert_eq!(parse("1970-01-01T02:00:00+02:00"), at(0));
        assert_eq!(parse("1969-12-31T19:30:00-04:30"), at(0));
        for bad in [
            "",
            "1970",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
