//! Failures as people see them: what, why, and what next; and the exit code.

use std::{fmt::Write as _, process::ExitCode};

use crate::{excerpt, host};

/// The exit code of what was told to stop, as shells give it for Ctrl-C.
const CANCELED: u8 = 130;

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// What was drawn of a Dockerfile: shown before the message, or instead of it.
    drawn: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with a message; exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            drawn: None,
            code: 1,
        }
    }

    /// The same with its cause.
    pub(crate) fn because(mut self, cause: &dyn std::error::Error) -> Self {
        self.causes.push(cause.to_string());
        self.causes.extend(chain(cause));
        self
    }

    /// The same with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with something said before its message. Who asked to stop knows what was going on.
    pub(crate) fn before(mut self, what: &str) -> Self {
        if self.code != CANCELED {
            self.message.insert_str(0, what);
        }
        self
    }

    /// The same with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// A failed build, with what it says of the Dockerfile `text` drawn beside its lines.
    pub(crate) fn build(e: &kiln_build::Error, file: &str, text: &str) -> Self {
        let mut failure = Self::from_build(e);
        if !e.reports().is_empty() {
            let drawn: Vec<String> = e
                .reports()
                .iter()
                .map(|r| excerpt::report(r, file, text))
                .collect();
            failure.drawn = Some(drawn.join("\n\n"));
            failure.message.clear();
        } else if let Some(place) = e.place() {
            failure.drawn = Some(excerpt::error(
                &failure.message,
                e.hint_text(),
                place,
                file,
                text,
            ));
            failure.message.clear();
            failure.hint = None;
        }
        failure
    }

    /// A failed build in docker's words, which stand alone on their line: others look for them.
    pub(crate) fn as_docker(what: &str, e: &kiln_build::Error, file: &str, text: &str) -> Self {
        let mut failure = Self::new("");
        failure.drawn = Some(match e.place() {
            Some(place) => excerpt::unnamed(what, e.hint_text(), place, file, text),
            None => what.to_owned(),
        });
        failure
    }

    fn from_build(e: &kiln_build::Error) -> Self {
        let mut failure = Self::new(e.to_string());
        failure.causes = chain(e);
        failure.hint = e.hint_text().map(str::to_owned);
        match e.kind() {
            kiln_build::ErrorKind::Canceled => failure.code(CANCELED),
            _ => failure,
        }
    }

    /// Says it on standard error, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let text = self.text();
        if !text.is_empty() {
            host::say(&text);
        }
        ExitCode::from(self.code)
    }

    /// All of it: what, why, and what next.
    pub(crate) fn text(&self) -> String {
        let mut text = self.drawn.clone().unwrap_or_default();
        if !self.message.is_empty() {
            let _ = write!(text, "error: {}", self.message);
        }
        // What was drawn begins with the message.
        let mut said = match self.message.as_str() {
            "" => self.drawn.as_deref().unwrap_or_default(),
            message => message,
        };
        for cause in &self.causes {
            // Where the message has the words of its cause, it has told it already.
            if !told(said, cause) {
                let _ = write!(text, "\n  because: {cause}");
            }
            said = cause;
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n  hint: {hint}");
        }
        text
    }
}

/// Whether the words of a cause, but for the system's number of it, stand in what was said.
fn told(said: &str, cause: &str) -> bool {
    let words = cause.split(" (os error").next().unwrap_or_default();
    said.to_lowercase().contains(&words.to_lowercase())
}

/// The causes of an error, nearest first.
fn chain(e: &dyn std::error::Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut at = e.source();
    while let Some(cause) = at {
        causes.push(cause.to_string());
        at = cause.source();
    }
    causes
}

impl From<kiln_build::Error> for Failure {
    fn from(e: kiln_build::Error) -> Self {
        Self::from_build(&e)
    }
}

impl From<kiln_build::store::Error> for Failure {
    fn from(e: kiln_build::store::Error) -> Self {
        kiln_build::Error::from(e).into()
    }
}

impl From<kiln_build::image::Error> for Failure {
    fn from(e: kiln_build::image::Error) -> Self {
        kiln_build::Error::from(e).into()
    }
}

impl From<kiln_build::sandbox::Error> for Failure {
    fn from(e: kiln_build::sandbox::Error) -> Self {
        let mut failure = Failure::new(e.to_string());
        failure.causes = chain(&e);
        failure
    }
}

impl From<crate::template::Error> for Failure {
    fn from(e: crate::template::Error) -> Self {
        Failure::new(e.to_string()).code(64)
    }
}

impl From<kiln_container::Error> for Failure {
    fn from(e: kiln_container::Error) -> Self {
        let mut failure = Self::new(e.to_string());
        failure.causes = chain(&e);
        failure.hint = e.hint_text().map(str::to_owned);
        failure
    }
}
