//! Tokens: fetched from the server that a challenge names, kept by scope, and fetched again before
//! they expire. Refuses to show credentials to a token server without TLS on behalf of a registry
//! with TLS.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kiln_image::ErrorKind;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use crate::{
    Credential, Endpoint, Secret,
    auth::{Challenge, Scope},
    failure::Failure,
    transport::{Ask, Shared, read_all},
};

/// How long a token is good for when its server does not say (the specification's default).
const GOOD_FOR: u64 = 60;
/// A token is not used in its last seconds.
const MARGIN: Duration = Duration::from_secs(5);
const MOST: u64 = 1 << 20;

/// What has been learnt about one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Session {
    challenge: Mutex<Option<Challenge>>,
    /// Held while a token is fetched, so that three blobs at once fetch one.
    tokens: tokio::sync::Mutex<HashMap<Scope, Token>>,
    credentials: Mutex<HashMap<String, Option<Credential>>>,
    /// Why configured credentials could not be had.
    trouble: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Takes note of a 401 that came in spite of `shown`.
    pub(crate) async fn learn(
        &self,
        challenge: Challenge,
        scope: &Scope,
        shown: Option<&HeaderValue>,
    ) {
        *lock(&self.challenge) = Some(challenge);
        let mut tokens = self.tokens.lock().await;
        if tokens.get(scope).is_some_and(|t| Some(&t.header) == shown) {
            tokens.remove(scope);
        }
    }

    /// Why configured credentials could not be had.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// What to show for `scope`: nothing while the endpoint has not asked.
    pub(crate) async fn authorization(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, Failure> {
        let challenge = lock(&self.challenge).clone();
        let Some(challenge) = challenge else {
            return Ok(None);
        };
        let credential = self.credential(shared, endpoint, scope).await;
        match (&challenge, &credential) {
            (_, Some(Credential::Bearer(token))) => Ok(Some(bearer(token.reveal())?)),
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                Ok(Some(basic(user, password)?))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { .. }, _) => {
                let mut tokens = self.tokens.lock().await;
                if let Some(token) = tokens.get(scope)
                    && Instant::now() < token.expires
                {
                    return Ok(Some(token.header.clone()));
                }
                let token = fetch(shared, endpoint, &challenge, scope, credential).await?;
                let header = token.header.clone();
                tokens.insert(scope.clone(), token);
                Ok(Some(header))
            }
        }
    }

    /// The credential; where it cannot be had, the request goes on without, for most images are
    /// public. The trouble is told when it is denied.
    async fn credential(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        scope: &Scope,
    ) -> Option<Credential> {
        let repository = scope.repository().to_owned();
        if let Some(known) = lock(&self.credentials).get(&repository) {
            return known.clone();
        }
        let source = shared.options.credentials.clone();
        let (name, asked) = (endpoint.name.clone(), repository.clone());
        let found = tokio::task::spawn_blocking(move || source.get(&name, &asked)).await;
        let credential = match found {
            Ok(Ok(credential)) => credential,
            Ok(Err(e)) => {
                *lock(&self.trouble) = Some(e.to_string());
                None
            }
            Err(e) => {
                *lock(&self.trouble) = Some(format!("looking for credentials failed: {e}"));
                None
            }
        };
        lock(&self.credentials).insert(repository, credential.clone());
        credential
    }
}

async fn fetch(
    shared: &Shared,
    endpoint: &Endpoint,
    challenge: &Challenge,
    scope: &Scope,
    credential: Option<Credential>,
) -> Result<Token, Failure> {
    let Challenge::Bearer {
        realm,
        service,
        scope: asked,
    } = challenge
    else {
        return Err(Failure::new(ErrorKind::Invalid, "no token server is named"));
    };
    if endpoint.url.scheme() == "https" && realm.scheme() != "https" {
        return Err(Failure::new(
            ErrorKind::Denied,
            "the registry wants credentials to be sent to a token server without TLS",
        )
        .at(realm));
    }
    let begun = Instant::now();
    let scopes = scope.with(asked.as_deref());
    let ask = question(realm, service.as_deref(), &scopes, credential)?;
    let response = shared.send_elsewhere(endpoint, &ask).await?;
    let body = read_all(response, MOST).await?;
    let unreadable = |why: &str| {
        Failure::new(
            ErrorKind::Invalid,
            format!("the token server's answer {why}"),
        )
        .at(realm)
    };
    // The text of a JSON error may contain part of the token.
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| unreadable("is not JSON"))?;
    let token = answer
        .token
        .or(answer.access_token)
        .filter(|t| !t.is_empty())
        .ok_or_else(|| unreadable("has no token"))?;
    let good_for = Duration::from_secs(answer.expires_in.unwrap_or(GOOD_FOR).clamp(1, 86400));
    Ok(Token {
        header: bearer(&token)?,
        expires: begun + good_for.saturating_sub(MARGIN),
    })
}

/// GET with a password or with nothing; POST with a refresh token.
fn question(
    realm: &Url,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<Credential>,
) -> Result<Ask, Failure> {
    let mut url = realm.clone();
    if let Some(Credential::Identity(refresh)) = credential {
        // Only an encoder; the URL goes nowhere.
        let mut form = realm.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "kiln")
            .append_pair("service", service.unwrap_or(""))
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", refresh.reveal());
        let body = form.query().unwrap_or("").to_owned();
        return Ok(Ask::new(Method::POST, url)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .body(body.into()));
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scopes {
            query.append_pair("scope", scope);
        }
    }
    let ask = Ask::new(Method::GET, url);
    match credential {
        Some(Credential::Basic { user, password }) => {
            Ok(ask.header(AUTHORIZATION, basic(&user, &password)?))
        }
        _ => Ok(ask),
    }
}

fn basic(user: &str, password: &Secret) -> Result<HeaderValue, Failure> {
    secret(format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{}", password.reveal()))
    ))
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    secret(format!("Bearer {token}"))
}

fn secret(text: String) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Failure::new(
            ErrorKind::Invalid,
            "a token has characters that no header may have",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
