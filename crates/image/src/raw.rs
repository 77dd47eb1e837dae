//! A document and the exact bytes that it came from. Digests are of bytes; foreign JSON is never
//! written anew.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Descriptor, Digest, Error};

/// A parsed document beside its exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw<T> {
    bytes: Vec<u8>,
    value: T,
}

impl<T: DeserializeOwned> Raw<T> {
    /// Parses `bytes`, and keeps them.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when they are not such a document.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self { bytes, value }),
            Err(e) => Err(Error::invalid(format!(
                "{} is not readable: {e}",
                std::any::type_name::<T>()
                    .rsplit(':')
                    .next()
                    .unwrap_or("document")
            ))),
        }
    }
}

impl<T: Serialize> Raw<T> {
    /// Writes a new document: compact JSON.
    pub fn new(value: T) -> Self {
        let bytes =
            serde_json::to_vec(&value).expect("the document types have string keys and no floats");
        Self { bytes, value }
    }
}

impl<T> Raw<T> {
    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The document.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Gives up the bytes.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    /// A descriptor of the bytes as `media_type`.
    pub fn descriptor(&self, media_type: impl Into<String>) -> Descriptor {
        Descriptor::of(media_type, &self.bytes)
    }
}

impl<T> std::ops::Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
