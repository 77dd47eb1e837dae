//! The values of mount options, and what is said of those that cannot be.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit1, one_of};
use nom::combinator::{all_consuming, opt, recognize};
use nom::{IResult, Parser};

use super::bad;
use crate::ast::{MountKind, MountOption, Sharing};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest::nearest;
use crate::word::Word;

/// The value's place, or the key's where there is none.
fn place(option: &MountOption<'_>) -> Span {
    option.value.as_ref().map_or(option.key.span, Word::span)
}

pub(super) fn invalid(value: &str, option: &MountOption<'_>, wanted: &str) -> Diagnostic {
    bad(
        place(option),
        format!(
            "invalid value `{value}` of mount option `{}`",
            option.key.node
        ),
    )
    .with_help(format!("it takes {wanted}"))
}

pub(super) fn name(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Bind => "bind",
        MountKind::Cache => "cache",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Secret => "secret",
        MountKind::Ssh => "ssh",
    }
}

pub(super) fn kind(value: &str, option: &MountOption<'_>) -> Result<MountKind, Diagnostic> {
    let kinds = [
        MountKind::Bind,
        MountKind::Cache,
        MountKind::Tmpfs,
        MountKind::Secret,
        MountKind::Ssh,
    ];
    kinds
        .into_iter()
        .find(|kind| name(*kind).eq_ignore_ascii_case(value))
        .ok_or_else(|| {
            let help = match nearest(value, kinds.map(name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it can be `bind`, `cache`, `tmpfs`, `secret` or `ssh`".to_owned(),
            };
            bad(place(option), format!("unknown mount type `{value}`")).with_help(help)
        })
}

pub(super) fn sharing(value: &str, option: &MountOption<'_>) -> Result<Sharing, Diagnostic> {
    match value.to_ascii_lowercase().as_str() {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        _ => Err(invalid(value, option, "`shared`, `private` or `locked`")),
    }
}

pub(super) fn boolean(value: &str, option: &MountOption<'_>) -> Result<bool, Diagnostic> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(invalid(value, option, "`true` or `false`")),
    }
}

/// `64m`, `1.5GiB`, `100`, `1e3`: units are powers of 1024; a lone `i` is no unit.
pub(super) fn bytes(input: &str) -> Option<u64> {
    type Size<'s> = (
        &'s str,
        Option<&'s str>,
        Option<char>,
        Option<(Option<char>, char)>,
    );
    // With an exponent where digits follow it: `1e` is not a number.
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    let digits = alt((
        recognize((digit1, opt((char('.'), opt(digit1))))),
        recognize((char('.'), digit1)),
    ));
    let number = recognize((opt(char('+')), digits, opt(exponent)));
    let mut whole = all_consuming((
        number,
        opt(tag(" ")),
        opt(one_of("kKmMgGtTpP")),
        opt((opt(one_of("iI")), one_of("bB"))),
    ));
    let read: IResult<&str, Size<'_>> = whole.parse(input);
    let (_, (number, _, unit, rest)) = read.ok()?;
    if unit.is_none() && rest.is_some_and(|(i, _)| i.is_some()) {
        return None;
    }
    let power = unit.map_or(0, |unit| {
        "kmgtp"
            .find(unit.to_ascii_lowercase())
            .map_or(0, |i| i as i32 + 1)
    });
    let value = number.parse::<f64>().ok()? * 1024f64.powi(power);
    // Above 2^53 a byte more or less is not what was meant.
    (value < 9.2e18).then_some(value as u64)
}
