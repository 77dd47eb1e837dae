//! `EXPOSE`: ports, ranges and protocols.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, opt};
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

/// `first[-last][/protocol]`.
fn port(input: &str) -> IResult<&str, (&str, Option<&str>, Option<&str>)> {
    let protocol = preceded(char('/'), take_while(|_| true));
    all_consuming((digit1, opt(preceded(char('-'), digit1)), opt(protocol))).parse(input)
}

fn fail<T>(message: impl Into<String>, help: Option<String>) -> Result<T, PortError> {
    Err(PortError {
        message: message.into(),
        help,
    })
}

impl Port {
    /// Reads `port[-port][/protocol]`, one word of EXPOSE after its variables were replaced. A
    /// host part in front (`127.0.0.1:80:80`) is passed over, as builders do.
    ///
    /// # Errors
    ///
    /// What is not a port, a range that runs backwards, an unknown protocol.
    pub fn parse(word: &str) -> Result<Vec<Port>, PortError> {
        let container = word
            .rsplit_once(':')
            .map_or(word, |(_, container)| container);
        let Ok((_, (first, last, protocol))) = port(container) else {
            let pieces: Vec<&str> = word
                .split([',', ';'])
                .filter(|piece| !piece.is_empty())
                .collect();
            let many = pieces.len() > 1 && pieces.iter().all(|piece| port(piece).is_ok());
            let help = if many {
                format!("did you mean `{}`?", pieces.join(" "))
            } else {
                "for example `8080`, `8080/udp` or `8000-8010`".to_owned()
            };
            return fail(format!("invalid port `{word}`"), Some(help));
        };
        let protocol = match protocol.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            Some("sctp") => Protocol::Sctp,
            Some(other) => {
                return fail(
                    format!("unknown protocol `{other}` in `{word}`"),
                    Some("it can be `tcp`, `udp` or `sctp`".to_owned()),
                );
            }
        };
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
        Ok((first..=last)
            .map(|number| Port { number, protocol })
            .collect())
    }
}
