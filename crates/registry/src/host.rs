//! Where a registry's name leads: endpoints, their scheme, and whom they are trusted by. Refuses to
//! try plain HTTP where nobody said so; loopback alone is plain by default.

use std::net::IpAddr;

use kiln_image::{Error, ErrorKind};
use reqwest::Url;

/// The endpoints of a registry, in the order in which a pull tries them.
#[derive(Clone, Debug)]
pub struct Host {
    /// At least one; mirrors first, the registry itself last.
    pub endpoints: Vec<Endpoint>,
}

impl Host {
    /// What a name means without any configuration: `docker.io` is `registry-1.docker.io`; loopback
    /// (`localhost`, 127.0.0.0/8, `::1`) is plain HTTP; all else is HTTPS.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when `registry` is not a `host[:port]`.
    pub fn standard(registry: &str) -> Result<Self, Error> {
        let host = match registry {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        Self::with_scheme(scheme, host, registry)
    }

    /// A registry that is spoken to over plain HTTP, because somebody said so.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when `registry` is not a `host[:port]`.
    pub fn plain(registry: &str) -> Result<Self, Error> {
        Self::with_scheme("http", registry, registry)
    }

    fn with_scheme(scheme: &str, host: &str, name: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::new(&format!("{scheme}://{host}"))?.known_as(name);
        Ok(Self {
            endpoints: vec![endpoint],
        })
    }
}

/// One place that answers for a registry.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) url: Url,
    pub(crate) name: String,
    pub(crate) push: bool,
    pub(crate) roots: Vec<Vec<u8>>,
}

impl Endpoint {
    /// An endpoint at `http[s]://host[:port][/prefix]`, where repositories lie below
    /// `/prefix/v2/`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when that is not such a URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::new(
                ErrorKind::Invalid,
                format!("registry endpoint `{url}`: {why}"),
            )
        };
        let mut parsed = Url::parse(url).map_err(|e| bad(&e.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("the scheme is neither `http` nor `https`"));
        }
        let Some(host) = parsed.host_str().map(str::to_owned) else {
            return Err(bad("there is no host"));
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the endpoint for `{host}` has a password in it"),
            )
            .hint("credentials belong into `config.json` or `auth.json`"));
        }
        parsed.set_query(None);
        parsed.set_fragment(None);
        let name = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        Ok(Self {
            url: parsed,
            name,
            push: true,
            roots: Vec::new(),
        })
    }

    /// The same endpoint, asked when pulling and never pushed to: a mirror.
    #[must_use]
    pub fn pull_only(mut self) -> Self {
        self.push = false;
        self
    }

    /// The same endpoint, trusted also when a certificate in `pem` vouches for it.
    #[must_use]
    pub fn trusting(mut self, pem: Vec<u8>) -> Self {
        self.roots.push(pem);
        self
    }

    /// The same endpoint, with the credentials of the registry `name`.
    #[must_use]
    pub fn known_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// `…/v2/<repository>/<rest>`.
    pub(crate) fn at(&self, repository: &str, rest: &str) -> Url {
        let mut url = self.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/v2/{repository}/{rest}"));
        url
    }

    /// Whether `url` is the same scheme, host and port: only there are credentials shown.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.url.scheme() == url.scheme()
            && self.url.host_str() == url.host_str()
            && self.url.port_or_known_default() == url.port_or_known_default()
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.url.host_str().is_some_and(is_loopback)
    }
}

/// Whether `host[:port]` never leaves this machine.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A URL as it may be shown: no password, no query (which is where signatures and states travel).
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have a user, and those have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_endpoints() {
        for (name, url) in [
            (
                "docker.io",
                "https://registry-1.docker.io/v2/a/b/manifests/x",
            ),
            ("ghcr.io", "https://ghcr.io/v2/a/b/manifests/x"),
            ("localhost", "http://localhost/v2/a/b/manifests/x"),
            ("localhost:5000", "http://localhost:5000/v2/a/b/manifests/x"),
            ("127.1.2.3:1", "http://127.1.2.3:1/v2/a/b/manifests/x"),
            ("[::1]:5000", "http://[::1]:5000/v2/a/b/manifests/x"),
            ("localhost.x.y", "https://localhost.x.y/v2/a/b/manifests/x"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/v2/a/b/manifests/x"),
        ] {
            let host = Host::standard(name).unwrap();
            assert_eq!(host.endpoints[0].at("a/b", "manifests/x").as_str(), url);
            assert_eq!(host.endpoints[0].name, name);
        }
        let prefixed = Endpoint::new("https://x.y/cache/").unwrap();
        assert_eq!(
            prefixed.at("a", "tags/list").path(),
            "/cache/v2/a/tags/list"
        );
        assert!(Endpoint::new("ftp://x").is_err());
        let e = Endpoint::new("https://me:hunter2@x.y").unwrap_err();
        assert!(!e.to_string().contains("hunter2"), "{e}");
    }

    #[test]
    fn shown_urls_have_no_secrets() {
        let url = Url::parse("https://me:pw@x.y/a?token=t#f").unwrap();
        assert_eq!(shown(&url), "https://x.y/a");
    }
}
