//! From a request to an answer (OCI distribution-spec 1.1).

use std::io::{self, Write};

use kiln_image::Digest;
use serde_json::json;

use super::{
    Access, Fault, Shared,
    access::refuse,
    http::{Answer, Connection, Content, Request},
};

/// What a path of the API is about.
enum Route {
    Root,
    Manifest(String, String),
    Blob(String, String),
    NewUpload(String),
    Upload(String, u64),
    Tags(String),
}

fn route(path: &str) -> Option<Route> {
    let path = path.strip_prefix("/v2/")?;
    if path.is_empty() {
        return Some(Route::Root);
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return Some(Route::Tags(repository.to_owned()));
    }
    if let Some((repository, rest)) = path.rsplit_once("/blobs/uploads") {
        return match rest.trim_start_matches('/') {
            "" => Some(Route::NewUpload(repository.to_owned())),
            id => Some(Route::Upload(repository.to_owned(), id.parse().ok()?)),
        };
    }
    if let Some((repository, digest)) = path.rsplit_once("/blobs/") {
        return Some(Route::Blob(repository.to_owned(), digest.to_owned()));
    }
    let (repository, name) = path.rsplit_once("/manifests/")?;
    Some(Route::Manifest(repository.to_owned(), name.to_owned()))
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status).json(&json!({"errors": [{"code": code, "message": message}]}))
}

/// The answer; `None` where the connection is to break.
pub(super) fn handle(
    shared: &Shared,
    request: &mut Request,
    connection: &mut Connection,
) -> io::Result<Option<Answer>> {
    let target = request.target.clone();
    let before = |fault: &Fault| matches!(fault, Fault::Status(..));
    if let Some(Fault::Status(status, headers)) = shared.fault(&request.method, &target, before) {
        let mut answer = Answer::new(status);
        answer.headers = headers;
        return Ok(Some(answer));
    }
    let Some(mut answer) = respond(shared, request, connection)? else {
        return Ok(None);
    };
    let during = |f: &Fault| matches!(f, Fault::Cut(_) | Fault::Truncate(_) | Fault::Corrupt);
    if request.method == "GET" && answer.status < 300 {
        match shared.fault(&request.method, &target, during) {
            Some(Fault::Cut(after)) => answer.cut = Some(after),
            Some(Fault::Corrupt) => answer.corrupt = true,
            Some(Fault::Truncate(to)) => {
                if let Content::File(_, _, len) = &mut answer.content {
                    *len = to.min(*len);
                }
            }
            _ => {}
        }
    }
    Ok(Some(answer))
}

fn respond(
    shared: &Shared,
    request: &mut Request,
    connection: &mut Connection,
) -> io::Result<Option<Answer>> {
    let path = request.path().to_owned();
    if let Access::Tokens(tokens) = &shared.access
        && path == "/token"
    {
        let body = connection.read_all(request)?;
        return Ok(Some(tokens.issue(request, &body)));
    }
    let Some(route) = route(&path) else {
        return Ok(Some(error(404, "UNSUPPORTED", "no such path")));
    };
    let repository = match &route {
        Route::Root => "",
        Route::Manifest(r, _) | Route::Blob(r, _) | Route::Upload(r, _) => r,
        Route::NewUpload(r) | Route::Tags(r) => r,
    };
    if let Some(refusal) = refuse(shared, request, repository) {
        return Ok(Some(refusal));
    }
    let method = request.method.clone();
    Ok(Some(match (method.as_str(), &route) {
        ("GET" | "HEAD", Route::Root) => Answer::new(200).json(&json!({})),
        ("GET" | "HEAD", Route::Manifest(repository, name)) => manifest(shared, repository, name),
        ("PUT", Route::Manifest(repository, name)) => {
            let body = connection.read_all(request)?;
            let kind = request.header("content-type").unwrap_or("").to_owned();
            put_manifest(shared, repository, name, &kind, &body)
        }
        ("GET" | "HEAD", Route::Blob(repository, digest)) => {
            blob(shared, request, repository, digest)
        }
        ("POST", Route::NewUpload(repository)) => {
            new_upload(shared, request, connection, repository)?
        }
        ("PATCH" | "PUT", Route::Upload(repository, id)) => {
            return upload(shared, request, connection, repository, *id);
        }
        ("GET", Route::Upload(repository, id)) => match shared.storage.upload(*id) {
            Some((_, size)) => session(204, repository, *id, size),
            None => error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
        },
        ("DELETE", Route::Upload(_, id)) => match shared.storage.cancel(*id) {
            true => Answer::new(204),
            false => error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
        },
        ("GET", Route::Tags(repository)) => match shared.storage.tags(repository) {
            Some(tags) => Answer::new(200).json(&json!({"name": repository, "tags": tags})),
            None => error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        },
        _ => error(405, "UNSUPPORTED", "the operation is unsupported"),
    }))
}

fn manifest(shared: &Shared, repository: &str, name: &str) -> Answer {
    match shared.storage.manifest(repository, name) {
        Some((kind, bytes)) => Answer::new(200)
            .header("Content-Type", kind)
            .header("Docker-Content-Digest", digest_of(name, &bytes))
            .content(Content::Bytes(bytes)),
        None => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

/// What was asked for by digest is said to have that digest, whatever was done to it.
fn digest_of(name: &str, bytes: &[u8]) -> String {
    match name.parse::<Digest>() {
        Ok(digest) => digest.to_string(),
        Err(_) => Digest::sha256(bytes).to_string(),
    }
}

fn put_manifest(shared: &Shared, repository: &str, name: &str, kind: &str, body: &[u8]) -> Answer {
    let digest = Digest::sha256(body).to_string();
    if name.contains(':') && name != digest {
        return error(400, "DIGEST_INVALID", "provided digest did not match");
    }
    if let [first, ..] = &shared.storage.missing(repository, body)[..] {
        let message = format!("blob unknown to registry: {first}");
        return error(400, "MANIFEST_BLOB_UNKNOWN", &message);
    }
    shared.storage.put_manifest(repository, name, kind, body);
    Answer::new(201)
        .header("Location", format!("/v2/{repository}/manifests/{digest}"))
        .header("Docker-Content-Digest", digest)
}

fn blob(shared: &Shared, request: &Request, repository: &str, digest: &str) -> Answer {
    let Some((file, size)) = shared.storage.blob(repository, digest) else {
        return error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let answer = Answer::new(200)
        .header("Content-Type", "application/octet-stream")
        .header("Docker-Content-Digest", digest);
    let deaf = |fault: &Fault| matches!(fault, Fault::NoRanges);
    let range = request
        .header("range")
        .and_then(|r| r.strip_prefix("bytes="));
    let Some((from, to)) = range.and_then(|r| r.split_once('-')) else {
        return answer.content(Content::File(file, 0, size));
    };
    if shared.fault("GET", &request.target, deaf).is_some() {
        return answer.content(Content::File(file, 0, size));
    }
    let from: u64 = from.parse().unwrap_or(0);
    let to = to.parse::<u64>().map_or(size, |to| size.min(to + 1));
    if from >= to {
        return Answer::new(416);
    }
    let mut partial = answer.content(Content::File(file, from, to - from));
    partial.status = 206;
    partial.header("Content-Range", format!("bytes {from}-{}/{size}", to - 1))
}

/// Where an upload goes on, and how far it is.
fn session(status: u16, repository: &str, id: u64, size: u64) -> Answer {
    Answer::new(status)
        .header("Location", format!("/v2/{repository}/blobs/uploads/{id}"))
        .header("Range", format!("0-{}", size.saturating_sub(1)))
}

fn new_upload(
    shared: &Shared,
    request: &mut Request,
    connection: &mut Connection,
    repository: &str,
) -> io::Result<Answer> {
    if let (Some(digest), Some(from)) = (request.query("mount"), request.query("from")) {
        let unwilling = |fault: &Fault| matches!(fault, Fault::NoMount);
        let willing = shared.fault("POST", &request.target, unwilling).is_none();
        if willing && shared.storage.mount(repository, &from, &digest) {
            return Ok(created(repository, &digest));
        }
    }
    let id = shared.storage.begin()?;
    if let Some(digest) = request.query("digest") {
        let body = connection.read_all(request)?;
        if let Some((mut file, _)) = shared.storage.upload(id) {
            file.write_all(&body)?;
        }
        return finish(shared, repository, id, &digest);
    }
    Ok(session(202, repository, id, 0))
}

fn upload(
    shared: &Shared,
    request: &mut Request,
    connection: &mut Connection,
    repository: &str,
    id: u64,
) -> io::Result<Option<Answer>> {
    let Some((mut file, mut size)) = shared.storage.upload(id) else {
        return Ok(Some(error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")));
    };
    if let Some(range) = request.header("content-range")
        && range.split('-').next() != Some(&size.to_string())
    {
        return Ok(Some(error(
            416,
            "RANGE_INVALID",
            "not where this upload ends",
        )));
    }
    let cut = |fault: &Fault| matches!(fault, Fault::CutRequest(_));
    let target = request.target.clone();
    let mut left = match shared.fault(&request.method, &target, cut) {
        Some(Fault::CutRequest(after)) => Some(after),
        _ => None,
    };
    let mut buf = vec![0; 64 << 10];
    loop {
        if left == Some(0) {
            return Ok(None);
        }
        let most = left.map_or(buf.len(), |left| {
            buf.len().min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        let n = connection.read(request, &mut buf[..most])?;
        if n == 0 {
            break;
        }
        file.write_all(&buf[..n])?;
        size += n as u64;
        left = left.map(|left| left - n as u64);
    }
    if request.method == "PATCH" {
        return Ok(Some(session(202, repository, id, size)));
    }
    let digest = request.query("digest").unwrap_or_default();
    finish(shared, repository, id, &digest).map(Some)
}

fn finish(shared: &Shared, repository: &str, id: u64, digest: &str) -> io::Result<Answer> {
    Ok(match shared.storage.finish(repository, id, digest)? {
        true => created(repository, digest),
        false => error(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        ),
    })
}

fn created(repository: &str, digest: &str) -> Answer {
    Answer::new(201)
        .header("Location", format!("/v2/{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", digest)
}
