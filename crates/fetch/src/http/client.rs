//! A connection's settings: whom to trust, which proxy. Refuses to follow redirects by itself.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::address;
use crate::{Error, ErrorKind, Options};

const CONNECT: Duration = Duration::from_secs(20);

/// One for `url`. The certificates of the machine are read for HTTPS only: that takes a while.
pub(super) fn client(options: &Options, url: &Url) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(options.user_agent.as_str())
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .tls_backend_preconfigured(tls(options, url)?);
    if address::is_loopback(url) {
        builder = builder.no_proxy();
    }
    let failed = |e| Error::new(ErrorKind::Io, "set up an HTTP client").because(e);
    builder.build().map_err(failed)
}

fn tls(options: &Options, url: &Url) -> Result<ClientConfig, Error> {
    let failed = |e: rustls::Error| Error::new(ErrorKind::Io, "set up TLS").because(e);
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    // A proxy may speak HTTPS where the other side does not.
    let proxied = !address::is_loopback(url) && names_proxy();
    if url.scheme() == "http" && !proxied {
        let nobody = RootCertStore::empty();
        return Ok(config.with_root_certificates(nobody).with_no_client_auth());
    }
    let mut roots = Vec::new();
    for pem in &options.roots {
        let found: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(pem).collect();
        roots.extend(
            found.map_err(|e| {
                Error::new(ErrorKind::Invalid, "a certificate is not PEM").because(e)
            })?,
        );
    }
    let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(failed)?;
    let config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

fn names_proxy() -> bool {
    let names = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    names.iter().any(|name| std::env::var_os(name).is_some())
}
