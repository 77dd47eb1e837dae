//! Operating system strings in JSON without loss: text where they are text, else their bytes.
//!
//! `serde` itself refuses a path that is not UTF-8, and images do have such names and variables.
//! Outside of unix such a string is refused here as well.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in the JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Bytes { bytes: Vec<u8> },
}

/// The two kinds of string that a specification holds.
pub(crate) trait Text: Sized {
    fn os(&self) -> &OsStr;
    fn new(text: OsString) -> Self;
}

impl Text for OsString {
    fn os(&self) -> &OsStr {
        self
    }
    fn new(text: OsString) -> Self {
        text
    }
}

impl Text for PathBuf {
    fn os(&self) -> &OsStr {
        self.as_os_str()
    }
    fn new(text: OsString) -> Self {
        text.into()
    }
}

fn wire(text: &OsStr) -> Result<Wire, &'static str> {
    match text.to_str() {
        Some(text) => Ok(Wire::Text(text.to_owned())),
        None => raw(text),
    }
}

fn unwire<T: Text>(wire: Wire) -> Result<T, &'static str> {
    match wire {
        Wire::Text(text) => Ok(T::new(text.into())),
        Wire::Bytes { bytes } => unraw(bytes).map(T::new),
    }
}

#[cfg(unix)]
fn raw(text: &OsStr) -> Result<Wire, &'static str> {
    use std::os::unix::ffi::OsStrExt;
    Ok(Wire::Bytes {
        bytes: text.as_bytes().to_vec(),
    })
}

#[cfg(unix)]
fn unraw(bytes: Vec<u8>) -> Result<OsString, &'static str> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn raw(_: &OsStr) -> Result<Wire, &'static str> {
    Err("a string that is not Unicode cannot be written on this platform")
}

#[cfg(not(unix))]
fn unraw(_: Vec<u8>) -> Result<OsString, &'static str> {
    Err("a string that is not Unicode cannot be read on this platform")
}

/// For `#[serde(with)]` on one string.
pub(crate) mod one {
    use super::*;

    pub(crate) fn serialize<T: Text, S: Serializer>(text: &T, to: S) -> Result<S::Ok, S::Error> {
        wire(text.os()).map_err(S::Error::custom)?.serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        unwire(Wire::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]` on a list.
pub(crate) mod many {
    use super::*;

    pub(crate) fn serialize<T: Text, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        let list: Result<Vec<Wire>, _> = list.iter().map(|text| wire(text.os())).collect();
        list.map_err(S::Error::custom)?.serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let list = Vec::<Wire>::deserialize(from)?.into_iter().map(unwire);
        list.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]` on a list of names and values.
pub(crate) mod pairs {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        list: &[(OsString, OsString)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let pair = |(name, value): &(OsString, OsString)| Ok((wire(name)?, wire(value)?));
        let list: Result<Vec<(Wire, Wire)>, &str> = list.iter().map(pair).collect();
        list.map_err(S::Error::custom)?.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(OsString, OsString)>, D::Error> {
        let list = Vec::<(Wire, Wire)>::deserialize(from)?.into_iter();
        list.map(|(name, value)| Ok((unwire(name)?, unwire(value)?)))
            .collect::<Result<_, &str>>()
            .map_err(D::Error::custom)
    }
}
