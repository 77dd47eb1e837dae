//! One JSON object a line on standard input, one on standard output, in order: how editors and
//! scripts ask many questions of one process. A line that cannot be read is answered by
//! `{"error": "…"}`, and the next one is read; nothing ends the loop but the end of the input.

use std::{
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Answers every line by `answer`, each at once: who asks may wait for it before asking again.
pub(crate) fn answer<Q: DeserializeOwned>(
    mut answer: impl FnMut(Q) -> Value,
) -> Result<ExitCode, Failure> {
    let mut input = io::stdin().lock();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|e| Failure::new("read standard input").because(&e))? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let said = match serde_json::from_slice(&line) {
            Ok(question) => answer(question),
            Err(e) => error(&e.to_string()),
        };
        match writeln!(out, "{said}").and_then(|()| out.flush()) {
            // Who asked is gone, and with it the need for answers.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(e) => return Err(Failure::new("write to standard output").because(&e)),
            Ok(()) => {}
        }
    }
}

/// An answer that says what is wrong with the question.
pub(crate) fn error(what: &str) -> Value {
    json!({ "error": what })
}
