//! Who may do what in a test registry: everybody, those with a password, those with a token.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Shared,
    http::{Answer, Request, pairs},
    lock,
};

/// Who may do what.
#[derive(Debug, Default)]
pub enum Access {
    /// Everybody everything.
    #[default]
    Open,
    /// `user:password`, as `Authorization: Basic` has it: in base64.
    Basic(String),
    /// Tokens from a server at `/token`.
    Tokens(Tokens),
}

/// A token server.
#[derive(Debug, Default)]
pub struct Tokens {
    /// `user:password` in base64: who may push. Pulling needs a token too, but nobody's name.
    pub basic: String,
    /// The refresh token that may push as well.
    pub identity: String,
    /// How long a token is good for.
    pub good_for: Option<Duration>,
    issued: Mutex<HashMap<String, (Vec<String>, Instant)>>,
}

impl Tokens {
    /// A token server for `basic` (`user:password` in base64), whose tokens last.
    pub fn new(basic: &str) -> Self {
        Self {
            basic: basic.to_owned(),
            ..Self::default()
        }
    }

    /// `/token`: GET with a password or nothing, POST with a refresh token.
    pub(super) fn issue(&self, request: &Request, body: &[u8]) -> Answer {
        let form = String::from_utf8_lossy(body).into_owned();
        let (scopes, known) = if request.method == "POST" {
            let known = pairs(&form, "refresh_token").first() == Some(&self.identity)
                && pairs(&form, "grant_type") == ["refresh_token"]
                && !pairs(&form, "service").is_empty();
            if !known {
                return Answer::new(401);
            }
            (pairs(&form, "scope").join(" "), true)
        } else {
            let shown = request.header("authorization");
            let known = shown == Some(&format!("Basic {}", self.basic));
            if shown.is_some() && !known {
                return Answer::new(401);
            }
            (request.queries("scope").join(" "), known)
        };
        let granted: Vec<String> = scopes
            .split_ascii_whitespace()
            .filter_map(|scope| scope.strip_prefix("repository:"))
            .flat_map(|scope| {
                let (name, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
                let actions = actions.split(',').filter(|a| known || *a == "pull");
                actions
                    .map(move |a| format!("{name}:{a}"))
                    .collect::<Vec<_>>()
            })
            .collect();
        let mut issued = lock(&self.issued);
        let token = format!("token-{}", issued.len());
        let good_for = self.good_for.unwrap_or(Duration::from_secs(300));
        issued.insert(token.clone(), (granted, Instant::now() + good_for));
        let seconds = good_for.as_secs();
        Answer::new(200).json(&json!({ "token": token, "expires_in": seconds }))
    }

    fn allows(&self, shown: Option<&str>, repository: &str, action: &str) -> bool {
        let Some(token) = shown.and_then(|s| s.strip_prefix("Bearer ")) else {
            return false;
        };
        let issued = lock(&self.issued);
        issued.get(token).is_some_and(|(granted, until)| {
            let wanted = format!("{repository}:{action}");
            Instant::now() < *until && (repository.is_empty() || granted.contains(&wanted))
        })
    }
}

/// The refusal, where there is one. `repository` is empty for `/v2/`.
pub(super) fn refuse(shared: &Shared, request: &Request, repository: &str) -> Option<Answer> {
    let shown = request.header("authorization");
    let action = match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        _ => "push",
    };
    let challenge = match &shared.access {
        Access::Open => return None,
        Access::Basic(pair) if shown == Some(&format!("Basic {pair}")) => return None,
        Access::Basic(_) => "Basic realm=\"test\"".to_owned(),
        Access::Tokens(tokens) if tokens.allows(shown, repository, action) => return None,
        Access::Tokens(_) => {
            let mut challenge = format!(
                "Bearer realm=\"http://{}/token\",service=\"test\"",
                shared.address
            );
            if !repository.is_empty() {
                let actions = if action == "push" {
                    "pull,push"
                } else {
                    "pull"
                };
                challenge.push_str(&format!(",scope=\"repository:{repository}:{actions}\""));
            }
            challenge
        }
    };
    let errors =
        json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
    let answer = Answer::new(401).json(&errors);
    Some(answer.header("WWW-Authenticate", challenge))
}
