//! One question to an endpoint: authorised, tried again where that helps, answered or a `Failure`.
//! Refuses to show credentials to any other host than the endpoint.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kiln_image::{Error, ErrorKind};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::timeout;

use crate::{
    Endpoint, Options, Serves,
    auth::{Challenge, Scope},
    failure::{Failure, Retry},
    feed::{Flow, watched},
    host::Trust,
    known::Known,
    retry::Patience,
    tls,
    token::Session,
};

/// How long to wait for the other side to say anything.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(20);

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl Ask {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

/// What all remotes of a client share, on the runtime's side.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) known: Known,
    clients: Mutex<Vec<(ClientKey, Client)>>,
    sessions: Mutex<HashMap<(String, String), Arc<Session>>>,
}

/// What two endpoints must agree in to share connections: whether proxies are asked, and trust.
type ClientKey = (bool, Trust);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            known: Known::default(),
            clients: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// Asks until there is an answer that is a success, or patience ends.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        ask: &Ask,
    ) -> Result<Response, Failure> {
        let mut patience = Patience::new(self.tries(endpoint));
        loop {
            let body = ask.body.clone().map(reqwest::Body::from);
            let failure = match self.once(endpoint, scope, ask, body).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Some(wait) = patience.after(&failure) else {
                return Err(failure.after(patience.failed()));
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks until there is an answer that is whole, and at most `most` bytes long.
    pub(crate) async fn fetch(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        ask: &Ask,
        most: u64,
    ) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let mut patience = Patience::new(self.tries(endpoint));
        loop {
            let response = self.send(endpoint, scope, ask).await?;
            let headers = response.headers().clone();
            let failure = match read_all(response, most).await {
                Ok(body) => return Ok((headers, body)),
                Err(failure) => failure,
            };
            let Some(wait) = patience.after(&failure) else {
                return Err(failure.after(patience.failed()));
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks once; where the endpoint then wants to know who asks, once more. A body that is a
    /// stream is sent only if it is known who asks, which the question before it has settled.
    async fn once(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        ask: &Ask,
        body: Option<reqwest::Body>,
    ) -> Result<Response, Failure> {
        let session = self.session(endpoint);
        let ours = endpoint.is_origin_of(&ask.url);
        let mut body = body;
        for again in [true, false] {
            let shown = match ours {
                true => session.authorization(self, endpoint, scope).await?,
                false => None,
            };
            let mut request = self.request(endpoint, ask)?;
            if let Some(header) = &shown {
                request = request.header(AUTHORIZATION, header.clone());
            }
            if let Some(body) = body.take().or_else(|| ask.body.clone().map(Into::into)) {
                request = request.body(body);
            }
            let response = spoken(timeout(SILENCE, request.send()).await, &ask.url)?;
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status() == StatusCode::UNAUTHORIZED
                && ours
                && again
                && let Some(challenge) = Challenge::of(response.headers())
            {
                session.learn(challenge, scope, shown.as_ref()).await;
                continue;
            }
            let failure = Failure::answer(response).await;
            return Err(match failure.kind() {
                ErrorKind::Denied => denied(endpoint, scope, &session, shown.is_some(), &failure),
                _ => failure,
            });
        }
        Err(Failure::new(ErrorKind::Denied, "no answer but 401"))
    }

    /// Sends a stream once. The question that led here has settled who asks; a 401 is taken note
    /// of, and the next try will know.
    pub(crate) async fn stream(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        ask: &Ask,
        body: reqwest::Body,
        flow: &Flow,
    ) -> Result<Response, Failure> {
        let session = self.session(endpoint);
        let shown = match endpoint.is_origin_of(&ask.url) {
            true => session.authorization(self, endpoint, scope).await?,
            false => None,
        };
        let mut request = self.request(endpoint, ask)?.body(body);
        if let Some(header) = &shown {
            request = request.header(AUTHORIZATION, header.clone());
        }
        let response = watched(request, flow, &ask.url).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let challenge = match response.status() {
            StatusCode::UNAUTHORIZED => Challenge::of(response.headers()),
            _ => None,
        };
        let failure = Failure::answer(response).await;
        if let Some(challenge) = challenge {
            session.learn(challenge, scope, shown.as_ref()).await;
            return Err(failure.retry(Retry::Once));
        }
        Err(match failure.kind() {
            ErrorKind::Denied => denied(endpoint, scope, &session, shown.is_some(), &failure),
            _ => failure,
        })
    }

    /// Asks a token server, which is neither the endpoint nor in need of its tokens.
    pub(crate) async fn send_elsewhere(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
    ) -> Result<Response, Failure> {
        let mut patience = Patience::new(self.options.tries);
        loop {
            let mut request = self.request(endpoint, ask)?;
            if let Some(body) = ask.body.clone() {
                request = request.body(body);
            }
            let failure = match spoken(timeout(SILENCE, request.send()).await, &ask.url) {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let refused = matches!(response.status().as_u16(), 400 | 401 | 403);
                    let failure = Failure::answer(response).await;
                    match refused {
                        true => failure.kind_of(ErrorKind::Denied).hint(login(endpoint)),
                        false => failure,
                    }
                }
                Err(failure) => failure,
            };
            let Some(wait) = patience.after(&failure) else {
                return Err(failure.after(patience.failed()));
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// There is somebody else to ask when a mirror is silent.
    fn tries(&self, endpoint: &Endpoint) -> u32 {
        match endpoint.serves {
            Serves::All | Serves::Pushes => self.options.tries,
            _ => self.options.tries.min(2),
        }
    }

    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
    ) -> Result<RequestBuilder, Failure> {
        let client = self.client(endpoint)?;
        Ok(client
            .request(ask.method.clone(), ask.url.clone())
            .headers(ask.headers.clone()))
    }

    fn client(&self, endpoint: &Endpoint) -> Result<Client, Error> {
        let key = (endpoint.is_loopback(), endpoint.trust.clone());
        let mut clients = lock(&self.clients);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == key) {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .user_agent(self.options.user_agent.as_str())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(tls::config(&endpoint.trust)?);
        if key.0 {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, "set up an HTTP client").because(e))?;
        clients.push((key, client.clone()));
        Ok(client)
    }

    fn session(&self, endpoint: &Endpoint) -> Arc<Session> {
        let key = (endpoint.url.to_string(), endpoint.name.clone());
        lock(&self.sessions).entry(key).or_default().clone()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Sent = Result<Result<Response, reqwest::Error>, tokio::time::error::Elapsed>;

fn spoken(sent: Sent, url: &Url) -> Result<Response, Failure> {
    match sent {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(e)) => Err(Failure::connection(e, url)),
        Err(_) => Err(Failure::silent(SILENCE.as_secs(), url)),
    }
}

fn denied(
    endpoint: &Endpoint,
    scope: &Scope,
    session: &Session,
    known: bool,
    failure: &Failure,
) -> Failure {
    let hint = match (session.trouble(), known) {
        (Some(trouble), _) => trouble,
        (None, _) => login(endpoint),
    };
    let mut denied = Failure::new(
        ErrorKind::Denied,
        format!(
            "registry `{}` denies to {} `{}`: {}",
            endpoint.name,
            scope.actions(),
            scope.repository(),
            failure.why()
        ),
    )
    .hint(hint);
    denied.status = failure.status;
    denied
}

fn login(endpoint: &Endpoint) -> String {
    match endpoint.name.as_str() {
        "docker.io" => "log in with `kiln login`".to_owned(),
        name => format!("log in with `kiln login {name}`"),
    }
}

/// The whole body, which may be at most `most` bytes.
pub(crate) async fn read_all(mut response: Response, most: u64) -> Result<Vec<u8>, Failure> {
    let url = response.url().clone();
    let mut body = Vec::new();
    loop {
        match spoken_chunk(timeout(SILENCE, response.chunk()).await, &url)? {
            None => return Ok(body),
            Some(chunk) => body.extend_from_slice(&chunk),
        }
        if body.len() as u64 > most {
            let why = format!("the answer is longer than {most} bytes");
            return Err(Failure::new(ErrorKind::Mismatch, why).at(&url));
        }
    }
}

type SentChunk = Result<Result<Option<Bytes>, reqwest::Error>, tokio::time::error::Elapsed>;

pub(crate) fn spoken_chunk(sent: SentChunk, url: &Url) -> Result<Option<Bytes>, Failure> {
    match sent {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(e)) => Err(Failure::connection(e, url)),
        Err(_) => Err(Failure::silent(SILENCE.as_secs(), url)),
    }
}
