//! Bytes in JSON: base 64, as Go's encoding writes them.

use base64::{Engine, engine::general_purpose::STANDARD};

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn append(bytes: &[u8], to: &mut String) {
    STANDARD.encode_string(bytes, to);
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
