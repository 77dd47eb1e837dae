//! Whom to trust: the platform's certificates and those that an endpoint names. They are read at
//! the first handshake, not before: a plain registry on loopback needs none, and reading them takes
//! longer than a cached build.

use std::sync::{Arc, OnceLock};

use kiln_image::{Error, ErrorKind};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

/// A client configuration that trusts the platform, and `roots` (PEM).
pub(crate) fn config(roots: &[Vec<u8>]) -> Result<ClientConfig, Error> {
    let mut extra = Vec::new();
    for pem in roots {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            extra.push(certificate.map_err(|e| {
                Error::new(
                    ErrorKind::Invalid,
                    "a certificate of a registry's CA is not PEM",
                )
                .because(e)
            })?);
        }
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Lazy {
        provider: provider.clone(),
        roots: extra,
        inner: OnceLock::new(),
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(ErrorKind::Unsupported, "TLS cannot be set up").because(e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The platform's verifier, made when it is first needed.
#[derive(Debug)]
struct Lazy {
    provider: Arc<CryptoProvider>,
    roots: Vec<CertificateDer<'static>>,
    inner: OnceLock<Result<Verifier, TlsError>>,
}

impl Lazy {
    fn verifier(&self) -> Result<&Verifier, TlsError> {
        let made = self.inner.get_or_init(|| {
            Verifier::new_with_extra_roots(self.roots.iter().cloned(), self.provider.clone())
        });
        made.as_ref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Lazy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        // A registry's own certificate, given as its CA, as docker's manual has people do: it marks
        // itself as a CA, and no path leads to it. It is pinned byte for byte; its name must fit.
        if self.roots.iter().any(|root| root == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.verifier()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
