//! Whom to trust, and whom to be: the platform's certificates, those that an endpoint names, and a
//! client's own. The platform's are read at the first handshake, not before: a plain registry on
//! loopback needs none, and reading them takes longer than a cached build.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use kiln_image::{Error, ErrorKind};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

use crate::host::Trust;

/// A client's own certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that lead from it to the CA (DER).
    chain: Vec<Vec<u8>>,
    /// The private key (PEM).
    key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(****)")
    }
}

impl Identity {
    /// From a certificate and its private key, both PEM.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when one of them is not what it should be; a key that is
    /// encrypted is none.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates(certificate)?;
        PrivateKeyDer::from_pem_slice(key).map_err(|e| {
            Error::new(ErrorKind::Invalid, "there is no private key in it")
                .because(e)
                .hint("it has to be PEM, and not encrypted")
        })?;
        Ok(Self {
            chain: chain.iter().map(|c| c.to_vec()).collect(),
            key: key.to_owned(),
        })
    }
}

/// The certificates in `pem`, of which there is one at least.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found =
        found.map_err(|e| Error::new(ErrorKind::Invalid, "a certificate is not PEM").because(e))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::new(
            ErrorKind::Invalid,
            "there is no certificate in it",
        )),
    }
}

/// A client configuration for an endpoint.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, Error> {
    let mut roots = Vec::new();
    for pem in &trust.roots {
        roots.extend(certificates(pem)?);
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Lazy {
        provider: provider.clone(),
        roots,
        verify: trust.verify,
        inner: OnceLock::new(),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(ErrorKind::Unsupported, "TLS cannot be set up").because(e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(identity) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let unusable = "a client certificate cannot be used";
    let chain = identity.chain.iter().cloned().map(Into::into).collect();
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|e| Error::new(ErrorKind::Invalid, unusable).because(e))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|e| Error::new(ErrorKind::Invalid, unusable).because(e))
}

/// The platform's verifier, made when it is first needed.
#[derive(Debug)]
struct Lazy {
    provider: Arc<CryptoProvider>,
    roots: Vec<CertificateDer<'static>>,
    /// Whether anybody may be at the other end where this is false.
    verify: bool,
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
        if !self.verify {
            return Ok(ServerCertVerified::assertion());
        }
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
