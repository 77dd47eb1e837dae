//! What a client has learnt about endpoints: where names lead, which of the insecure ones speak TLS,
//! and which mirrors cannot be reached. Nothing of it outlives the client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use kiln_image::{Error, ErrorKind};
use reqwest::Method;
use tokio::time::timeout;

use crate::{
    Endpoint, Host,
    failure::Failure,
    transport::{Ask, SILENCE, Shared, lock},
};

/// By URL, but for the hosts, which are by registry and repository.
#[derive(Default)]
pub(crate) struct Known {
    hosts: Mutex<HashMap<(String, String), Host>>,
    /// Which insecure endpoints speak TLS.
    secure: Mutex<HashMap<String, bool>>,
    /// Mirrors that could not be reached, and why: not asked again.
    gone: Mutex<HashMap<String, String>>,
}

impl Shared {
    /// The endpoints of a repository, asked for once.
    pub(crate) fn host(&self, registry: &str, repository: &str) -> Result<Host, Error> {
        let key = (registry.to_owned(), repository.to_owned());
        let mut hosts = lock(&self.known.hosts);
        if let Some(host) = hosts.get(&key) {
            return Ok(host.clone());
        }
        let host = (self.options.hosts)(registry, repository)?;
        if host.endpoints.is_empty() {
            return Err(Error::new(
                ErrorKind::Unreachable,
                format!("no endpoint is configured for registry `{registry}`"),
            ));
        }
        hosts.insert(key, host.clone());
        Ok(host)
    }

    /// An insecure endpoint with the scheme that it speaks: TLS where anything answers so.
    pub(crate) async fn settle(self: Arc<Self>, endpoint: Endpoint) -> Result<Endpoint, Error> {
        let key = endpoint.url().to_owned();
        let known = lock(&self.known.secure).get(&key).copied();
        let secure = match known {
            Some(secure) => secure,
            None => {
                let ask = Ask::new(Method::GET, endpoint.base());
                let sent = self.request(&endpoint, &ask).map_err(Failure::into_error)?;
                let secure = matches!(timeout(SILENCE, sent.send()).await, Ok(Ok(_)));
                lock(&self.known.secure).insert(key, secure);
                secure
            }
        };
        Ok(match secure {
            true => endpoint,
            false => endpoint.without_tls(),
        })
    }

    /// Why an endpoint is not asked any more.
    pub(crate) fn gone(&self, endpoint: &Endpoint) -> Option<String> {
        lock(&self.known.gone).get(endpoint.url()).cloned()
    }

    /// Has an endpoint not be asked any more.
    pub(crate) fn give_up(&self, endpoint: &Endpoint, why: &Error) {
        lock(&self.known.gone).insert(endpoint.url().to_owned(), why.to_string());
    }
}
