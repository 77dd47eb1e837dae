//! Signals by name or number, with Linux's numbers. Pure.

use crate::{Error, ErrorKind};

/// KILL.
pub(crate) const KILL: i32 = 9;
/// TERM, which asks to end.
pub(crate) const TERM: i32 = 15;
/// The last of the real-time signals.
const LAST: i32 = 64;

/// In the order of their numbers, from 1 on (signal(7)).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const OTHERS: [(&str, i32); 5] = [
    ("IOT", 6),
    ("CLD", 17),
    ("POLL", 29),
    ("UNUSED", 31),
    ("RTMIN", 34),
];

/// The number of a signal: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] with docker's words.
pub fn signal_number(text: &str) -> Result<i32, Error> {
    let bad = || Error::new(ErrorKind::Invalid, format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            1..=LAST => Ok(number),
            _ => Err(bad()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(at + 1).map_err(|_| bad());
    }
    if let Some((_, number)) = OTHERS.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let (from, offset) = match (name.split_once("RTMIN+"), name.split_once("RTMAX-")) {
        (Some(("", plus)), _) => (34, plus.parse::<i32>().ok()),
        (_, Some(("", minus))) => (LAST, minus.parse::<i32>().ok().map(|n| -n)),
        _ if name == "RTMAX" => (LAST, Some(0)),
        _ => return Err(bad()),
    };
    let number = offset.and_then(|offset| from.checked_add(offset));
    number.filter(|n| (34..=LAST).contains(n)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_and_number() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("HUP", 1),
            ("SYS", 31),
            ("WINCH", 28),
            ("CLD", 17),
            ("SIGRTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("RTMAX", 64),
        ] {
            assert_eq!(signal_number(text).unwrap(), number, "{text}");
        }
        for bad in [
            "",
            "0",
            "65",
            "-1",
            "NOPE",
            "SIGRTMIN+99",
            "RTMIN+x",
            "RTMAX-99",
        ] {
            let error = signal_number(bad).unwrap_err().to_string();
            assert_eq!(error, format!("Invalid signal: {bad}"));
        }
    }
}
