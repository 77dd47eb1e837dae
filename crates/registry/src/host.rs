//! Where a registry's name leads: endpoints, their scheme, and whom they are trusted by. Refuses to
//! try plain HTTP where nobody said so; loopback alone is plain by default.

use std::{fmt, net::IpAddr};

use kiln_image::{Error, ErrorKind};
use reqwest::Url;

use crate::Identity;

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

/// Which requests an endpoint is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serves {
    /// All.
    #[default]
    All,
    /// Pulls: a mirror.
    Pulls,
    /// Pulls, and what a tag stands for, but not what a digest stands for.
    Tags,
    /// Pulls, and what a digest stands for, but not what a tag stands for.
    Digests,
    /// Pushes.
    Pushes,
}

/// One place that answers for a registry.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) url: Url,
    pub(crate) name: String,
    pub(crate) serves: Serves,
    pub(crate) trust: Trust,
    /// Whether plain HTTP is spoken where there is no TLS.
    either: bool,
    /// What the repository is called there, where that is not its name.
    repository: Option<String>,
}

/// Whom an endpoint is trusted by, and as whom it is shown to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Certificates of CAs beside the platform's, as PEM.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) identity: Option<Identity>,
    /// Whether certificates are verified at all.
    pub(crate) verify: bool,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.len())
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint at `http[s]://host[:port][/prefix]`, where repositories lie below
    /// `/prefix/v2/`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when that is not such a URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let parsed = Url::parse(url);
        let bad = |why: &str| {
            // A password may stand where the URL is broken.
            let part = url.rsplit('@').next().unwrap_or(url).escape_debug();
            Error::new(
                ErrorKind::Invalid,
                format!("registry endpoint `{part}`: {why}"),
            )
        };
        let mut parsed = parsed.map_err(|e| bad(&e.to_string()))?;
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
            serves: Serves::All,
            trust: Trust {
                roots: Vec::new(),
                identity: None,
                verify: true,
            },
            either: false,
            repository: None,
        })
    }

    /// The same endpoint, asked when pulling and never pushed to: a mirror.
    #[must_use]
    pub fn pull_only(self) -> Self {
        self.serving(Serves::Pulls)
    }

    /// The same endpoint, asked these requests only.
    #[must_use]
    pub fn serving(mut self, serves: Serves) -> Self {
        self.serves = serves;
        self
    }

    /// The same endpoint, trusted also when a certificate in `pem` vouches for it.
    #[must_use]
    pub fn trusting(mut self, pem: Vec<u8>) -> Self {
        self.trust.roots.push(pem);
        self
    }

    /// The same endpoint, to which `identity` is shown where it asks for a certificate.
    #[must_use]
    pub fn showing(mut self, identity: Identity) -> Self {
        self.trust.identity = Some(identity);
        self
    }

    /// The same endpoint, whoever it is: certificates are not verified, and where there is no TLS,
    /// plain HTTP is spoken. Which of both is asked once.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.trust.verify = false;
        self.either = true;
        self
    }

    /// The same endpoint, with the credentials of the registry `name`.
    #[must_use]
    pub fn known_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same endpoint, where the repository that is asked for has another name.
    #[must_use]
    pub fn calling(mut self, repository: impl Into<String>) -> Self {
        self.repository = Some(repository.into());
        self
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What `repository` is called there.
    pub(crate) fn repository(&self, repository: &str) -> String {
        self.repository.as_deref().unwrap_or(repository).to_owned()
    }

    /// Whether it has to be found out which scheme it speaks.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.either && self.url.scheme() == "https"
    }

    /// The same endpoint over plain HTTP.
    pub(crate) fn without_tls(mut self) -> Self {
        // Between these two schemes it cannot fail.
        let _ = self.url.set_scheme("http");
        self.either = false;
        self
    }

    /// `…/v2/`.
    pub(crate) fn base(&self) -> Url {
        let mut url = self.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/v2/"));
        url
    }

    /// `…/v2/<repository>/<rest>`.
    pub(crate) fn at(&self, repository: &str, rest: &str) -> Url {
        let mut url = self.base();
        let base = url.path().to_owned();
        url.set_path(&format!("{base}{repository}/{rest}"));
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
pub(crate) fn is_loopback(registry: &str) -> bool {
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
        let e = Endpoint::new("https://me:hunter2@x.y:port").unwrap_err();
        assert!(!e.to_string().contains("hunter2"), "{e}");
    }

    #[test]
    fn shown_urls_have_no_secrets() {
        let url = Url::parse("https://me:pw@x.y/a?token=t#f").unwrap();
        assert_eq!(shown(&url), "https://x.y/a");
    }
}
