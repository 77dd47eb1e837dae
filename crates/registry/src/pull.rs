//! Reading: names to descriptors, documents, lists of tags. Refuses documents whose bytes are not
//! those that were asked for. Blobs are the subject of `blob`.

use std::{io::Read, sync::Arc};

use kiln_image::{Descriptor, Digest, Error, ErrorKind, Reference, media};
use reqwest::{
    Method, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LINK},
};
use serde::Deserialize;

use crate::{
    Endpoint,
    auth::Scope,
    client::is_manifest,
    failure::Failure,
    transport::{Ask, Shared},
};

/// The longest document that is read into memory: twice what registries are asked to take at least
/// (distribution-spec, "Pushing Manifests": 4 MiB), for configs may be longer.
const LONGEST_DOCUMENT: u64 = 8 << 20;
/// The media types of all documents that can be named.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What a name, of a repository that is called `repository` there, stands for (distribution-spec, "Pulling manifests"): by HEAD, which counts against
/// no limits; by GET where HEAD does not say all.
pub(crate) async fn resolve(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    repository: String,
    what: Reference,
) -> Result<Descriptor, Error> {
    let scope = Scope::pull(&repository);
    let rest = format!("manifests/{}", what.tag_or_digest());
    let url = endpoint.at(&repository, &rest);
    let ask = |method: Method| {
        Ask::new(method, url.clone()).header(ACCEPT, HeaderValue::from_static(ACCEPTED))
    };
    // A HEAD has no body to say why it failed: what cannot be told from it, GET is asked.
    match shared.send(&endpoint, &scope, &ask(Method::HEAD)).await {
        Ok(head) => {
            if let Some(found) = described(head.headers(), &what)? {
                return Ok(found);
            }
        }
        Err(failure) if failure.kind() == ErrorKind::Unreachable => {
            return Err(failure.into_error());
        }
        Err(_) => {}
    }
    let got = shared
        .fetch(&endpoint, &scope, &ask(Method::GET), LONGEST_DOCUMENT)
        .await;
    let (headers, body) = match got {
        Ok(got) => got,
        Err(failure) if failure.kind() == ErrorKind::NotFound => {
            return Err(absent(&endpoint, &what, &failure));
        }
        Err(failure) => return Err(failure.into_error()),
    };
    let digest = Digest::sha256(&body);
    let told = header_digest(&headers)?;
    for expected in [what.digest(), told].into_iter().flatten() {
        if expected != digest {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "registry `{}`: `{}` should have the digest {expected}, and has {digest}",
                    endpoint.name,
                    what.familiar()
                ),
            ));
        }
    }
    Ok(Descriptor::of(media_type(&headers, &body), &body))
}

fn absent(endpoint: &Endpoint, what: &Reference, failure: &Failure) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "`{}` is not in registry `{}`: {}",
            what.familiar(),
            endpoint.name,
            failure.why()
        ),
    )
}

/// The descriptor that the headers of a HEAD give, where they give all of it.
fn described(headers: &HeaderMap, what: &Reference) -> Result<Option<Descriptor>, Error> {
    let media_type = bare_type(headers).filter(|t| media::is_manifest(t) || media::is_index(t));
    let digest = match what.digest() {
        Some(digest) => Some(digest),
        None => header_digest(headers)?,
    };
    let size = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .filter(|size| *size > 0);
    match (media_type, digest, size) {
        (Some(media_type), Some(digest), Some(size)) => {
            Ok(Some(Descriptor::new(media_type, digest, size)))
        }
        _ => Ok(None),
    }
}

fn header_digest(headers: &HeaderMap) -> Result<Option<Digest>, Error> {
    match headers.get("docker-content-digest").map(|v| v.to_str()) {
        Some(Ok(text)) => text.parse().map(Some),
        _ => Ok(None),
    }
}

/// The content type without parameters.
fn bare_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let bare = value.split(';').next().unwrap_or(value).trim();
    Some(bare.to_owned())
}

/// What a manifest is: what its header says, else what it says itself, else what it looks like.
fn media_type(headers: &HeaderMap, body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
    }
    let told = bare_type(headers);
    if let Some(told) = &told
        && (media::is_manifest(told) || media::is_index(told))
    {
        return told.clone();
    }
    let other = told.unwrap_or_else(|| "application/octet-stream".to_owned());
    match serde_json::from_slice::<Shape>(body) {
        Ok(Shape {
            media_type: Some(own),
            ..
        }) => own,
        Ok(Shape {
            manifests: Some(_), ..
        }) => media::INDEX.to_owned(),
        Ok(Shape {
            layers: Some(_), ..
        }) => media::MANIFEST.to_owned(),
        _ => other,
    }
}

/// A manifest, an index or a config, verified.
pub(crate) async fn document(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    repository: String,
    document: Descriptor,
) -> Result<Vec<u8>, Error> {
    if document.size > LONGEST_DOCUMENT {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "document `{}` would be {} bytes long; {LONGEST_DOCUMENT} is the most",
                document.digest, document.size
            ),
        ));
    }
    let (place, accept) = match is_manifest(&document) {
        true => ("manifests", ACCEPTED),
        false => ("blobs", "*/*"),
    };
    let url = endpoint.at(&repository, &format!("{place}/{}", document.digest));
    let ask = Ask::new(Method::GET, url).header(ACCEPT, HeaderValue::from_static(accept));
    let scope = Scope::pull(&repository);
    let got = shared.fetch(&endpoint, &scope, &ask, document.size).await;
    let (_, body) = got.map_err(Failure::into_error)?;
    let mut checked = Vec::with_capacity(body.len());
    kiln_image::Verifier::new(&body[..], document.digest, document.size)
        .read_to_end(&mut checked)?;
    Ok(checked)
}

/// The tags of a repository, page by page.
pub(crate) async fn tags(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    repository: String,
) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct List {
        tags: Option<Vec<String>>,
    }
    const PAGES: usize = 10_000;
    let scope = Scope::pull(&repository);
    let mut url = endpoint.at(&repository, "tags/list");
    let mut tags = Vec::new();
    for _ in 0..PAGES {
        let ask = Ask::new(Method::GET, url.clone());
        let got = shared
            .fetch(&endpoint, &scope, &ask, LONGEST_DOCUMENT)
            .await;
        let (headers, body) = got.map_err(Failure::into_error)?;
        let list: List = serde_json::from_slice(&body).map_err(|e| {
            Error::new(ErrorKind::Invalid, "the list of tags is not readable").because(e)
        })?;
        tags.extend(list.tags.unwrap_or_default());
        match next_page(&headers, &url) {
            Some(next) if next != url => url = next,
            _ => break,
        }
    }
    Ok(tags)
}

/// `Link: <url>; rel="next"` (RFC 5988).
fn next_page(headers: &HeaderMap, base: &Url) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| base.join(target).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn media_types_come_from_header_document_or_shape() {
        for (header, body, expected) in [
            (
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
                "",
                media::MANIFEST,
            ),
            (
                "text/plain",
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
                media::INDEX,
            ),
            ("application/json", r#"{"manifests":[]}"#, media::INDEX),
            ("application/json", r#"{"layers":[]}"#, media::MANIFEST),
            ("text/html", "<html>", "text/html"),
        ] {
            let map = headers(&[("content-type", header)]);
            assert_eq!(
                media_type(&map, body.as_bytes()),
                expected,
                "{header} {body}"
            );
        }
    }

    #[test]
    fn links_lead_to_the_next_page() {
        let base = Url::parse("https://x.y/v2/a/tags/list").unwrap();
        let map = headers(&[("link", r#"</v2/a/tags/list?last=b>; rel="next""#)]);
        let next = next_page(&map, &base).unwrap();
        assert_eq!(next.as_str(), "https://x.y/v2/a/tags/list?last=b");
    }
}
