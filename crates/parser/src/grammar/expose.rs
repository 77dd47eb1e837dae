//! `EXPOSE`: ports, ranges and protocols.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, opt, recognize};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::{Cx, Statement};
use crate::ast::{Expose, Port, PortError, Protocol};
use crate::diagnostic::Diagnostic;

pub(super) fn read<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<Expose<'a>> {
    st.requires_args(cx, "a port", "8080/tcp")?;
    let words = st.plain_words(cx);
    let mut ports = Vec::new();
    for text in words {
        let word = cx.word(text);
        if word.error().is_none() && !word.has_variables() {
            for port in word.expand_words(&|_| None).unwrap_or_default() {
                if let Err(error) = Port::parse(&port) {
                    let diagnostic = Diagnostic::error("bad-port", word.span(), error.message);
                    cx.diagnostics.push(diagnostic.with_help_if(error.help));
                }
            }
        }
        ports.push(word);
    }
    Some(Expose { ports })
}

/// `first[-last]`.
fn range(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    let number = || recognize((opt(char('+')), digit1));
    all_consuming((number(), opt(preceded(char('-'), number())))).parse(input)
}

fn fail<T>(message: impl Into<String>, help: Option<String>) -> Result<T, PortError> {
    Err(PortError {
        message: message.into(),
        help,
    })
}

impl Port {
    /// Reads `port[-port][/protocol]`, one word of EXPOSE after its variables were replaced. What a
    /// host would have in front (`127.0.0.1:80:80`) must be right, and is passed over, as builders do.
    ///
    /// # Errors
    ///
    /// What is not a port, a range that runs backwards, an unknown protocol; of the host's part, what
    /// is no address or port, and ranges of different length.
    pub fn parse(word: &str) -> Result<Vec<Port>, PortError> {
        let (ports, protocol) = word.split_once('/').unwrap_or((word, ""));
        let mut parts = ports.rsplitn(3, ':');
        let (container, host, address) = (parts.next(), parts.next(), parts.next());
        let container = container.unwrap_or_default();
        let Ok((_, container)) = range(container) else {
            return Err(no_port(word));
        };
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            other => {
                return fail(
                    format!("unknown protocol `{other}` in `{word}`"),
                    Some("it can be `tcp`, `udp` or `sctp`".to_owned()),
                );
            }
        };
        let numbers = numbers(container, word)?;
        of_host(host, address, &numbers, word)?;
        let port = |number| Port { number, protocol };
        Ok(numbers.map(port).collect())
    }
}

fn no_port(word: &str) -> PortError {
    let bare = |piece: &str| range(piece.split('/').next().unwrap_or_default()).is_ok();
    let pieces: Vec<&str> = word
        .split([',', ';'])
        .filter(|piece| !piece.is_empty())
        .collect();
    let help = if pieces.len() > 1 && pieces.iter().all(|piece| bare(piece)) {
        format!("did you mean `{}`?", pieces.join(" "))
    } else {
        "for example `8080`, `8080/udp` or `8000-8010`".to_owned()
    };
    PortError {
        message: format!("invalid port `{word}`"),
        help: Some(help),
    }
}

fn numbers(
    (first, last): (&str, Option<&str>),
    word: &str,
) -> Result<RangeInclusive<u16>, PortError> {
    let number = |text: &str| match text.parse::<u16>() {
        Ok(number) => Ok(number),
        Err(_) => fail(
            format!("port `{text}` is out of range"),
            Some("ports go up to 65535".to_owned()),
        ),
    };
    let first = number(first)?;
    let last = last.map_or(Ok(first), number)?;
    if last < first {
        return fail(
            format!("port range `{word}` runs backwards"),
            Some(format!("did you mean `{last}-{first}`?")),
        );
    }
    Ok(first..=last)
}

/// Looks at what stands before the port of the container: nobody uses it, and it must be right.
fn of_host(
    host: Option<&str>,
    address: Option<&str>,
    container: &RangeInclusive<u16>,
    word: &str,
) -> Result<(), PortError> {
    let help = || Some("a host's address and port have no place here: leave them out".to_owned());
    if let Some(address) = address.filter(|address| !address.is_empty()) {
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
        if bare.unwrap_or(address).parse::<IpAddr>().is_err() {
            return fail(format!("invalid address `{address}` in `{word}`"), help());
        }
    }
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Ok(());
    };
    let Ok((_, host)) = range(host) else {
        return fail(
            format!("invalid port of the host `{host}` in `{word}`"),
            help(),
        );
    };
    let host = numbers(host, word)?;
    // Any of several ports of the host may be the one of a single port.
    if container.len() > 1 && host.len() != container.len() {
        return fail(
            format!("as many ports of the host as of the container are needed in `{word}`"),
            help(),
        );
    }
    Ok(())
}
