//! Who one is at a registry. Refuses to show itself: `Debug` prints `****`, and there is no `Display`.

use std::fmt;

use kiln_image::Error;

/// A password or a token. Taken out only by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// What a registry, or the token server that it names, is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, which a token server changes into access tokens (OAuth 2).
    Identity(Secret),
    /// An access token, sent as it is.
    Bearer(Secret),
}

/// Where credentials come from.
pub trait Credentials: Send + Sync {
    /// The credential for a repository of a registry (`docker.io`, `host:port`); `None` is
    /// anonymous. May block: it is called on a thread that waits for nothing else, and only once a
    /// registry has asked.
    ///
    /// # Errors
    /// When credentials are configured and cannot be had.
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error>;
}

/// No credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Credential>, Error> {
        Ok(None)
    }
}
