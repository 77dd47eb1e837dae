//! Credential helpers: `docker-credential-<suffix> get`, the server on stdin, JSON on stdout.
//! Refuses suffixes that would name a program elsewhere.

use std::{
    io::{ErrorKind as IoKind, Write},
    process::{Command, Stdio},
};

use kiln_image::{Error, ErrorKind};
use serde::Deserialize;

use crate::{Credential, Secret};

/// What helpers say when they have nothing for a server.
const ABSENT: &str = "credentials not found in native keychain";
/// The user name that says that the secret is a refresh token.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// Asks the helper for the credential of a server.
pub(crate) fn get(suffix: &str, server: &str) -> Result<Option<Credential>, Error> {
    let program = format!("docker-credential-{suffix}");
    let bad = |why: String| {
        Error::new(
            ErrorKind::Denied,
            format!("credential helper `{program}`: {why}"),
        )
    };
    if suffix.is_empty() || suffix.contains(['/', '\\']) {
        return Err(bad("not the name of a program".to_owned()));
    }
    let spawned = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) if e.kind() == IoKind::NotFound => {
            return Err(bad(
                "it is not installed, and the configuration names it".to_owned()
            ));
        }
        Err(e) => return Err(bad("it cannot be started".to_owned()).because(e)),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons, and says them below.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|e| bad("it cannot be read".to_owned()).because(e))?;
    if !output.status.success() {
        // Helpers print errors on stdout.
        let said = String::from_utf8_lossy(&output.stdout);
        if said.trim() == ABSENT {
            return Ok(None);
        }
        let line: String = said
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        return Err(bad(format!("it failed ({}): {line}", output.status)));
    }
    // The text of a JSON error may contain part of the secret.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| bad("its answer is not readable".to_owned()))?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        (TOKEN, secret) => Some(Credential::Identity(Secret::new(secret))),
        (user, secret) => Some(Credential::Basic {
            user: user.to_owned(),
            password: Secret::new(secret),
        }),
    })
}
