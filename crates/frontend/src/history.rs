//! History lines as docker's builder writes them: other tools read these. Refuses to improve on them.

use std::time::Duration;

use kiln_image::{Healthcheck, History};

/// What the comment of each entry says.
pub(crate) const COMMENT: &str = "buildkit.dockerfile.v0";

/// An entry without a time.
pub(crate) fn entry(created_by: String, makes_layer: bool) -> History {
    History {
        created_by: Some(created_by),
        comment: Some(COMMENT.to_owned()),
        empty_layer: !makes_layer,
        ..History::default()
    }
}

/// `["a" "b"]`
pub(crate) fn quoted_list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|i| quote(i, '"')).collect();
    format!("[{}]", items.join(" "))
}

/// A HEALTHCHECK, whose history is the record itself, each field quoted.
pub(crate) fn healthcheck(check: &Healthcheck) -> String {
    let times = [
        check.interval,
        check.timeout,
        check.start_period,
        check.start_interval,
    ];
    let times: Vec<_> = times
        .iter()
        .map(|nanos| {
            format!(
                "\"{}\"",
                duration(Duration::from_nanos(nanos.unsigned_abs()))
            )
        })
        .collect();
    let retries = u32::try_from(check.retries).ok().and_then(char::from_u32);
    let retries = quote(&retries.unwrap_or('\u{fffd}').to_string(), '\'');
    let test = quoted_list(&check.test);
    format!("HEALTHCHECK &{{{test} {} {retries}}}", times.join(" "))
}

/// `1h0m0s`, `1m30s`, `1.5s`, `300ms`
fn duration(time: Duration) -> String {
    let fraction = |whole: u128, rest: u128, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{whole}{dot}{rest}{unit}")
    };
    let nanos = time.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => fraction(nanos / 1_000, nanos % 1_000, 3, "µs"),
        1_000_000..1_000_000_000 => fraction(nanos / 1_000_000, nanos % 1_000_000, 6, "ms"),
        _ => {
            let seconds = time.as_secs();
            let rest = u128::from(time.subsec_nanos());
            let tail = fraction(u128::from(seconds % 60), rest, 9, "s");
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => tail,
                (0, m) => format!("{m}m{tail}"),
                (h, m) => format!("{h}h{m}m{tail}"),
            }
        }
    }
}

/// `text` between two `mark`s, with what would not be readable between them escaped.
fn quote(text: &str, mark: char) -> String {
    let mut out = String::from(mark);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c == '\\' || c == mark => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_others_read_them() {
        let check = Healthcheck {
            test: vec!["CMD-SHELL".into(), "curl \"x\"".into()],
            interval: 300_000_000_000,
            timeout: 1_500_000_000,
            start_interval: 3_600_000_000_000,
            retries: 3,
            ..Healthcheck::default()
        };
        assert_eq!(
            healthcheck(&check),
            r#"HEALTHCHECK &{["CMD-SHELL" "curl \"x\""] "5m0s" "1.5s" "0s" "1h0m0s" '\x03'}"#
        );
        for (nanos, text) in [(1, "1ns"), (1_500, "1.5µs"), (300_000_000, "300ms")] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(quote("a\\\n\u{1}é'", '\''), r"'a\\\n\x01é\''");
    }
}
