//! Writing: questions about blobs, the beginning and the end of an upload, and manifests. The bytes
//! of blobs are the subject of `upload`.

use std::sync::Arc;

use bytes::Bytes;
use kiln_image::{Digest, Error, ErrorKind};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE},
};

use crate::{
    Endpoint,
    auth::Scope,
    failure::Failure,
    transport::{Ask, Shared},
};

/// A manifest or an index on its way.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) scope: Scope,
    pub(crate) repository: String,
    pub(crate) media_type: String,
    /// A tag or a digest.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// Puts a manifest (distribution-spec, "Pushing Manifests").
pub(crate) async fn manifest(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    put: Manifest,
) -> Result<(), Error> {
    let url = endpoint.at(&put.repository, &format!("manifests/{}", put.name));
    let kind = HeaderValue::try_from(put.media_type.as_str()).map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            format!("`{}` is not a media type", put.media_type.escape_debug()),
        )
    })?;
    let digest = Digest::sha256(&put.bytes);
    let ask = Ask::new(Method::PUT, url)
        .header(CONTENT_TYPE, kind)
        .body(put.bytes);
    let response = shared
        .send(&endpoint, &put.scope, &ask)
        .await
        .map_err(Failure::into_error)?;
    let told = response.headers().get("docker-content-digest");
    match told.and_then(|v| v.to_str().ok()) {
        Some(told) if told.starts_with("sha256:") && told != digest.to_string() => Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "registry `{}` took manifest `{digest}` for `{}`",
                endpoint.name,
                told.escape_debug()
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether the repository has a blob.
pub(crate) async fn has(
    shared: &Shared,
    endpoint: &Endpoint,
    scope: &Scope,
    digest: Digest,
) -> Result<bool, Failure> {
    let url = endpoint.at(scope.repository(), &format!("blobs/{digest}"));
    let ask = Ask::new(Method::HEAD, url);
    match shared.send(endpoint, scope, &ask).await {
        Ok(_) => Ok(true),
        Err(failure) => match failure.kind() {
            // Whoever cannot answer the question can still take the blob.
            ErrorKind::NotFound | ErrorKind::Unsupported => Ok(false),
            _ => Err(failure),
        },
    }
}

/// How an upload began.
#[derive(Debug)]
pub(crate) enum Begun {
    /// There is nothing to upload any more.
    Mounted,
    /// Where the bytes are to be sent.
    Session(Url),
}

/// Begins an upload; tries to take the blob from the repository `from` where one is given
/// (distribution-spec, "Mounting a blob from another repository"). A registry that does not do
/// that has begun an upload.
pub(crate) async fn begin(
    shared: &Shared,
    endpoint: &Endpoint,
    repository: &str,
    mount: Option<(Digest, &str)>,
) -> Result<Begun, Failure> {
    let mut url = endpoint.at(repository, "blobs/uploads/");
    let mut scope = Scope::push(repository);
    if let Some((digest, from)) = mount {
        url.query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from);
        scope = scope.and_pull(from);
    }
    let ask = Ask::new(Method::POST, url)
        .header(CONTENT_LENGTH, HeaderValue::from_static("0"))
        .body(Bytes::new());
    let response = shared.send(endpoint, &scope, &ask).await?;
    if response.status() == StatusCode::CREATED && mount.is_some() {
        return Ok(Begun::Mounted);
    }
    match next_location(&response) {
        Some(session) => Ok(Begun::Session(session)),
        None => Err(Failure::new(
            ErrorKind::Invalid,
            "the answer to a new upload does not say where to",
        )
        .at(response.url())),
    }
}

/// Gives an upload up that will not be used; registries sweep what is left if this fails.
pub(crate) async fn cancel(shared: &Shared, endpoint: &Endpoint, scope: &Scope, session: Url) {
    let ask = Ask::new(Method::DELETE, session);
    let _ = shared.send(endpoint, scope, &ask).await;
}

/// How far an upload has got: where it goes on, and the number of bytes that are there.
pub(crate) async fn reached(
    shared: &Shared,
    endpoint: &Endpoint,
    scope: &Scope,
    session: &Url,
) -> Result<(Url, u64), Failure> {
    let ask = Ask::new(Method::GET, session.clone());
    let response = shared.send(endpoint, scope, &ask).await?;
    let next = next_location(&response).unwrap_or_else(|| session.clone());
    Ok((next, range_end(response.headers())))
}

/// Ends an upload whose bytes are all there.
pub(crate) async fn finish(
    shared: &Shared,
    endpoint: &Endpoint,
    scope: &Scope,
    session: &Url,
    digest: Digest,
) -> Result<(), Failure> {
    let ask = Ask::new(Method::PUT, with_digest(session, digest))
        .header(CONTENT_LENGTH, HeaderValue::from_static("0"))
        .body(Bytes::new());
    shared.send(endpoint, scope, &ask).await.map(drop)
}

pub(crate) fn with_digest(session: &Url, digest: Digest) -> Url {
    let mut url = session.clone();
    url.query_pairs_mut()
        .append_pair("digest", &digest.to_string());
    url
}

/// The `Location` of an answer, relative to its URL.
pub(crate) fn next_location(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

/// `Range: 0-END`, inclusive. `0-0` is what registries say for nothing.
pub(crate) fn range_end(headers: &HeaderMap) -> u64 {
    let end = headers.get(RANGE).and_then(|v| v.to_str().ok());
    let end = end.and_then(|v| v.trim().trim_start_matches("bytes=").strip_prefix("0-"));
    match end.and_then(|v| v.parse::<u64>().ok()) {
        None | Some(0) => 0,
        Some(end) => end.saturating_add(1),
    }
}
