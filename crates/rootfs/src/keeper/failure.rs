//! An [`Error`] that crosses from one process to the other: kind, words, path, hint, and the chain of
//! its causes, of which the system's own keep their numbers.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: u8,
    /// Which needle was found, where that is what happened.
    needle: Option<usize>,
    what: String,
    path: Option<Vec<u8>>,
    hint: Option<String>,
    causes: Vec<Cause>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cause {
    text: String,
    number: Option<i32>,
}

/// The kinds, by their numbers on the wire.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Io,
    ErrorKind::Unsupported,
    ErrorKind::NotFound,
    ErrorKind::Mismatch,
    ErrorKind::User,
    ErrorKind::TooManyLayers,
    ErrorKind::Layer,
    ErrorKind::Store,
];

impl From<&Error> for Failure {
    fn from(e: &Error) -> Self {
        let place = KINDS.iter().position(|kind| *kind == e.kind());
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(e);
        while let Some(cause) = next {
            let number = cause.downcast_ref::<io::Error>();
            causes.push(Cause {
                text: cause.to_string(),
                number: number.and_then(io::Error::raw_os_error),
            });
            next = cause.source();
        }
        let needle = match e.kind() {
            ErrorKind::Sighted(needle) => Some(needle),
            _ => None,
        };
        Self {
            needle,
            kind: place.and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
            what: e.what().to_owned(),
            path: e.path().map(|path| path.as_os_str().as_bytes().to_vec()),
            hint: e.hint_text().map(str::to_owned),
            causes,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = KINDS.get(usize::from(failure.kind)).copied();
        let sighted = failure.needle.map(ErrorKind::Sighted);
        let mut error = Error::new(sighted.or(kind).unwrap_or(ErrorKind::Io), failure.what);
        if let Some(path) = failure.path {
            error = error.at(std::ffi::OsString::from_vec(path));
        }
        if let Some(hint) = failure.hint {
            error = error.hint(hint);
        }
        let mut source: Option<Box<dyn std::error::Error + Send + Sync>> = None;
        for cause in failure.causes.into_iter().rev() {
            source = Some(match cause.number {
                Some(number) => Box::new(io::Error::from_raw_os_error(number)),
                None => Box::new(Told {
                    text: cause.text,
                    source,
                }),
            });
        }
        match source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}

/// A cause of which only the words came over.
#[derive(Debug)]
struct Told {
    text: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Told {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way() {
        let full = io::Error::from_raw_os_error(28);
        let layer = kiln_layer::Error::new(kiln_layer::ErrorKind::Io, "write the file");
        for kind in KINDS.into_iter().chain([ErrorKind::Sighted(3)]) {
            let error = Error::new(kind, "unpack a layer to")
                .at("/a\u{e4}")
                .hint("make room")
                .because(layer_with(&layer, &full));
            let wire = serde_json::to_string(&Failure::from(&error)).unwrap();
            let failure: Failure = serde_json::from_str(&wire).unwrap();
            let same = Error::from(failure);
            assert_eq!((same.kind(), same.to_string()), (kind, error.to_string()));
            assert_eq!(
                (same.path(), same.hint_text()),
                (error.path(), error.hint_text())
            );
            let cause = std::error::Error::source(&same).unwrap();
            assert_eq!(cause.to_string(), "write the file");
            let root = cause.source().unwrap().downcast_ref::<io::Error>();
            assert_eq!(root.and_then(io::Error::raw_os_error), Some(28));
        }
    }

    fn layer_with(layer: &kiln_layer::Error, cause: &io::Error) -> kiln_layer::Error {
        let number = cause.raw_os_error().unwrap();
        kiln_layer::Error::new(layer.kind(), layer.to_string())
            .because(io::Error::from_raw_os_error(number))
    }
}
