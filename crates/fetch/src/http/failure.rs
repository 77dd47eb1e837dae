//! What went wrong in one try, and whether another is worth it.

use std::{error::Error as StdError, io};

use reqwest::{Response, Url};

use super::{address::shown, headers, retry::Retry};
use crate::{Error, ErrorKind};

/// One try that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry: Retry,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry: Retry::No,
        }
    }
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, url: &Url, why: impl std::fmt::Display) -> Self {
        Error::new(kind, format!("`{}`: {why}", shown(url))).into()
    }

    pub(super) fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    fn hint(mut self, hint: &str) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    /// A connection that never came about, or broke.
    pub(super) fn connection(e: reqwest::Error, url: &Url) -> Self {
        let e = e.without_url();
        let (why, retry) = told(&e);
        let what = format!("cannot be reached: {why}");
        let mut failure = Self::new(ErrorKind::Unreachable, url, what).retry(retry);
        failure.error = failure.error.because(e);
        failure
    }

    /// An answer with a status that is not the one hoped for.
    pub(super) fn answer(response: &Response) -> Self {
        let status = response.status();
        let (kind, retry) = match status.as_u16() {
            401 | 403 | 407 => (ErrorKind::Denied, Retry::No),
            404 | 410 => (ErrorKind::NotFound, Retry::No),
            408 | 425 | 429 | 500 | 502..=599 => {
                let asked = headers::retry_after(response.headers());
                (
                    ErrorKind::Unreachable,
                    asked.map_or(Retry::Soon, Retry::After),
                )
            }
            _ => (ErrorKind::Refused, Retry::No),
        };
        let what = format!("the answer is {status}");
        let failure = Self::new(kind, response.url(), what).retry(retry);
        match kind {
            ErrorKind::Denied => failure.hint(
                "give a token with `--secret id=HTTP_AUTH_TOKEN_<host>`, if there is one for this address",
            ),
            _ => failure,
        }
    }
}

/// What the chain of causes of a failed connection comes to.
fn told(e: &reqwest::Error) -> (String, Retry) {
    let mut retry = match e.is_builder() {
        true => Retry::No,
        false => Retry::Soon,
    };
    let mut why = e.to_string();
    let mut next: Option<&(dyn StdError + 'static)> = Some(e);
    while let Some(cause) = next {
        why = cause.to_string();
        if cause.downcast_ref::<rustls::Error>().is_some() {
            retry = Retry::No;
        }
        next = match cause.downcast_ref::<io::Error>() {
            Some(io) => {
                if io.kind() == io::ErrorKind::ConnectionRefused {
                    return ("connection refused".to_owned(), Retry::Once);
                }
                // An `io::Error` hides the error inside it from its own chain.
                io.get_ref().map(|inner| inner as _)
            }
            None => cause.source(),
        };
    }
    if e.is_connect() && why.contains("lookup") {
        return ("the name of the host is not known".to_owned(), Retry::Once);
    }
    if e.is_timeout() {
        why = "the connection timed out".to_owned();
    }
    (why, retry)
}
