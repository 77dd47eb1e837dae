//! `HEALTHCHECK` and its options.

use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0, digit1, one_of};
use nom::combinator::{all_consuming, opt, recognize, value, verify};
use nom::multi::many1;
use nom::{IResult, Parser};

use super::{Cx, Statement, command};
use crate::ast::{Command, Flag, Healthcheck, HealthcheckOptions};
use crate::span::Spanned;
use crate::split::first_word;
use crate::suggest::nearest;

pub(super) fn read<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Healthcheck<'a>> {
    let options = HealthcheckOptions {
        interval: period(cx, st, "interval"),
        timeout: period(cx, st, "timeout"),
        start_period: period(cx, st, "start-period"),
        start_interval: period(cx, st, "start-interval"),
        retries: retries(cx, st),
    };
    st.requires_args(
        cx,
        "CMD and a command, or NONE",
        "CMD curl -f http://localhost/",
    )?;
    let (kind, rest) = first_word(st.args.as_str());
    let rest = cx.part(&st.args, rest);
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if rest.as_str().is_empty() => Some(Healthcheck::None),
        "NONE" => {
            cx.error(
                "bad-healthcheck",
                rest.span(),
                "HEALTHCHECK NONE takes no arguments",
                "remove them",
            );
            None
        }
        "CMD" => {
            let command =
                (!rest.as_str().is_empty()).then(|| command::command(cx, "HEALTHCHECK", &rest));
            match command {
                Some(Some(Command::Exec(args))) if args.is_empty() => missing_command(cx, st),
                None => missing_command(cx, st),
                Some(command) => Some(Healthcheck::Cmd {
                    options,
                    command: command?,
                }),
            }
        }
        _ => {
            let span = cx.part(&st.args, kind).span();
            let help = match nearest(kind, ["CMD", "NONE"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("did you mean `HEALTHCHECK CMD {}`?", st.args.as_str()),
            };
            cx.error(
                "bad-healthcheck",
                span,
                format!("unknown type `{kind}` of HEALTHCHECK"),
                help,
            );
            None
        }
    }
}

fn missing_command<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Healthcheck<'a>> {
    let help = "for example `HEALTHCHECK CMD curl -f http://localhost/`";
    cx.error(
        "missing-argument",
        st.args.span(),
        "HEALTHCHECK CMD needs a command",
        help,
    );
    None
}

/// A flag that has a value: an empty one is as if it were not there.
fn given<'a>(st: &Statement<'a>, name: &str) -> Option<Flag<'a>> {
    st.flags
        .text(name)
        .filter(|flag| !flag.value.raw().is_empty())
}

fn retries<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Spanned<u32>> {
    let flag = given(st, "retries")?;
    let raw = flag.value.raw();
    match raw.parse::<i32>() {
        Ok(n) if n >= 0 => Some(Spanned::new(n.unsigned_abs(), flag.span)),
        _ => {
            let message = format!("invalid value `{raw}` of `--retries`");
            cx.error(
                "bad-retries",
                flag.value.span(),
                message,
                "it takes a whole number, for example `--retries=3`",
            );
            None
        }
    }
}

fn period<'a>(cx: &mut Cx<'a>, st: &Statement<'a>, name: &str) -> Option<Spanned<Duration>> {
    let flag = given(st, name)?;
    let raw = flag.value.raw();
    let (message, help) = match duration(raw) {
        Some((false, period)) if period.is_zero() || period >= Duration::from_millis(1) => {
            return Some(Spanned::new(period, flag.span));
        }
        Some(_) => (
            format!("`--{name}` cannot be less than 1 ms: `{raw}`"),
            "zero stands for the default".to_owned(),
        ),
        None if !raw.is_empty() && raw.bytes().all(|b| b.is_ascii_digit()) => (
            format!("missing unit in duration `{raw}` of `--{name}`"),
            format!("did you mean `{raw}s`?"),
        ),
        None => (
            format!("invalid duration `{raw}` of `--{name}`"),
            "for example `30s`, `1m30s` or `500ms`".to_owned(),
        ),
    };
    cx.error("bad-duration", flag.value.span(), message, help);
    None
}

/// A sign, and numbers with the seconds of their units.
type Signed<'a> = (Option<char>, Vec<(&'a str, f64)>);

/// Numbers with units, such as `1h2m3.5s`, perhaps with a sign: whether it is negative, and how
/// long. `0` needs no unit.
fn duration(input: &str) -> Option<(bool, Duration)> {
    let number = verify(recognize((digit0, opt((char('.'), digit0)))), |n: &str| {
        n.bytes().any(|b| b.is_ascii_digit())
    });
    let unit = alt((
        value(1e-9, tag("ns")),
        value(1e-6, alt((tag("us"), tag("µs"), tag("μs")))),
        value(1e-3, tag("ms")),
        value(1.0, tag("s")),
        value(60.0, tag("m")),
        value(3600.0, tag("h")),
    ));
    let zero = value(Vec::new(), verify(digit1, |d: &str| d == "0"));
    let mut whole = all_consuming((
        opt(one_of("+-")),
        alt((all_consuming(zero), many1((number, unit)))),
    ));
    let read: IResult<&str, Signed<'_>> = whole.parse(input);
    let (_, (sign, parts)) = read.ok()?;
    let mut total = Duration::ZERO;
    for (number, unit) in parts {
        total = total
            .checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?)?;
    }
    // Longer does not fit into 64 bits of nanoseconds, which is what the config holds.
    (total.as_nanos() <= i64::MAX as u128).then_some((sign == Some('-') && !total.is_zero(), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let rows = [
            ("30s", Some((false, 30_000))),
            ("1h2m3.5s", Some((false, 3_723_500))),
            ("500ms", Some((false, 500))),
            ("0", Some((false, 0))),
            ("-1s", Some((true, 1000))),
            ("1.5m", Some((false, 90_000))),
            (".5s", Some((false, 500))),
            ("30", None),
            ("", None),
            ("s", None),
            ("1d", None),
            ("9999999999h", None),
        ];
        for (text, want) in rows {
            let want = want.map(|(negative, ms)| (negative, Duration::from_millis(ms)));
            assert_eq!(duration(text), want, "{text}");
        }
    }
}
