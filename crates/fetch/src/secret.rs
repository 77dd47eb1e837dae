//! What one shows to be let in. Refuses to show itself: `Debug` prints `****`, and there is no `Display`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

/// The value of an `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(String);

impl Authorization {
    /// The whole value of the header, as it is sent: `Bearer abc`.
    pub fn header(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// A token, shown as `Bearer`.
    pub fn bearer(token: &str) -> Self {
        Self(format!("Bearer {token}"))
    }

    /// A name and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        Self(format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}
