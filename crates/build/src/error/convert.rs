//! The errors of the crates beneath, as errors of a build: the kind is translated, words and causes
//! are kept.

use crate::{Error, ErrorKind};

/// The causes of an error as one, without the error itself.
fn cause(e: &dyn std::error::Error) -> Option<String> {
    let mut text = String::new();
    let mut at = e.source();
    while let Some(inner) = at {
        let said = inner.to_string();
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&said);
        at = inner.source();
    }
    (!text.is_empty()).then_some(text)
}

/// What the last of the causes of an error says.
fn deepest(e: &dyn std::error::Error) -> Option<String> {
    let mut at = e.source()?;
    while let Some(inner) = at.source() {
        at = inner;
    }
    Some(at.to_string())
}

fn translated(e: &dyn std::error::Error, kind: ErrorKind, hint: Option<&str>) -> Error {
    let mut error = Error::new(kind, e.to_string());
    if let Some(cause) = cause(e) {
        error = error.because(cause);
    }
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl From<kiln_fetch::Error> for Error {
    fn from(e: kiln_fetch::Error) -> Self {
        use kiln_fetch::ErrorKind as K;
        let kind = match e.kind() {
            K::Invalid | K::Refused => ErrorKind::Input,
            K::NotFound => ErrorKind::NotFound,
            K::Denied => ErrorKind::Denied,
            K::Unreachable => ErrorKind::Unreachable,
            K::Mismatch => ErrorKind::Mismatch,
            K::Unsupported => ErrorKind::Unsupported,
            K::Canceled => ErrorKind::Canceled,
            _ => ErrorKind::Io,
        };
        translated(&e, kind, e.hint_text())
    }
}

impl From<kiln_image::Error> for Error {
    fn from(e: kiln_image::Error) -> Self {
        use kiln_image::ErrorKind as K;
        let kind = match e.kind() {
            K::Invalid => ErrorKind::Input,
            K::NotFound => ErrorKind::NotFound,
            K::Denied => ErrorKind::Denied,
            K::Unreachable => ErrorKind::Unreachable,
            K::Mismatch => ErrorKind::Mismatch,
            K::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        let error = translated(&e, kind, e.hint_text());
        match (kind, deepest(&e)) {
            // What lies between is how the connection was made; the last one says why it was not.
            (ErrorKind::Unreachable, Some(why)) => error.because(why),
            _ => error,
        }
    }
}

impl From<kiln_store::Error> for Error {
    fn from(e: kiln_store::Error) -> Self {
        use kiln_store::ErrorKind as K;
        let kind = match e.kind() {
            K::Invalid | K::Ambiguous => ErrorKind::Input,
            K::NotFound => ErrorKind::NotFound,
            K::Mismatch | K::Damaged => ErrorKind::Mismatch,
            K::Unsupported | K::Newer => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        translated(&e, kind, e.hint_text())
    }
}

impl From<kiln_layer::Error> for Error {
    fn from(e: kiln_layer::Error) -> Self {
        use kiln_layer::ErrorKind as K;
        let kind = match e.kind() {
            K::Invalid | K::Refused | K::Conflict | K::Loop => ErrorKind::Input,
            K::NotFound => ErrorKind::NotFound,
            K::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        translated(&e, kind, e.hint_text())
    }
}

impl From<kiln_rootfs::Error> for Error {
    fn from(e: kiln_rootfs::Error) -> Self {
        use kiln_rootfs::ErrorKind as K;
        let kind = match e.kind() {
            K::User | K::Layer => ErrorKind::Input,
            K::NotFound => ErrorKind::NotFound,
            K::Mismatch => ErrorKind::Mismatch,
            K::Unsupported | K::TooManyLayers => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        translated(&e, kind, e.hint_text())
    }
}

impl From<kiln_sandbox::Error> for Error {
    fn from(e: kiln_sandbox::Error) -> Self {
        let kind = match e.kind() {
            kiln_sandbox::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        translated(&e, kind, None)
    }
}
