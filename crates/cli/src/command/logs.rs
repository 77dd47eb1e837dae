//! `kiln logs`: what a container has written, each stream to our own of the same name.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Args;
use kiln_container::{Line, LogQuery, LogStream};

use super::each::containers;
use crate::{failure::Failure, moment};

#[derive(Args)]
pub(crate) struct Logs {
    /// Go on with what comes, until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last LINES lines, or `all`
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", value_parser = tail,
          allow_negative_numbers = true)]
    tail: Tail,
    /// Only what was written since: a date, seconds since 1970, or a duration before now as `10m`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written until: as `--since`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// Begin each line with the details that were kept with it; kiln keeps none, as docker does
    /// where nobody asks for them, and what is left of them is a blank
    #[arg(long)]
    details: bool,
    /// A container: its name or id
    container: String,
}

/// How many lines, all of them where there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<u64>);

fn tail(text: &str) -> Result<Tail, String> {
    if text == "all" || text.parse::<i64>().is_ok_and(|n| n < 0) {
        return Ok(Tail(None));
    }
    let lines = text.parse().map(|n| Tail(Some(n)));
    lines.map_err(|_| "it is a number of lines, or `all`".to_owned())
}

impl Logs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let time = |text: &Option<String>| -> Result<Option<u64>, Failure> {
            let time = text.as_deref().map(moment::parse).transpose()?;
            Ok(time.map(|t| u64::try_from(t.max(0)).unwrap_or(u64::MAX)))
        };
        let query = LogQuery {
            follow: self.follow,
            tail: self.tail.0,
            since: time(&self.since)?,
            until: time(&self.until)?,
        };
        let container = containers()?.get(&self.container)?;
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        for line in container.logs(&query)? {
            let line = line?;
            let to: &mut dyn Write = match line.stream {
                LogStream::Stdout => &mut out,
                LogStream::Stderr => &mut err,
            };
            let written = to.write_all(&self.shown(&line)).and_then(|()| to.flush());
            match written {
                // Who read along has seen enough.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
                Err(e) => return Err(Failure::new("write the logs").because(&e)),
                Ok(()) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A line as it was written, with what is to stand before it.
    fn shown(&self, line: &Line) -> Vec<u8> {
        let mut text = Vec::with_capacity(line.text.len() + 40);
        if self.timestamps {
            let time = moment::shown(line.time_nanos.into());
            text.extend_from_slice(time.as_bytes());
            text.push(b' ');
        }
        if self.details {
            text.push(b' ');
        }
        text.extend_from_slice(&line.text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        for (text, want) in [
            ("all", Some(None)),
            ("-1", Some(None)),
            ("0", Some(Some(0))),
            ("12", Some(Some(12))),
            ("some", None),
            ("", None),
        ] {
            assert_eq!(tail(text).ok(), want.map(Tail), "{text}");
        }
    }
}
