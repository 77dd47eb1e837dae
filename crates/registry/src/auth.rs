//! What a registry asks for when it says 401, and what is asked for at a token server. Refuses
//! schemes other than Bearer and Basic.

use http_auth::{ChallengeRef, parse_challenges};
use reqwest::{
    Url,
    header::{HeaderMap, WWW_AUTHENTICATE},
};

/// How a registry wants to be convinced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password with every request.
    Basic,
    /// A token of a token server (distribution: "Token Authentication Specification").
    Bearer {
        realm: Url,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best of the challenges in the headers of a 401.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(challenges) = value
                .to_str()
                .map_err(drop)
                .and_then(|text| parse_challenges(text).map_err(drop))
            else {
                continue;
            };
            for challenge in &challenges {
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    if let Some(bearer) = Self::bearer(challenge) {
                        return Some(bearer);
                    }
                } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }

    fn bearer(challenge: &ChallengeRef<'_>) -> Option<Self> {
        let parameter = |name: &str| {
            challenge
                .params
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_unescaped())
                .filter(|value| !value.is_empty())
        };
        let realm = Url::parse(&parameter("realm")?).ok()?;
        if !matches!(realm.scheme(), "http" | "https") {
            return None;
        }
        Some(Self::Bearer {
            realm,
            service: parameter("service"),
            scope: parameter("scope"),
        })
    }
}

/// What a request needs to be allowed: actions on repositories.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope(Vec<(String, &'static str)>);

impl Scope {
    /// Nothing but to be known.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn pull(repository: &str) -> Self {
        Self(vec![(repository.to_owned(), "pull")])
    }

    pub(crate) fn push(repository: &str) -> Self {
        Self(vec![(repository.to_owned(), "pull,push")])
    }

    /// And reading another repository too: what a mount needs.
    pub(crate) fn and_pull(mut self, repository: &str) -> Self {
        self.0.push((repository.to_owned(), "pull"));
        self
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> &str {
        self.0.first().map_or("", |(repository, _)| repository)
    }

    /// What is to be done there, for people: `pull`, `pull and push`.
    pub(crate) fn actions(&self) -> &'static str {
        match self.0.first() {
            Some((_, "pull,push")) => "pull and push",
            _ => "pull",
        }
    }

    /// The scopes as a token server reads them, with `asked` (what the registry's challenge says)
    /// where it is not among them.
    pub(crate) fn with(&self, asked: Option<&str>) -> Vec<String> {
        let mut scopes: Vec<String> = self
            .0
            .iter()
            .map(|(repository, actions)| format!("repository:{repository}:{actions}"))
            .collect();
        for one in asked.unwrap_or("").split_ascii_whitespace() {
            if !self.covers(one) {
                scopes.push(one.to_owned());
            }
        }
        scopes
    }

    fn covers(&self, scope: &str) -> bool {
        let Some((name, wanted)) = scope
            .strip_prefix("repository:")
            .and_then(|rest| rest.rsplit_once(':'))
        else {
            return false;
        };
        self.0.iter().any(|(repository, actions)| {
            repository == name
                && wanted
                    .split(',')
                    .all(|w| actions.split(',').any(|a| a == w))
        })
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn reads_challenges() {
        let bearer = Challenge::Bearer {
            realm: Url::parse("https://auth.x/token").unwrap(),
            service: Some("reg.x".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        let text = r#"Bearer realm="https://auth.x/token",service="reg.x",scope="repository:a/b:pull,push""#;
        assert_eq!(of(&[text]), Some(bearer.clone()));
        assert_eq!(of(&["Basic realm=\"x\"", text]), Some(bearer.clone()));
        assert_eq!(of(&[&format!("Basic realm=\"x\", {text}")]), Some(bearer));
        assert_eq!(of(&["basic realm=x"]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate"]), None);
        assert_eq!(of(&["Bearer realm=\"file:///etc/passwd\""]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn scopes_are_asked_once() {
        let push = Scope::push("a/b").and_pull("c");
        let own = ["repository:a/b:pull,push", "repository:c:pull"];
        assert_eq!(push.with(None), own);
        assert_eq!(push.with(Some("repository:a/b:pull")), own);
        assert_eq!(push.with(Some("repository:a/b:delete")).len(), 3);
        assert_eq!(push.with(Some("registry:catalog:*")).len(), 3);
    }
}
