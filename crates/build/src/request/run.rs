//! What the RUNs of a build are given beside their files: secrets and agents, asked for while a step
//! runs. Refuses to print a secret, and to be a part of a [`Step`](crate::Step).

use std::{
    fmt,
    io::{Read, Write},
    net::IpAddr,
    sync::Arc,
};

use kiln_sandbox::Limits;
use zeroize::Zeroizing;

use crate::{Allow, Error, Network};

/// What the RUNs of a build are given, and what is allowed of them.
pub struct RunSettings {
    /// Who knows secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Who leads to agents.
    pub agents: Arc<dyn Agents>,
    /// A layer may contain the value of a secret.
    pub allow_secret_in_layer: bool,
    /// The network of those that do not say which.
    pub network: Network,
    /// What they may do beyond the usual.
    pub allow: Allow,
    /// How much each of them may use. In no key.
    pub limits: Limits,
    /// More lines of their `/etc/hosts`: name and address. In no key.
    pub hosts: Vec<(String, IpAddr)>,
}

impl Default for RunSettings {
    /// No secrets, and no agents.
    fn default() -> Self {
        Self {
            secrets: Arc::new(Nothing),
            agents: Arc::new(Nothing),
            allow_secret_in_layer: false,
            network: Network::Default,
            allow: Allow::default(),
            limits: Limits::default(),
            hosts: Vec::new(),
        }
    }
}

/// The value of a secret: overwritten when it is dropped, and printed as `****`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Who knows secrets: the flags of a command line, or a remote client.
pub trait Secrets: Send + Sync {
    /// The secret that is known as `id`; `None` where there is none.
    ///
    /// # Errors
    /// When it is known and cannot be read.
    fn get(&self, id: &str) -> Result<Option<Secret>, Error>;

    /// By what names there are secrets, in any order.
    fn ids(&self) -> Vec<String>;
}

/// Who leads to SSH agents.
pub trait Agents: Send + Sync {
    /// A new connection to the agent that is known as `id`; `None` where there is none.
    ///
    /// # Errors
    /// When it is known and does not answer.
    fn connect(&self, id: &str) -> Result<Option<Box<dyn Talk>>, Error>;

    /// Whether there is an agent that is known as `id`.
    fn has(&self, id: &str) -> bool;
}

/// A connection: what is written to it, somebody reads, and answers.
pub trait Talk: Read + Write + Send {}

impl<T: Read + Write + Send> Talk for T {}

/// Knows no secret, and leads to no agent.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Secrets for Nothing {
    fn get(&self, _: &str) -> Result<Option<Secret>, Error> {
        Ok(None)
    }

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Agents for Nothing {
    fn connect(&self, _: &str) -> Result<Option<Box<dyn Talk>>, Error> {
        Ok(None)
    }

    fn has(&self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(*b"hunter2");
        assert_eq!(format!("{secret:?}"), "****");
        assert_eq!(secret.bytes(), b"hunter2");
    }
}
