//! What went wrong in one try, and whether another is worth it. Becomes an [`Error`] with the URL,
//! the cause and the number of tries in it once patience has ended.

use std::{error::Error as StdError, io, time::Duration};

use kiln_image::{Error, ErrorKind};
use reqwest::{
    Response, StatusCode, Url,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;

use crate::host::shown;

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    No,
    /// It will most likely fail again: a refused connection, an unknown name.
    Once,
    Soon,
    After(Duration),
}

/// One try that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    why: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    url: Option<Box<Url>>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) retry: Retry,
    /// How many tries have failed in the end.
    pub(crate) tries: u32,
    /// An error that is complete as it is.
    whole: Option<Box<Error>>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self {
            kind,
            why: why.into(),
            hint: None,
            cause: None,
            url: None,
            status: None,
            retry: Retry::No,
            tries: 1,
            whole: None,
        }
    }

    pub(crate) fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, url: &Url) -> Self {
        self.url.get_or_insert_with(|| Box::new(url.clone()));
        self
    }

    pub(crate) fn kind_of(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure, after so many tries.
    pub(crate) fn after(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.whole.as_ref().map_or(self.kind, |e| e.kind())
    }

    /// A connection that never came about, or broke.
    pub(crate) fn connection(e: reqwest::Error, url: &Url) -> Self {
        let e = e.without_url();
        let told = Told::by(&e);
        let mut failure = Self::new(ErrorKind::Unreachable, told.why).at(url);
        failure.retry = told.retry;
        failure.hint = told.hint;
        failure.cause = Some(Box::new(e));
        failure
    }

    /// The other side has been silent for too long.
    pub(crate) fn silent(seconds: u64, url: &Url) -> Self {
        let why = format!("no answer for {seconds} s");
        Self::new(ErrorKind::Unreachable, why)
            .retry(Retry::Soon)
            .at(url)
    }

    /// An answer with a status that is not the one hoped for.
    pub(crate) async fn answer(response: Response) -> Self {
        let (status, url) = (response.status(), response.url().clone());
        let wait = retry_after(response.headers());
        let said = said(response).await;
        let (kind, retry) = match status.as_u16() {
            401 | 403 => (ErrorKind::Denied, Retry::No),
            404 => (ErrorKind::NotFound, Retry::No),
            405 | 413 | 415 | 501 => (ErrorKind::Unsupported, Retry::No),
            408 | 429 | 500 | 502..=599 => (
                ErrorKind::Unreachable,
                wait.map_or(Retry::Soon, Retry::After),
            ),
            _ => (ErrorKind::Invalid, Retry::No),
        };
        let mut why = format!("the answer is {status}");
        if !said.is_empty() {
            why.push_str(": ");
            why.push_str(&said);
        }
        let mut failure = Self::new(kind, why).retry(retry).at(&url);
        failure.status = Some(status);
        if status == StatusCode::TOO_MANY_REQUESTS {
            failure.hint = Some(
                "the registry limits how often it may be asked: wait, or log in with `kiln login`"
                    .to_owned(),
            );
        }
        failure
    }

    /// The error that a caller sees.
    pub(crate) fn into_error(self) -> Error {
        if let Some(whole) = self.whole {
            return *whole;
        }
        let mut what = String::new();
        match &self.url {
            Some(url) => {
                let host = url.host_str().unwrap_or("?");
                let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
                let verb = match (self.kind, self.status) {
                    (ErrorKind::Unreachable, None) => "cannot be reached: ",
                    _ => "",
                };
                what.push_str(&format!("registry `{host}{port}`: {verb}{}", self.why));
                what.push_str(&format!(" (`{}`", shown(url)));
                if self.tries > 1 {
                    what.push_str(&format!(", tried {} times", self.tries));
                }
                what.push(')');
            }
            None => what.push_str(&self.why),
        }
        let mut error = Error::new(self.kind, what);
        if let Some(hint) = self.hint {
            error = error.hint(hint);
        }
        match self.cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self {
            whole: Some(Box::new(e)),
            ..Self::new(ErrorKind::Io, "")
        }
    }
}

const PLAIN: &str = "it may speak plain HTTP, not HTTPS";

/// What the chain of causes of a failed connection comes to.
struct Told {
    why: String,
    retry: Retry,
    hint: Option<String>,
}

impl Told {
    fn by(e: &reqwest::Error) -> Self {
        let mut told = Self {
            why: e.to_string(),
            retry: Retry::Soon,
            hint: None,
        };
        if e.is_redirect() || e.is_builder() {
            told.retry = Retry::No;
        }
        let mut next: Option<&(dyn StdError + 'static)> = Some(e);
        while let Some(cause) = next {
            told.look(cause);
            next = match cause.downcast_ref::<io::Error>() {
                // An `io::Error` hides the error inside it from its own chain.
                Some(io) => io.get_ref().map(|inner| inner as _),
                None => cause.source(),
            };
        }
        if told.why.contains("tls handshake eof") {
            told.why = "the connection was closed during the TLS handshake".to_owned();
            told.hint = Some(PLAIN.to_owned());
            told.retry = Retry::Once;
        }
        if e.is_connect() && told.why.contains("lookup") {
            told.why = "the name of the host is not known".to_owned();
            told.retry = Retry::Once;
        }
        if e.is_timeout() {
            told.why = "the connection timed out".to_owned();
        }
        told
    }

    fn look(&mut self, cause: &(dyn StdError + 'static)) {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            self.why = match io.kind() {
                io::ErrorKind::ConnectionRefused => {
                    self.retry = Retry::Once;
                    "connection refused".to_owned()
                }
                io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                    "the connection broke".to_owned()
                }
                io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
                _ => io.to_string(),
            };
        } else if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            self.why = tls.to_string();
            match tls {
                rustls::Error::InvalidCertificate(_) => self.retry = Retry::No,
                rustls::Error::InvalidMessage(_) => {
                    self.retry = Retry::No;
                    self.hint = Some(PLAIN.to_owned());
                }
                _ => {}
            }
        } else {
            self.why = cause.to_string();
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// The errors of a distribution API (distribution-spec, "Error Codes").
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What the body says, on one line; nothing where it is not such a document.
async fn said(mut response: Response) -> String {
    const MOST: usize = 64 << 10;
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return String::new();
        }
    }
    let Ok(parsed) = serde_json::from_slice::<Errors>(&body) else {
        return String::new();
    };
    let said: Vec<String> = parsed.errors.iter().take(3).map(Item::line).collect();
    said.join("; ")
}

impl Item {
    /// The message, or the code where there is none; foreign text, so without control characters
    /// and not too long.
    fn line(&self) -> String {
        let text = match (self.message.as_str(), self.code.as_str()) {
            ("", code) => code.to_lowercase().replace('_', " "),
            (message, _) => message.to_owned(),
        };
        text.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}
