//! The answers of `--call` as JSON, in docker's shapes. What docker adds about the way in which the file
//! came to its builder is left out.

use kiln_build::{Checked, Lines, Report, parser::lint};
use serde::Serialize;

use super::{super::Dockerfile, line_of};
use crate::failure::Failure;

/// The answer of `subrequests.describe`.
pub(super) const DESCRIBE: &str = include_str!("describe.json");

#[derive(Serialize)]
struct Answer<'a> {
    /// `null` where there are none.
    warnings: Option<Vec<Warning<'a>>>,
    sources: [Source<'a>; 1],
    #[serde(rename = "buildError", skip_serializing_if = "Option::is_none")]
    build_error: Option<BuildError>,
}

#[derive(Serialize)]
struct Warning<'a> {
    #[serde(rename = "ruleName")]
    rule: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    detail: &'a str,
    /// What to do: of kiln's own findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    location: Location,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Location {
    At(Lines),
    Nowhere {},
}

#[derive(Serialize)]
struct Source<'a> {
    filename: &'a str,
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct BuildError {
    message: String,
    location: Location,
}

impl From<Option<Lines>> for Location {
    fn from(lines: Option<Lines>) -> Self {
        lines.map_or(Location::Nowhere {}, Location::At)
    }
}

/// What `check` found.
pub(super) fn checked(checked: &Checked, dockerfile: &Dockerfile) -> Result<String, Failure> {
    let warnings: Vec<Warning<'_>> = checked.findings.iter().map(warning).collect();
    let build_error = checked.failure.as_ref().map(|e| {
        let reports = e.reports().iter().find(|report| report.error);
        let place = e.place().or(reports.and_then(|r| r.place.as_ref()));
        let lines = reports.and_then(|report| report.lines);
        let at = || place.map(|place| line_of(&dockerfile.text, place.start));
        BuildError {
            message: e.to_string(),
            location: lines.or_else(at).into(),
        }
    });
    json(&Answer {
        warnings: Some(warnings).filter(|all| !all.is_empty()),
        sources: [Source {
            filename: &dockerfile.name,
            data: base64(dockerfile.text.as_bytes()),
            language: "Dockerfile",
        }],
        build_error,
    })
}

fn warning(report: &Report) -> Warning<'_> {
    Warning {
        rule: report.code,
        description: lint::rule(report.code).map_or("", |rule| rule.description),
        help: report.help.as_deref().filter(|_| report.is_own()),
        url: report.url(),
        detail: &report.message,
        location: report.lines.into(),
    }
}

/// As docker writes it: indented by two blanks, and safe within a page.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|e| Failure::new("write the answer as JSON").because(&e))?;
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe += &format!("\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe.push('\n');
    Ok(safe)
}

/// Three bytes in four letters, as RFC 4648 has it, padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("FROM scratch\n", "RlJPTSBzY3JhdGNoCg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }
}
